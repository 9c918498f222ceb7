//! `balance`: who gets how many requests, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_tests::{Api, Gateway, Load, Origin, PATIENCE, eventually};
use tokio::task::JoinSet;

/// A routing file whose one upstream has these servers, in the file's own notation.
fn routing(servers: &[String]) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ {} ], balance: round_robin }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n",
        servers.join(", ")
    )
}

fn plain(api: &Api) -> String {
    format!("\"{}\"", api.address())
}

fn weighted(api: &Api, weight: u16) -> String {
    format!("{{ address: \"{}\", weight: {weight} }}", api.address())
}

async fn apis<const N: usize>(names: [&str; N]) -> Vec<Api> {
    let mut apis = Vec::new();
    for name in names {
        apis.push(Api::start(name).await);
    }
    apis
}

fn shares<const N: usize>(shares: [(&str, u64); N]) -> BTreeMap<String, u64> {
    shares.map(|(name, count)| (name.to_owned(), count)).into()
}

/// Who answers the next `count` requests, one after the other.
async fn order(gateway: &Gateway, count: usize) -> Vec<String> {
    let mut order = Vec::new();
    for _ in 0..count {
        let answer = gateway.get("/api/hello").await;
        order.push(answer.headers()["x-instance"].to_str().unwrap().to_owned());
    }
    order
}

#[tokio::test]
async fn equal_servers_answer_exactly_half_each() {
    let apis = apis(["one", "two"]).await;
    let gateway = Gateway::start(&routing(&[plain(&apis[0]), plain(&apis[1])])).await;
    let report = Load::run(&gateway.url("/api/whoami"), 1, 100).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances, shares([("one", 50), ("two", 50)]));
}

#[tokio::test]
async fn shares_are_exact_with_many_clients_at_once() {
    let apis = apis(["one", "two"]).await;
    let gateway = Gateway::start(&routing(&[plain(&apis[0]), plain(&apis[1])])).await;
    let report = Load::run(&gateway.url("/api/whoami"), 16, 1000).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances, shares([("one", 500), ("two", 500)]));
}

#[tokio::test]
async fn weights_three_and_one_give_three_and_one() {
    let apis = apis(["heavy", "light"]).await;
    let gateway = Gateway::start(&routing(&[weighted(&apis[0], 3), weighted(&apis[1], 1)])).await;
    let url = gateway.url("/api/whoami");
    let one_by_one = Load::run(&url, 1, 40).await;
    assert_eq!(one_by_one.instances, shares([("heavy", 30), ("light", 10)]));
    let at_once = Load::run(&url, 16, 800).await;
    assert_eq!(at_once.failures(), 0, "{at_once:?}");
    assert_eq!(at_once.instances, shares([("heavy", 600), ("light", 200)]));
}

#[tokio::test]
async fn weights_count_relative_to_each_other() {
    let apis = apis(["heavy", "light"]).await;
    let servers = [weighted(&apis[0], 900), weighted(&apis[1], 300)];
    let gateway = Gateway::start(&routing(&servers)).await;
    let report = Load::run(&gateway.url("/api/whoami"), 1, 8).await;
    assert_eq!(report.instances, shares([("heavy", 6), ("light", 2)]));
}

/// Weights 5, 1, 1 in any turn of seven: never all five in a row, never the two light ones side by side.
#[tokio::test]
async fn a_heavy_server_is_spread_out() {
    let apis = apis(["a", "b", "c"]).await;
    let servers = [
        weighted(&apis[0], 5),
        weighted(&apis[1], 1),
        weighted(&apis[2], 1),
    ];
    let gateway = Gateway::start(&routing(&servers)).await;
    let order = order(&gateway, 28).await;
    for turn in order.windows(7) {
        let heavy = turn.iter().filter(|name| *name == "a").count();
        assert_eq!(heavy, 5, "{order:?}");
    }
    for five in order.windows(5) {
        assert!(five.iter().any(|name| name != "a"), "a burst: {order:?}");
    }
    for pair in order.windows(2) {
        assert!(pair.iter().any(|name| name == "a"), "a gap: {order:?}");
    }
}

#[tokio::test]
async fn after_a_server_leaves_the_file_the_rest_share_evenly() {
    let apis = apis(["one", "two", "three"]).await;
    let all: Vec<String> = apis.iter().map(plain).collect();
    let gateway = Gateway::start(&routing(&all)).await;
    let url = gateway.url("/api/whoami");
    let before = Load::run(&url, 4, 90).await;
    let thirds = shares([("one", 30), ("two", 30), ("three", 30)]);
    assert_eq!(before.instances, thirds);
    gateway.reload(&routing(&all[..2])).await;
    let after = Load::run(&url, 4, 100).await;
    assert_eq!(after.instances, shares([("one", 50), ("two", 50)]));
}

/// Not even its neighbour gets its share on top, with no health check to take it out.
#[tokio::test]
async fn after_a_server_is_gone_the_rest_share_evenly() {
    let mut apis = apis(["one", "two", "three"]).await;
    let all: Vec<String> = apis.iter().map(plain).collect();
    let gateway = Gateway::start(&routing(&all)).await;
    apis[1].kill();
    let report = Load::run(&gateway.url("/api/whoami"), 1, 100).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances, shares([("one", 50), ("three", 50)]));
}

#[tokio::test]
async fn a_server_that_joins_gets_its_share_at_once() {
    let apis = apis(["one", "two"]).await;
    let gateway = Gateway::start(&routing(&[plain(&apis[0])])).await;
    gateway
        .reload(&routing(&[plain(&apis[0]), plain(&apis[1])]))
        .await;
    let report = Load::run(&gateway.url("/api/whoami"), 1, 20).await;
    assert_eq!(report.instances, shares([("one", 10), ("two", 10)]));
}

#[tokio::test]
async fn a_server_that_recovers_shares_again() {
    let mut apis = apis(["one", "two"]).await;
    let routing = format!(
        "upstreams:\n  api:\n    servers: [ {}, {} ]\n    health_check: {{ http: {{ path: /api/health, interval: 50ms, \
         healthy_after: 1, unhealthy_after: 1 }} }}\nroutes: {{ all: {{ upstream: api }} }}\n",
        plain(&apis[0]),
        plain(&apis[1])
    );
    let gateway = Gateway::start(&routing).await;
    let ready = async || gateway.ready().await.body["upstreams"][0]["ready"].as_u64();
    apis[1].kill();
    eventually("one is left", PATIENCE, async || ready().await == Some(1)).await;
    let alone = Load::run(&gateway.url("/api/whoami"), 1, 10).await;
    assert_eq!(alone.instances, shares([("one", 10)]));
    apis[1].restart().await;
    eventually("both are back", PATIENCE, async || ready().await == Some(2)).await;
    let both = Load::run(&gateway.url("/api/whoami"), 1, 20).await;
    assert_eq!(both.instances, shares([("one", 10), ("two", 10)]));
}

const BY_LOT: [&str; 3] = ["random", "least_request", "peak_ewma"];

/// The same file with another policy.
fn by(policy: &str, servers: &[String]) -> String {
    routing(servers).replace("round_robin", policy)
}

#[tokio::test]
async fn weights_hold_by_lot() {
    let apis = apis(["heavy", "light"]).await;
    let servers = [weighted(&apis[0], 3), weighted(&apis[1], 1)];
    let gateway = Gateway::start(&routing(&servers)).await;
    for policy in ["random", "least_request"] {
        gateway.reload(&by(policy, &servers)).await;
        let report = Load::run(&gateway.url("/api/whoami"), 1, 800).await;
        assert_eq!(report.failures(), 0, "{policy}: {report:?}");
        let heavy = report.instances["heavy"];
        // Chance alone: twelve give or take.
        assert!((540..660).contains(&heavy), "{policy}: {heavy}");
    }
}

/// Where both take so long that what the machine does beside makes no difference.
#[tokio::test]
async fn weights_hold_by_latency_where_that_is_equal() {
    let (heavy, count) = answering_after(200, SLOW / 8).await;
    let (light, _) = answering_after(200, SLOW / 8).await;
    let servers = [&heavy, &light].map(|origin| origin.address());
    let [heavy, light] = servers.map(|address| format!("address: \"{address}\""));
    let servers = [
        format!("{{ {heavy}, weight: 3 }}"),
        format!("{{ {light} }}"),
    ];
    let policy = "{ peak_ewma: { decay: 1s } }";
    let gateway = Gateway::start(&by(policy, &servers)).await;
    Load::run(&gateway.url("/"), 1, 160).await;
    let count = count.load(Ordering::Relaxed);
    assert!((90..150).contains(&count), "{count}");
}

#[tokio::test]
async fn a_server_that_is_gone_costs_no_request_with_any_policy() {
    let mut apis = apis(["one", "two", "three"]).await;
    let all: Vec<String> = apis.iter().map(plain).collect();
    let gateway = Gateway::start(&routing(&all)).await;
    apis[1].kill();
    for policy in BY_LOT {
        gateway.reload(&by(policy, &all)).await;
        let report = Load::run(&gateway.url("/api/whoami"), 4, 300).await;
        assert_eq!(report.failures(), 0, "{policy}: {report:?}");
        let named: Vec<&str> = report.instances.keys().map(String::as_str).collect();
        assert_eq!(named, ["one", "three"], "{policy}");
    }
}

/// Answers every request with this status after a while, and counts them.
async fn answering_after(status: u16, delay: Duration) -> (Origin, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let origin = Origin::start(move |mut connection| {
        let count = Arc::clone(&counted);
        async move {
            while connection.read_head().await.is_some() {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(delay).await;
                let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
                connection.write(answer.as_bytes()).await;
            }
        }
    })
    .await;
    (origin, count)
}

fn of(origins: &[&Origin]) -> Vec<String> {
    let address = |origin: &&Origin| format!("\"{}\"", origin.address());
    origins.iter().map(address).collect()
}

const FAST: Duration = Duration::from_millis(5);
const SLOW: Duration = Duration::from_millis(200);

/// Many at once: the slow one is busy. One after the other: only its latency tells.
#[tokio::test]
async fn a_slow_server_gets_less_by_least_request_and_next_to_nothing_by_peak_ewma() {
    for (policy, clients, most) in [
        ("random", 8, 250),
        ("least_request", 8, 60),
        ("peak_ewma", 8, 40),
        ("peak_ewma", 1, 20),
    ] {
        let (fast, _) = answering_after(200, FAST).await;
        let (slow, slow_ones) = answering_after(200, SLOW).await;
        let gateway = Gateway::start(&by(policy, &of(&[&fast, &slow]))).await;
        let report = Load::run(&gateway.url("/"), clients, 400).await;
        assert_eq!(report.failures(), 0, "{policy}: {report:?}");
        let count = slow_ones.load(Ordering::Relaxed);
        assert!((1..most).contains(&count), "{policy}, {clients}: {count}");
    }
}

#[tokio::test]
async fn a_server_that_fails_at_once_is_not_the_fastest() {
    let (fine, _) = answering_after(200, FAST).await;
    let (broken, failures) = answering_after(503, Duration::ZERO).await;
    let gateway = Gateway::start(&by("peak_ewma", &of(&[&fine, &broken]))).await;
    Load::run(&gateway.url("/"), 1, 300).await;
    let count = failures.load(Ordering::Relaxed);
    assert!((1..20).contains(&count), "{count}");
}

/// With two of them a third of the picks would compare the two that are busy.
#[tokio::test]
async fn as_many_are_compared_as_the_file_says() {
    let (fine, _) = answering_after(200, Duration::ZERO).await;
    let (first, second) = (Origin::hanging().await, Origin::hanging().await);
    let servers = of(&[&fine, &first, &second]);
    let policy = "{ least_request: { choices: 3 } }";
    let gateway = Arc::new(Gateway::start(&by(policy, &servers)).await);
    let mut waiting = JoinSet::new();
    eventually("both are busy", PATIENCE, async || {
        while waiting.try_join_next().is_some() {}
        let busy = first.open() + second.open();
        // One after the other: while all are busy, any may be asked.
        if waiting.len() == busy && busy < 2 {
            let gateway = Arc::clone(&gateway);
            waiting.spawn(async move { gateway.get("/").await.status() });
        }
        waiting.len() == 2 && busy == 2
    })
    .await;
    for _ in 0..30 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    assert_eq!((first.open(), second.open()), (1, 1));
}

/// It is late with its first answer only. By the default, it would wait for a minute.
#[tokio::test]
async fn a_peak_is_forgotten_as_soon_as_the_file_says() {
    let (fine, _) = answering_after(200, FAST).await;
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let late = Origin::start(move |mut connection| {
        let count = Arc::clone(&counted);
        async move {
            while connection.read_head().await.is_some() {
                if count.fetch_add(1, Ordering::Relaxed) == 0 {
                    tokio::time::sleep(10 * SLOW).await;
                }
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                connection.write(answer).await;
            }
        }
    })
    .await;
    let policy = "{ peak_ewma: { decay: 100ms } }";
    let gateway = Gateway::start(&by(policy, &of(&[&fine, &late]))).await;
    eventually("it is asked again", PATIENCE, async || {
        gateway.get("/").await;
        count.load(Ordering::Relaxed) > 10
    })
    .await;
}
