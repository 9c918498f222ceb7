//! `balance`: who gets how many requests, and in which order.

use std::collections::BTreeMap;

use tidegate_tests::{Api, Gateway, Load, PATIENCE, eventually};

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
