//! What picking a server costs, by policy: `cargo run --release -p tidegate --example pick_cost`. The figures of
//! `docs/upstreams.md`.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::component::{self, Surroundings};
use tidegate::config::{self, Diagnostic};
use tidegate::turns::Purpose;
use tidegate::upstream::Endpoint;
use tidegate::upstream::balance::{Asked, End, KINDS, NOUN, Outcome, Policy, Tried};

const PICKS: u64 = 2_000_000;

const POLICIES: [&str; 7] = [
    "round_robin",
    "random",
    "least_request",
    "peak_ewma",
    "{ ring_hash: { key: client } }",
    "{ maglev: { key: client } }",
    "{ sticky: { cookie: place, secret: 0123456789abcdef } }",
];

fn main() -> ExitCode {
    for written in POLICIES {
        match policy(written) {
            Ok(policy) => [2, 10, 1000].map(|count| measure(written, policy.as_ref(), count)),
            Err(problems) => {
                eprintln!("{written}: {problems:?}");
                return ExitCode::FAILURE;
            }
        };
    }
    ExitCode::SUCCESS
}

fn policy(written: &str) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let text = format!(
        "listeners: {{ w: {{ address: '127.0.0.1:1' }} }}\nupstreams: {{ a: {{ servers: [ 'a:1' ], balance: {written} }} }}"
    );
    let build = |file: &config::File, _: &config::Files| {
        let upstream = file.upstreams.get("a").and_then(|it| it.balance.as_ref());
        let component = upstream.ok_or_else(Vec::new)?;
        component::build(NOUN, KINDS, component, &Surroundings::default())
    };
    let loaded = config::parse("example", &text, &|_| None, None, build);
    loaded
        .map(|loaded| loaded.made.made)
        .map_err(|report| report.diagnostics)
}

/// With one request under way to each server, and one answer behind it.
fn measure(name: &str, policy: &dyn Policy, count: u16) {
    let server = |number: u16| {
        let address = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), number + 1);
        Arc::new(Endpoint::new(address, 1, Arc::default(), None))
    };
    let ready: Vec<Arc<Endpoint>> = (0..count).map(server).collect();
    let made = Instant::now();
    let picker = policy.picker(&ready);
    let made = made.elapsed();
    let now = Instant::now();
    for server in &ready {
        let outcome = Outcome {
            end: End::Answered,
            took: Some(Duration::from_millis(10)),
            picked: now,
            at: now,
        };
        if let Some(learner) = policy.learner() {
            learner.note(server, &ready, &outcome);
        }
    }
    let _under_way: Vec<_> = ready.iter().map(|server| server.enter()).collect();
    let is_by_key = name.contains("key");
    let start = Instant::now();
    for number in 0..PICKS {
        let asked = Asked {
            tried: Tried::NONE,
            purpose: Purpose::Serve,
            key: is_by_key.then(|| tidegate::hash::hash(number, b"")),
            now,
        };
        std::hint::black_box(picker.pick(&ready, &asked));
    }
    let each = start.elapsed().as_secs_f64() * 1e9 / PICKS as f64;
    println!("{name:<32} {count:>5} servers: made in {made:>10.1?}, a pick {each:>6.1} ns");
}
