//! Servers that are names: a name stands for all its addresses, now and later. Each proxy runs with a name server of
//! the test's own.

mod edits;
mod families;
mod nowhere;
mod registry;
mod srv;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_tests::{
    Gateway, Load, NameServer, Origin, PATIENCE, Record, eventually, free_port, skip,
};

/// A server on `ip` that answers as `whoami` does, with its address as the instance.
async fn server(ip: &str, port: u16) -> Origin {
    let body = format!("{{\"instance\":\"{ip}\"}}");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Origin::start_at(
        SocketAddr::new(ip.parse().unwrap(), port),
        move |mut connection| {
            let answer = answer.clone();
            async move {
                while connection.read_head().await.is_some()
                    && connection.write(answer.as_bytes()).await
                {}
            }
        },
    )
    .await
}

fn routing(server: &str, options: &str) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ \"{server}\" ]{options} }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

const REFRESH: &str = ", dns_refresh: 1s";

async fn shares(gateway: &Gateway, count: u64) -> BTreeMap<String, u64> {
    let report = Load::run(&gateway.url("/"), 1, count).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    report.instances
}

/// Waits until exactly these addresses answer.
async fn answered_by<const N: usize>(gateway: &Gateway, expected: [&str; N]) {
    let what = format!("{expected:?} answer");
    eventually(&what, PATIENCE, async || {
        let found = shares(gateway, 2 * N as u64).await;
        let found: Vec<&String> = found.keys().collect();
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    if !NameServer::is_possible("a_name_stands_for_all_its_addresses") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    // A name without a dot, as containers have them.
    names.addresses("api", ["127.0.0.1", "127.0.0.2"], 600);
    let gateway = names.gateway(&routing(&format!("api:{port}"), "")).await;
    let found = shares(&gateway, 100).await;
    assert_eq!(found["127.0.0.1"], 50, "{found:?}");
    assert_eq!(found["127.0.0.2"], 50, "{found:?}");
}

#[tokio::test]
async fn a_name_stands_for_its_addresses_of_both_families() {
    if !NameServer::is_possible("a_name_stands_for_its_addresses_of_both_families") {
        return;
    }
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip(
            "a_name_stands_for_its_addresses_of_both_families",
            "no IPv6",
        );
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _four = server("127.0.0.1", port).await;
    let _six = server("::1", port).await;
    names.addresses("api.test", ["127.0.0.1", "::1"], 600);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), ""))
        .await;
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    // And one that has only the newer kind.
    names.addresses("six.test", ["::1"], 600);
    gateway
        .reload(&routing(&format!("six.test:{port}"), ""))
        .await;
    answered_by(&gateway, ["::1"]).await;
}

#[tokio::test]
async fn a_name_is_resolved_again_and_addresses_come_and_go_without_a_failed_request() {
    if !NameServer::is_possible("a_name_is_resolved_again") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _servers = [
        server("127.0.0.1", port).await,
        server("127.0.0.2", port).await,
        server("127.0.0.3", port).await,
    ];
    names.addresses("api.test", ["127.0.0.1"], 0);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    names.addresses("api.test", ["127.0.0.3", "127.0.0.1", "127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
    names.addresses("api.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// Docker's name server says ten minutes for containers that change by the second.
#[tokio::test]
async fn a_long_ttl_is_bounded_by_dns_refresh() {
    if !NameServer::is_possible("a_long_ttl_is_bounded_by_dns_refresh") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("api.test", ["127.0.0.1"], 600);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    names.addresses("api.test", ["127.0.0.2"], 600);
    answered_by(&gateway, ["127.0.0.2"]).await;
    assert!(names.asked("api.test") >= 2);
}

#[tokio::test]
async fn a_short_ttl_is_honoured_below_dns_refresh_but_not_below_a_second() {
    if !NameServer::is_possible("a_short_ttl_is_honoured") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    names.addresses("api.test", ["127.0.0.1"], 0);
    let options = ", dns_refresh: 10m";
    let began = Instant::now();
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), options))
        .await;
    let thrice = async || names.asked("api.test") >= 3;
    eventually("it is asked for again", PATIENCE, thrice).await;
    assert!(
        began.elapsed() > Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    answered_by(&gateway, ["127.0.0.1"]).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_yet_is_503_and_works_once_it_does() {
    if !NameServer::is_possible("a_name_that_does_not_resolve_yet") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    assert_eq!(gateway.ready().await.status, 200);
    let asked = Instant::now();
    let answer = gateway.get("/early").await;
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], "no_servers");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(gateway.log_line("/early").await["failure"], "no_servers");
    gateway.process.logged("does not resolve").await;
    names.addresses("api.test", ["127.0.0.1"], 600);
    eventually("it works", PATIENCE, async || {
        gateway.get("/").await.status() == 200
    })
    .await;
}

/// The start waits for the first answer, but not for ever.
#[tokio::test]
async fn a_name_server_that_is_silent_does_not_hold_up_the_start_nor_other_upstreams() {
    if !NameServer::is_possible("a_name_server_that_is_silent") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let one = server("127.0.0.1", port).await;
    names.set("mute.test", Record::Silence);
    let began = Instant::now();
    let gateway = names
        .gateway(&format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\n  mute: {{ servers: [ \"mute.test:80\" ] }}\n\
             routes:\n  all: {{ upstream: api }}\n  mute: {{ match: {{ path: /mute }}, upstream: mute }}\n",
            one.address()
        ))
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!(gateway.get("/mute").await.status(), 503);
}

#[tokio::test]
async fn a_look_up_that_fails_keeps_the_last_addresses_and_is_told_once() {
    if !NameServer::is_possible("a_look_up_that_fails_keeps_the_last_addresses") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("api.test", ["127.0.0.1"], 0);
    let routing = routing(&format!("api.test:{port}"), REFRESH);
    let gateway = names.gateway(&routing).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let more_questions = async |count: usize| {
        let goal = names.asked("api.test") + count;
        let asked = async || names.asked("api.test") >= goal;
        eventually("more questions", PATIENCE, asked).await;
    };
    let told = || {
        let log = gateway.process.log();
        let told = log.iter().filter(|line| line.contains("does not resolve"));
        told.count()
    };
    names.forget("api.test");
    more_questions(3).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    assert_eq!(told(), 1);
    for trouble in [Record::Failure, Record::Silence] {
        names.set("api.test", trouble);
        more_questions(2).await;
        answered_by(&gateway, ["127.0.0.1"]).await;
    }
    // A reload in the middle of it keeps them, too, and so does one that has it looked up at another pace.
    let edited = routing + "timeouts: { read: 7s }\n";
    for edited in [edited.replace("dns_refresh: 1s", "dns_refresh: 2s"), edited] {
        gateway.reload(&edited).await;
        answered_by(&gateway, ["127.0.0.1"]).await;
    }
    names.addresses("api.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
}

/// Health belongs to the address: what is known of one stays when others come and go.
#[tokio::test]
async fn the_addresses_of_a_name_are_probed_one_by_one() {
    if !NameServer::is_possible("the_addresses_of_a_name_are_probed_one_by_one") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    names.addresses("api.test", ["127.0.0.1", "127.0.0.2"], 0);
    let options =
        format!("{REFRESH}, health_check: {{ tcp: {{ interval: 50ms, healthy_after: 1 }} }}");
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), &options))
        .await;
    let servers = async || gateway.ready().await.body["upstreams"][0]["servers"].clone();
    eventually("the one that nobody serves is down", PATIENCE, async || {
        servers().await[1]["health"] == "down"
    })
    .await;
    let found = shares(&gateway, 10).await;
    assert_eq!(found["127.0.0.1"], 10, "{found:?}");
    let _two = server("127.0.0.2", port).await;
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2"]).await;
}
