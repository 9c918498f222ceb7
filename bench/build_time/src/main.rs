//! What many routes cost when a file is taken, and when a request looks for its own: the median of some builds on one
//! thread, with the proxy's allocator, in processor time, which is the time on a clock where nobody else wants the processor.
//! Nothing is started; what upstreams cost is not in it.
//!
//!     tidegate-build-time [BUILDS]

use std::error::Error;
use std::hint::black_box;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use rustix::time::{ClockId, clock_gettime};
use tidegate::config::{self, File};
use tidegate::route::condition::Request;
use tidegate::route::{Entry, Table, matching};
use tidegate::snapshot::Plan;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const BUILDS: usize = 21;
const LOOK_UPS: usize = 200_000;
/// Of the mixed routes.
const ROUTES_PER_HOST: usize = 20;

/// What the routes of a file are like.
#[derive(Clone, Copy)]
enum Routes {
    /// Those of bench/scenarios/routes.toml.
    Prefixes,
    /// Half of them are whole paths, 2 % expressions, the rest prefixes; a fifth asks for a header, a tenth for a method.
    /// Every tenth host is a wildcard.
    Mixed,
    /// The same, but all for one host, where all expressions become one automaton.
    OneHost,
}

impl Routes {
    const ALL: [(Self, &str); 3] = [
        (Self::Prefixes, "prefixes"),
        (Self::Mixed, "mixed"),
        (Self::OneHost, "mixed, one host"),
    ];

    fn route(self, number: usize) -> Route {
        let name = format!("service-{number:05}");
        let (condition, path) = match number % 50 {
            _ if matches!(self, Self::Prefixes) => prefix(&name),
            0 => (
                format!(r#"path_regex: "/{name}/users/(?P<id>[0-9]+)/orders/[^/]+""#),
                format!("/{name}/users/4711/orders/new"),
            ),
            rest if rest % 2 == 0 => (format!("path: /{name}/hello"), format!("/{name}/hello")),
            _ => prefix(&name),
        };
        let (written, host) = self.host(number);
        let header = self.every(5, number, ", header: { X-Tenant: gold }");
        let method = self.every(10, number, ", method: [ GET, HEAD ]");
        let written = format!(
            "  {name}: {{ match: {{ {written}{condition}{header}{method} }}, upstream: api }}\n"
        );
        Route {
            written,
            host,
            path,
        }
    }

    /// As it is written, and one that fits.
    fn host(self, number: usize) -> (String, String) {
        let host = number / ROUTES_PER_HOST;
        let name = format!("shop-{host}.example.com");
        match self {
            Self::Prefixes => (String::new(), "www.example.com".to_owned()),
            Self::OneHost => (
                "host: www.example.com, ".to_owned(),
                "www.example.com".to_owned(),
            ),
            Self::Mixed if host % 10 == 9 => {
                (format!("host: \"*.{name}\", "), format!("www.{name}"))
            }
            Self::Mixed => (format!("host: {name}, "), name),
        }
    }

    fn every(self, step: usize, number: usize, condition: &'static str) -> &'static str {
        let has_it = !matches!(self, Self::Prefixes) && number % step == step - 1;
        if has_it { condition } else { "" }
    }
}

fn prefix(name: &str) -> (String, String) {
    (format!("path_prefix: /{name}"), format!("/{name}/hello"))
}

/// A route, and what is asked to get it.
struct Route {
    written: String,
    host: String,
    path: String,
}

/// What one build took.
struct Took {
    /// The text becomes sections, and they are checked.
    read: Duration,
    /// Everything that is made of the sections.
    plan: Duration,
    /// In the plan: conditions in their normal form, expressions compiled.
    conditions: Duration,
    /// In the plan: the rules in their order, and found by host and path.
    table: Duration,
}

fn main() -> Result<(), Box<dyn Error>> {
    let builds = match std::env::args().nth(1) {
        Some(number) => number.parse()?,
        None => BUILDS,
    };
    println!("| | routes | bytes | read | plan | its conditions | its table | a look-up |");
    println!("|---|---|---|---|---|---|---|---|");
    for (routes, name) in Routes::ALL {
        for size in SIZES {
            let made: Vec<Route> = (0..size).map(|number| routes.route(number)).collect();
            let text = file(&made);
            let took = (0..builds)
                .map(|_| build(&text))
                .collect::<Result<Vec<Took>, _>>()?;
            let ms =
                |part: fn(&Took) -> Duration| median(took.iter().map(part)).as_secs_f64() * 1e3;
            println!(
                "| {name} | {size} | {} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms | {} ns |",
                text.len(),
                ms(|took| took.read),
                ms(|took| took.plan),
                ms(|took| took.conditions),
                ms(|took| took.table),
                look_up(&text, &made)?.as_nanos(),
            );
        }
    }
    Ok(())
}

fn file(routes: &[Route]) -> String {
    let head = "listeners: { web: { address: \"127.0.0.1:8080\" } }\n\
                upstreams: { api: { servers: [ \"127.0.0.1:8081\", \"127.0.0.1:8082\" ] } }\nroutes:\n";
    let written = routes.iter().map(|route| route.written.as_str());
    [head].into_iter().chain(written).collect()
}

/// What one part made is gone before the next begins, so that both find the same memory.
fn build(text: &str) -> Result<Took, Box<dyn Error>> {
    let read = timed(|| sections(text)).1;
    let (plan, all) = timed(|| Plan::parse("routes", text, &|_| None, None));
    plan.map(drop)
        .map_err(|_| "no plan can be made of the file")?;
    let file = sections(text)?;
    let (entries, conditions) = timed(|| entries(&file));
    let entries = entries?;
    let (table, took) = timed(|| Table::new(&entries));
    table?;
    Ok(Took {
        read,
        plan: all.saturating_sub(read),
        conditions,
        table: took,
    })
}

fn sections(text: &str) -> Result<File, Box<dyn Error>> {
    let read = config::parse("routes", text, &|_| None, None, config::as_written);
    Ok(read.map_err(|_| "the file cannot be read")?.file)
}

fn entries(file: &File) -> Result<Vec<Entry>, Box<dyn Error>> {
    let entry = |(name, route): (&config::Spanned<String>, &config::Route)| {
        let matches = matching::matches(name, &route.matches);
        Ok(Entry {
            name: name.value.clone(),
            priority: 0,
            matches: matches.map_err(|_| format!("route {} has no conditions", name.value))?,
        })
    };
    file.routes.iter().map(entry).collect()
}

/// Every route is asked for in turn, not in their order: the next one must not be in the same cache line.
fn look_up(text: &str, routes: &[Route]) -> Result<Duration, Box<dyn Error>> {
    let table = Table::new(&entries(&sections(text)?)?)?;
    let tenant = (
        HeaderName::from_static("x-tenant"),
        HeaderValue::from_static("gold"),
    );
    let headers = HeaderMap::from_iter([tenant]);
    let request = |route: &'_ Route| {
        let Route { host, path, .. } = route;
        table.find(&Request {
            host,
            path,
            query: None,
            method: &Method::GET,
            headers: &headers,
            client: None,
        })
    };
    for (number, route) in routes.iter().enumerate() {
        if request(route).is_none_or(|found| found.route != number) {
            return Err(format!("{} is not found at {}{}", number, route.host, route.path).into());
        }
    }
    let mut spread: Vec<(usize, &Route)> = routes.iter().enumerate().collect();
    spread.sort_by_key(|(number, _)| number * 7919 % routes.len());
    let ((), took) = timed(|| {
        for (_, route) in spread.iter().cycle().take(LOOK_UPS) {
            black_box(request(black_box(route)));
        }
    });
    Ok(took / u32::try_from(LOOK_UPS)?)
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begin = processor_time();
    let made = work();
    (made, processor_time().saturating_sub(begin))
}

/// Of this thread.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    let part = |part: i64| u64::try_from(part).unwrap_or_default();
    Duration::from_secs(part(now.tv_sec)) + Duration::from_nanos(part(now.tv_nsec))
}

fn median(all: impl Iterator<Item = Duration>) -> Duration {
    let mut all: Vec<Duration> = all.collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}
