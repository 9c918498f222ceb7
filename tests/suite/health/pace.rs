//! How often, and for whom: probes are counted where they arrive.

use std::time::{Duration, Instant};

use tidegate_tests::{Blackhole, Gateway, PATIENCE, Patient, eventually};

use super::{becomes, http, routing, state};

async fn reaches(patient: &Patient, count: usize) -> Instant {
    let what = format!("{count} probes");
    eventually(&what, PATIENCE, async || patient.probes() >= count).await;
    Instant::now()
}

/// All options but those of the pace, so that one that is forgotten in the comparison shows.
#[tokio::test]
async fn equal_checks_of_equal_servers_share_their_probes_also_after_an_edit() {
    const INTERVALS: usize = 10;
    let patient = Patient::start(200).await;
    let options = "method: POST, headers: { X-A: b }, statuses: [ 200 ], body: { regex: \".*\" }, interval: 200ms";
    let upstreams = |names: &[&str]| {
        let check = http(options);
        let server = patient.address();
        let upstream = |name: &&str| {
            format!("  {name}: {{ servers: [ \"{server}\" ], health_check: {{ {check} }} }}\n")
        };
        let route = |name: &&str| {
            format!("  {name}: {{ match: {{ path_prefix: /{name} }}, upstream: {name} }}\n")
        };
        let upstreams: String = names.iter().map(upstream).collect();
        let routes: String = names.iter().map(route).collect();
        format!("upstreams:\n{upstreams}routes:\n{routes}")
    };
    let gateway = Gateway::start(&upstreams(&["one", "two", "three"])).await;
    for after in [None, Some(["two", "four"])] {
        if let Some(names) = after {
            gateway.reload(&upstreams(&names)).await;
        }
        let begun = patient.probes() + 1;
        let first = reaches(&patient, begun).await;
        let took = reaches(&patient, begun + INTERVALS).await - first;
        // The harness looks every 20 ms.
        let least = Duration::from_millis(180 * INTERVALS as u64 - 50);
        assert!(took > least, "{INTERVALS} probes in {took:?}, {after:?}");
    }
}

/// The interval is an hour: all that comes is due to the other one.
#[tokio::test]
async fn a_server_that_is_down_is_probed_at_its_own_pace() {
    let (recovers, ill) = (Patient::start(500).await, Patient::start(500).await);
    let servers = [recovers.address(), ill.address()];
    let check = http("interval: 1h, down_interval: 50ms, healthy_after: 3");
    let gateway = Gateway::start(&routing(&servers, &check)).await;
    reaches(&recovers, 5).await;
    recovers.answers(200);
    becomes(&gateway, recovers.address(), "up").await;
    // It is up, and the other one is probed again and again meanwhile.
    let (before, meanwhile) = (recovers.probes(), ill.probes() + 20);
    reaches(&ill, meanwhile).await;
    assert_eq!(recovers.probes(), before);
}

#[tokio::test]
async fn every_kind_has_a_pace_for_servers_that_are_down() {
    for kind in ["tcp", "grpc"] {
        let server = tidegate_tests::refusing_address();
        let check = format!("{kind}: {{ interval: 1h, down_interval: 50ms, healthy_after: 1 }}");
        let gateway = Gateway::start(&routing(&[server], &check)).await;
        becomes(&gateway, server, "down").await;
        assert_eq!(
            state(&gateway, server).await["reason"],
            "connection refused"
        );
        let starts = async || tokio::net::TcpListener::bind(server).await;
        let listener = eventually("the port is free", PATIENCE, starts).await;
        // It is noticed within the hour.
        let noticed = tokio::time::timeout(PATIENCE, listener.accept()).await;
        noticed.expect("a probe").unwrap();
    }
}

#[tokio::test]
async fn every_kind_waits_as_long_as_its_timeout_says() {
    let silent = Blackhole::start().await;
    for kind in ["http", "tcp", "grpc"] {
        // Longer than a kernel waits before it asks again, and than Pingora does.
        let check = format!("{kind}: {{ interval: 50ms, timeout: 1500ms }}");
        let gateway = Gateway::start(&routing(&[silent.address], &check)).await;
        becomes(&gateway, silent.address, "down").await;
        let reason = state(&gateway, silent.address).await["reason"].clone();
        assert_eq!(reason, "no connection within 1.5s", "{kind}");
    }
}
