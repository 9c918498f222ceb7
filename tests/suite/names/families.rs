//! A name has addresses of two kinds, which are asked for one by one: either question may fail alone.

use serde_json::Value;
use tidegate_tests::{Gateway, NameServer, PATIENCE, Record, eventually, free_port, skip};

use crate::{REFRESH, answered_by, routing, server};

const NAME: &str = "api.test";

/// Whether this machine lets `test` have both kinds and a name server.
fn is_possible(test: &str) -> bool {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        skip(test, "no IPv6");
        return false;
    }
    NameServer::is_possible(test)
}

fn four() -> Record {
    Record::Addresses(vec!["127.0.0.1".parse().unwrap()], 0)
}

fn six() -> Record {
    Record::Addresses(vec!["::1".parse().unwrap()], 0)
}

fn none() -> Record {
    Record::Addresses(Vec::new(), 0)
}

async fn source(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0]["sources"][0].clone()
}

/// Waits until the trouble of the name is about this; since when.
async fn trouble(gateway: &Gateway, about: &str) -> Value {
    eventually("the trouble is told", PATIENCE, async || {
        let source = source(gateway).await;
        match source["reason"].as_str() {
            Some(reason) if reason.contains(about) => Ok(source["failing_since"].clone()),
            _ => Err(source),
        }
    })
    .await
}

async fn no_trouble(gateway: &Gateway) {
    eventually("no trouble is told", PATIENCE, async || {
        let source = source(gateway).await;
        source["reason"].is_null().then_some(()).ok_or(source)
    })
    .await;
}

/// However the servers are found by the name.
async fn one_that_fails_keeps_its_servers(routing: impl Fn(u16) -> String) {
    let (names, port) = (NameServer::start().await, free_port());
    let _four = server("127.0.0.1", port).await;
    let _six = server("::1", port).await;
    names.families(NAME, four(), six());
    let gateway = names.gateway(&routing(port)).await;
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    no_trouble(&gateway).await;

    names.families(NAME, four(), Record::Failure);
    let since = trouble(&gateway, "does not resolve to IPv6").await;
    names.families(NAME, four(), Record::Silence);
    names.more_questions(NAME, 2).await;
    assert_eq!(trouble(&gateway, "to IPv6").await, since);
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    names.families(NAME, four(), none());
    answered_by(&gateway, ["127.0.0.1"]).await;
    no_trouble(&gateway).await;

    names.families(NAME, four(), six());
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    names.families(NAME, Record::Failure, six());
    trouble(&gateway, "does not resolve to IPv4").await;
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    names.families(NAME, none(), six());
    answered_by(&gateway, ["::1"]).await;
    no_trouble(&gateway).await;
}

#[tokio::test]
async fn a_kind_of_address_that_cannot_be_looked_up_keeps_its_servers() {
    if is_possible("a_kind_of_address_that_cannot_be_looked_up_keeps_its_servers") {
        let followed = |port| routing(&format!("{NAME}:{port}"), REFRESH);
        one_that_fails_keeps_its_servers(followed).await;
    }
}

#[tokio::test]
async fn a_kind_of_address_that_cannot_be_looked_up_keeps_its_servers_of_a_source() {
    if is_possible("a_kind_of_address_that_cannot_be_looked_up_keeps_its_servers_of_a_source") {
        let discovered = |port| {
            format!(
                "upstreams: {{ api: {{ discover: {{ dns: {{ name: {NAME}, port: {port}, refresh: 1s }} }} }} }}\n\
                 routes: {{ all: {{ upstream: api }} }}\n"
            )
        };
        one_that_fails_keeps_its_servers(discovered).await;
    }
}

#[tokio::test]
async fn one_kind_of_address_serves_while_the_other_was_never_found_out() {
    if !is_possible("one_kind_of_address_serves_while_the_other_was_never_found_out") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _four = server("127.0.0.1", port).await;
    names.families(NAME, four(), Record::Failure);
    let routing = routing(&format!("{NAME}:{port}"), REFRESH);
    let gateway = names.gateway(&routing).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    trouble(&gateway, "does not resolve to IPv6").await;
    // Both fail: nobody leaves, and the trouble is as old as it is.
    names.set(NAME, Record::Failure);
    trouble(&gateway, "does not resolve: ").await;
    answered_by(&gateway, ["127.0.0.1"]).await;
}
