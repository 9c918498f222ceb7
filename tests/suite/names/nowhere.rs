//! Answers in which nobody is: addresses where no server can be, services whose names nobody knows.

use serde_json::Value;
use tidegate_tests::{Load, NameServer, PATIENCE, eventually, free_port};

use crate::{REFRESH, answered_by, routing, server};

#[tokio::test]
async fn an_address_where_no_server_can_be_is_left_out_and_alone_takes_nobody_away() {
    if !NameServer::is_possible("an_address_where_no_server_can_be") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("api.test", ["127.0.0.1"], 0);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    let upstream = async || gateway.operator("/upstreams").await[0].clone();
    let servers = async || {
        let servers = upstream().await["servers"].as_array().cloned();
        let servers = servers.into_iter().flatten();
        let address = |it: Value| it["address"].as_str().unwrap_or_default().to_owned();
        servers.map(address).collect::<Vec<_>>()
    };
    let wrong = async |expected: &str| {
        eventually(expected, PATIENCE, async || {
            let source = upstream().await["sources"][0].clone();
            let reason = source["reason"].as_str().unwrap_or_default();
            (reason == expected).then_some(()).ok_or(source)
        })
        .await;
    };
    let load = Load::start(&gateway.url("/"), 2);
    names.addresses("api.test", ["0.0.0.0", "255.255.255.255"], 0);
    wrong("does not resolve: it stands for `0.0.0.0`, where no server can be (and 1 more)").await;
    assert_eq!(servers().await, [format!("127.0.0.1:{port}")]);
    names.addresses("api.test", ["224.0.0.1", "127.0.0.2"], 0);
    wrong("stands for `224.0.0.1`, where no server can be").await;
    assert_eq!(servers().await, [format!("127.0.0.2:{port}")]);
    names.addresses("api.test", ["127.0.0.2"], 0);
    eventually("all is well", PATIENCE, async || {
        upstream().await["sources"][0]["reason"].is_null()
    })
    .await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn a_service_whose_names_nobody_knows_takes_nobody_away() {
    if !NameServer::is_possible("a_service_whose_names_nobody_knows") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("one.test", ["127.0.0.1"], 0);
    names.services("api.test", &[(0, 0, port, "one.test")], 0);
    let gateway = names
        .gateway(
            "upstreams: { api: { discover: { dns: { srv: api.test } }, dns_refresh: 1s } }\n\
             routes: { all: { upstream: api } }\n",
        )
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    names.services("api.test", &[(0, 0, port, "two.test")], 0);
    gateway.process.logged("those of before stay").await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    names.addresses("two.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}
