//! `discover: dns`: a name whose addresses are the servers, or a service whose records are.

use serde_json::Value;
use tidegate_tests::{Gateway, Load, NameServer, PATIENCE, Record, eventually, free_port};

use crate::{answered_by, server, shares};

fn routing(options: &str) -> String {
    format!(
        "upstreams: {{ api: {{ discover: {{ dns: {{ {options} }} }}, dns_refresh: 1s }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

const SERVICE: &str = "_http._tcp.api.test";

async fn upstream(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0].clone()
}

#[tokio::test]
async fn every_address_of_a_name_is_a_server() {
    if !NameServer::is_possible("every_address_of_a_name_is_a_server") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("tasks.api", ["127.0.0.1", "127.0.0.2"], 600);
    let routing = routing(&format!("name: tasks.api, port: {port}, refresh: 1s"));
    let gateway = names.gateway(&routing).await;
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2"]).await;
    names.addresses("tasks.api", ["127.0.0.2"], 600);
    answered_by(&gateway, ["127.0.0.2"]).await;
}

#[tokio::test]
async fn the_records_of_a_service_are_servers_with_port_weight_and_tier() {
    if !NameServer::is_possible("the_records_of_a_service_are_servers") {
        return;
    }
    let names = NameServer::start().await;
    let (one, two, three) = (free_port(), free_port(), free_port());
    let _one = server("127.0.0.1", one).await;
    let _two = server("127.0.0.2", two).await;
    let _three = server("127.0.0.3", three).await;
    names.addresses("one.test", ["127.0.0.1"], 600);
    names.addresses("two.test", ["127.0.0.2"], 600);
    names.addresses("three.test", ["127.0.0.3"], 600);
    let records = [
        (10, 60, one, "one.test"),
        (10, 20, two, "two.test"),
        (20, 0, three, "three.test"),
    ];
    names.services(SERVICE, &records, 600);
    let gateway = names.gateway(&routing(&format!("srv: {SERVICE}"))).await;
    let found = shares(&gateway, 80).await;
    assert_eq!(
        (found["127.0.0.1"], found["127.0.0.2"], found.len()),
        (60, 20, 2),
        "{found:?}"
    );
    let upstream = upstream(&gateway).await;
    let servers = upstream["servers"].as_array().unwrap();
    let seats = servers
        .iter()
        .map(|one| (one["priority"].as_u64(), one["weight"].as_u64()));
    let seats: Vec<_> = seats.collect();
    assert_eq!(
        seats,
        [(Some(0), Some(60)), (Some(0), Some(20)), (Some(1), Some(1))]
    );
    assert_eq!(upstream["sources"][0]["source"], format!("dns `{SERVICE}`"));
}

/// Every record has another target, as where each container has a name of its own: those that were there serve until the
/// new names are looked up.
#[tokio::test]
async fn records_come_and_go_without_a_failed_request() {
    if !NameServer::is_possible("records_come_and_go_without_a_failed_request") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("one.test", ["127.0.0.1"], 0);
    names.addresses("two.test", ["127.0.0.2"], 0);
    names.services(SERVICE, &[(0, 0, port, "one.test")], 0);
    let gateway = names.gateway(&routing(&format!("srv: {SERVICE}"))).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(10).await;
    names.services(SERVICE, &[(0, 0, port, "two.test")], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
    names.services(
        SERVICE,
        &[(0, 0, port, "one.test"), (0, 0, port, "two.test")],
        0,
    );
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn a_service_in_trouble_keeps_its_servers_and_one_that_is_declared_gone_does_not() {
    if !NameServer::is_possible("a_service_in_trouble_keeps_its_servers") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    names.addresses("one.test", ["127.0.0.1"], 0);
    let there = [(0, 0, port, "one.test")];
    names.services(SERVICE, &there, 0);
    let gateway = names.gateway(&routing(&format!("srv: {SERVICE}"))).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let failing = async || {
        let source = upstream(&gateway).await["sources"][0].clone();
        Some(source["failing_since"].clone()).filter(Value::is_string)
    };
    // No such name; a name without such records; no answer that says anything.
    names.forget(SERVICE);
    let since = eventually("it is told", PATIENCE, failing).await;
    names.services(SERVICE, &[], 0);
    names.more_questions(SERVICE, 2).await;
    names.set(SERVICE, Record::Failure);
    names.more_questions(SERVICE, 2).await;
    assert_eq!(failing().await, Some(since));
    answered_by(&gateway, ["127.0.0.1"]).await;
    // "Decidedly not available at this domain" (RFC 2782).
    names.services(SERVICE, &[(0, 0, 0, "")], 0);
    eventually("nobody is left", PATIENCE, async || {
        gateway.get("/").await.status() == 503
    })
    .await;
    assert_eq!(failing().await, None);
    names.services(SERVICE, &there, 0);
    eventually("it is back", PATIENCE, async || {
        gateway.get("/").await.status() == 200
    })
    .await;
}
