//! An edit of the routing file names somebody else: those who serve stay until it is known who that is.

use serde_json::Value;
use tidegate_tests::{Gateway, Load, NameServer, PATIENCE, Record, eventually, free_port};

use crate::{REFRESH, answered_by, routing, server};

/// Waits until a name of the upstream is in trouble.
async fn fails(gateway: &Gateway, name: &str) {
    eventually("the name fails", PATIENCE, async || {
        let upstream = gateway.operator("/upstreams").await[0].clone();
        let sources = upstream["sources"].as_array().cloned().unwrap_or_default();
        let mut sources = sources.into_iter();
        sources.any(|it| it["source"] == format!("name `{name}`") && it["reason"].is_string())
    })
    .await;
}

/// What was told of servers, from the beginning.
async fn told(gateway: &Gateway) -> Vec<String> {
    let upstream = gateway.operator("/upstreams").await[0].clone();
    let events = upstream["events"].as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let told = events.iter().filter_map(|event| {
        let (what, server) = (text(&event["what"]), text(&event["server"]));
        let server = server.split(':').next().unwrap_or_default().to_owned();
        let is_wanted = ["came", "left"].contains(&what.as_str());
        is_wanted.then(|| format!("{server} {what} {}", text(&event["reason"])))
    });
    told.collect()
}

#[tokio::test]
async fn an_edit_that_names_who_is_not_known_yet_loses_no_request_however_often_it_is_edited() {
    if !NameServer::is_possible("an_edit_that_names_who_is_not_known_yet") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    let named = |name: &str| routing(&format!("{name}:{port}"), REFRESH);
    let gateway = names.gateway(&named("127.0.0.1")).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    names.set("mute.test", Record::Silence);
    names.set("broken.test", Record::Failure);
    for name in ["mute.test", "broken.test", "nobody.test"] {
        gateway.reload(&named(name)).await;
        answered_by(&gateway, ["127.0.0.1"]).await;
        fails(&gateway, name).await;
        answered_by(&gateway, ["127.0.0.1"]).await;
    }
    gateway.process.logged("those of before stay").await;
    names.addresses("nobody.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
    // And from a name to another one.
    gateway.reload(&named("mute.test")).await;
    answered_by(&gateway, ["127.0.0.2"]).await;
    names.addresses("mute.test", ["127.0.0.1"], 0);
    answered_by(&gateway, ["127.0.0.1"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    let expected = [
        "127.0.0.1 came by the file",
        "127.0.0.1 left by the file",
        "127.0.0.2 came by name `nobody.test`",
        "127.0.0.2 left by the file",
        "127.0.0.1 came by name `mute.test`",
    ];
    assert_eq!(told(&gateway).await, expected);
}
