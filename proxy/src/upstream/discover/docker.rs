//! `discover: docker`: containers with a label are servers, and come and go without an edit.
//!
//! ```yaml
//! discover:
//!   docker:
//!     label: tidegate.upstream=api             # or com.docker.compose.service=api
//!     port: 5252                               # default: the one that the container exposes
//!     network: shop_default                    # default: the first one by name that gives an address
//!     endpoint: "unix:///var/run/docker.sock"  # default; or "tcp://socket-proxy:2375"
//!     refresh: 30s
//! ```
//!
//! Two requests of the Engine API: what the engine tells as it happens (`GET /events`) only says that it is time to look at
//! the whole list (`GET /containers/json`), so that nothing that was missed is missed for long. Both are asked for in the
//! version that the engine speaks (`GET /_ping`): one that was written down here would be too new for some engines and, some day,
//! too old for others.

mod containers;
mod endpoint;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::Full;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::containers::{Usual, servers};
use self::endpoint::Endpoint;
use super::Source;
use super::followed::Feed;
use super::followed::left_out::LeftOut;
use super::names::resolver::Resolver;
use super::service::course::Course;
use super::service::{Answer, REFRESH_FLOOR, Service, refused, too_often};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, Spanned, code};
use crate::upstream::ServerSpec;

pub(super) const KIND: Kind<Arc<dyn Source>> = Kind::new::<Docker>(
    "docker",
    "containers with a label, asked of the Docker engine",
    build,
);

/// What the engine tells about containers, and what that has to do with being a server. Networks tell theirs, too.
const EVENTS: [&str; 8] = [
    "start",
    "die",
    "pause",
    "unpause",
    "rename",
    "health_status",
    "connect",
    "disconnect",
];

/// Containers by what a check of theirs says: without one, they are taken to be well.
const WELL: [&str; 2] = ["healthy", "none"];

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Docker {
    /// What containers are labelled with that are servers: a label, or a label and its value.
    #[schemars(extend("pattern" = "^[^=\\s][^\\s]*$"), extend("examples" = ["tidegate.upstream=api", "com.docker.compose.service=api"]))]
    label: Spanned<String>,
    /// The port of those whose label `tidegate.port` does not say otherwise. Default: the one port that they expose.
    #[serde(
        default,
        deserialize_with = "crate::config::scalar::whole::<_, _, 1, 65535>"
    )]
    #[schemars(range(min = 1, max = 65535))]
    port: Option<Spanned<u16>>,
    /// The network by which they are reached, where their label `tidegate.network` does not say otherwise. Default: the first one by
    /// name that gives them an address.
    network: Option<Spanned<String>>,
    /// Where the engine is: `unix://` and a path, or `tcp://`, a host and a port. Default: `unix:///var/run/docker.sock`.
    #[serde(default = "usual_endpoint")]
    endpoint: Spanned<Endpoint>,
    /// How often the whole list is looked at when the engine tells of no change. Default: `30s`.
    #[serde(default = "refresh")]
    #[schemars(with = "AtLeast<REFRESH_FLOOR>", extend("default" = "30s"))]
    refresh: Spanned<config::Duration>,
}

fn usual_endpoint() -> Spanned<Endpoint> {
    Endpoint::default().into()
}

fn refresh() -> Spanned<config::Duration> {
    config::Duration::from_millis(30_000).into()
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: Docker = options.decode()?;
    let mut wrong: Vec<Diagnostic> = too_often(written.refresh).into_iter().collect();
    let label = &written.label;
    if label.is_empty() || label.starts_with('=') || label.contains(char::is_whitespace) {
        let message = format!("`{}` cannot be a label", label.escape_debug());
        let problem = Diagnostic::error(code::BAD_NAME, message).at(label.span);
        wrong.push(
            problem
                .label("expected a label, or a label and its value")
                .help("write `tidegate.upstream=api`, and give the containers this label"),
        );
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Arc::new(Engine {
        label: label.value.clone(),
        usual: Usual {
            port: written.port.map(|port| port.value),
            network: written.network.map(|network| network.value),
        },
        service: written.endpoint.value.service(),
        refresh: written.refresh.get(),
    }))
}

/// An engine, and what is asked of it.
#[derive(Debug, Clone)]
struct Engine {
    label: String,
    usual: Usual,
    service: Service,
    refresh: Duration,
}

impl Source for Engine {
    fn identity(&self) -> String {
        format!("{self:?}")
    }

    fn asks(&self) -> String {
        let Self {
            label,
            usual,
            service,
            ..
        } = self;
        format!("{} {label:?} {usual:?} {service:?}", KIND.name)
    }

    fn label(&self) -> String {
        format!("docker `{}`", self.label)
    }

    fn follow(&self, _: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let engine = self.clone();
        async move {
            let (mut course, mut left_out) = (Course::default(), LeftOut::default());
            loop {
                let Err(why) = engine.converse(&feed, &mut left_out, &mut course).await;
                if !course.ended(&feed, &why) {
                    feed.failed(format!("cannot be asked: {why}"));
                }
                course.pause().await;
            }
        }
        .boxed()
    }
}

impl Engine {
    /// Tells who is there until something goes wrong, which may be long after it was right.
    async fn converse(
        &self,
        feed: &Feed<ServerSpec>,
        left_out: &mut LeftOut,
        course: &mut Course,
    ) -> Result<Infallible, String> {
        let version = self.version().await?;
        // They are listened to before the first look, so that nothing happens in between.
        let events = filters(&json!({ "type": ["container", "network"], "event": EVENTS }));
        let events = request(&format!("{version}/events?{events}"))?;
        let mut events = self.service.listen(events).await?;
        loop {
            let (servers, others) = self.look(&version).await?;
            others.tell(&self.label(), left_out);
            course.found(feed, servers);
            let longest = course.longest(self.refresh);
            events.change(longest, |_| Ok(course.told(true))).await?;
        }
    }

    /// As the beginning of a path.
    async fn version(&self) -> Result<String, String> {
        let answer = self.ask("/_ping").await?;
        let said = answer.headers.get("Api-Version");
        let said = said.and_then(|said| said.to_str().ok());
        // Without one, it takes what its newest version takes.
        Ok(said
            .filter(|said| is_version(said))
            .map_or_else(String::new, |said| format!("/v{said}")))
    }

    async fn look(&self, version: &str) -> Result<(Vec<ServerSpec>, LeftOut), String> {
        let wanted =
            filters(&json!({ "label": [self.label], "status": ["running"], "health": WELL }));
        let answer = self
            .ask(&format!("{version}/containers/json?{wanted}"))
            .await?;
        servers(&answer.body, &self.usual)
    }

    async fn ask(&self, target: &str) -> Result<Answer, String> {
        let answer = self.service.ask(request(target)?).await?;
        match answer.status {
            StatusCode::OK => Ok(answer),
            status => {
                let path = target.split('?').next().unwrap_or_default();
                let why = refused(&self.service, status, &answer.body);
                Err(format!("{why} (to `GET {path}`)"))
            }
        }
    }
}

/// Nothing else becomes a part of a path.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    text.split_once('.')
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn filters(wanted: &Value) -> String {
    let wanted = wanted.to_string();
    format!("filters={}", utf8_percent_encode(&wanted, NON_ALPHANUMERIC))
}

fn request(target: &str) -> Result<Request<Full<bytes::Bytes>>, String> {
    Request::get(target)
        // The engine looks at none, but one there has to be (RFC 9112, section 3.2).
        .header(HOST, "docker")
        .body(Full::default())
        .map_err(|error| format!("it cannot be asked for `{target}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::discover::Servers;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Instant;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// An engine without containers, whose events end at once. How often they were asked for.
    fn engine_without_events(path: &std::path::Path) -> Arc<AtomicUsize> {
        let listener = UnixListener::bind(path).unwrap();
        let listened = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&listened);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let length = stream.read(&mut head).await.unwrap_or(0);
                let is_events = head[..length].starts_with(b"GET /events");
                counted.fetch_add(usize::from(is_events), Ordering::Relaxed);
                let body = if is_events { "" } else { "[]" };
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        listened
    }

    #[tokio::test]
    async fn an_engine_whose_events_end_at_once_is_asked_less_and_less_often_and_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listened = engine_without_events(&path);
        let engine = Engine {
            label: "a".to_owned(),
            usual: Usual::default(),
            service: Service::Unix(path),
            refresh: Duration::from_secs(60),
        };
        let begun = Instant::now();
        let followed = Servers::start(engine.label(), None, |feed| {
            engine.follow(Arc::new(Resolver::from_system()), feed)
        });
        let trouble = || followed.report().trouble.map(|trouble| trouble.what);
        let fourth = async {
            while listened.load(Ordering::Relaxed) < 4 {
                // Once it is told it stays.
                if listened.load(Ordering::Relaxed) > 2 {
                    let told = trouble().unwrap();
                    assert_eq!(told, "tells no changes: the stream of changes ended");
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let in_time = tokio::time::timeout(Duration::from_secs(20), fourth);
        in_time.await.unwrap();
        // At least half of 250 ms, 500 ms and a second.
        assert!(
            begun.elapsed() >= Duration::from_millis(875),
            "{:?}",
            begun.elapsed()
        );
        assert!(followed.was_asked() && trouble().is_some());
    }

    #[test]
    fn only_a_version_becomes_a_part_of_a_path() {
        assert!(is_version("1.41") && is_version("1.100"));
        for other in ["", "1", "1.", ".1", "1.4/x", "1.4 ", "v1.4", "1.4.1"] {
            assert!(!is_version(other), "{other}");
        }
    }

    #[test]
    fn whatever_a_label_is_it_is_one_part_of_a_query() {
        let asked = filters(&json!({ "label": ["a=b&c d\"é"] }));
        assert_eq!(
            asked,
            "filters=%7B%22label%22%3A%5B%22a%3Db%26c%20d%5C%22%C3%A9%22%5D%7D"
        );
        assert!(request(&format!("/containers/json?{asked}")).is_ok());
    }
}
