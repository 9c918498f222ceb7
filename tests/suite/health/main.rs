//! `health_check`: who is well, decided by probes that the servers count themselves.

mod grpc;
mod http;
mod pace;
mod page;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_tests::{
    Api, Connection, Gateway, HEALTH, Load, Origin, PATIENCE, Patient, eventually, free_address,
    refusing_address,
};

/// Probes that come quickly; a test that counts them holds them back itself.
const QUICK: &str = "interval: 50ms, timeout: 10s";

fn routing(servers: &[SocketAddr], check: &str) -> String {
    let servers: Vec<String> = servers.iter().map(|at| format!("\"{at}\"")).collect();
    format!(
        "upstreams:\n  api:\n    servers: [ {} ]\n    health_check: {{ {check} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n",
        servers.join(", ")
    )
}

fn http(options: &str) -> String {
    format!("http: {{ path: {HEALTH}, {options} }}")
}

/// What `/ready` says of the server at this address.
async fn state(gateway: &Gateway, server: SocketAddr) -> Value {
    let ready = gateway.ready().await.body;
    let servers = ready["upstreams"][0]["servers"].as_array().unwrap().clone();
    let is_it = |state: &Value| state["address"] == server.to_string();
    servers.into_iter().find(is_it).unwrap()
}

async fn health(gateway: &Gateway, server: SocketAddr) -> String {
    let state = state(gateway, server).await;
    state["health"].as_str().unwrap().to_owned()
}

async fn becomes(gateway: &Gateway, server: SocketAddr, expected: &str) {
    let what = format!("{server} is {expected}");
    eventually(&what, PATIENCE, async || {
        health(gateway, server).await == expected
    })
    .await;
}

/// Answers the next probe and waits for the one after it: by then the answer has been judged.
async fn judged(patient: &Patient, held: &mut Option<tidegate_tests::Probe>, status: u16) {
    let probe = match held.take() {
        Some(probe) => probe,
        None => patient.probe().await,
    };
    probe.answer(status);
    *held = Some(patient.probe().await);
}

#[tokio::test]
async fn a_server_is_not_used_before_its_first_answer_while_another_is_up() {
    let (well, untried) = (Patient::start(200).await, Patient::held().await);
    let servers = [well.address(), untried.address()];
    let gateway = Gateway::start(&routing(&servers, &http(QUICK))).await;
    let probe = untried.probe().await;
    assert_eq!(health(&gateway, untried.address()).await, "untried");
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    assert_eq!((well.requests(), untried.requests()), (20, 0));
    untried.answers(200);
    probe.answer(200);
    becomes(&gateway, untried.address(), "up").await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    assert_eq!((well.requests(), untried.requests()), (30, 10));
}

/// Better a guess than a refusal.
#[tokio::test]
async fn a_server_is_used_before_its_first_answer_when_no_other_is_up() {
    let (ill, untried) = (Patient::start(500).await, Patient::held().await);
    let servers = [ill.address(), untried.address()];
    let gateway = Gateway::start(&routing(&servers, &http(QUICK))).await;
    let _probe = untried.probe().await;
    becomes(&gateway, ill.address(), "down").await;
    for _ in 0..10 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    assert_eq!((ill.requests(), untried.requests()), (0, 10));
}

#[tokio::test]
async fn the_first_answer_decides_alone() {
    let (well, ill) = (Patient::held().await, Patient::held().await);
    let options = format!("{QUICK}, healthy_after: 5, unhealthy_after: 5");
    let servers = [well.address(), ill.address()];
    let gateway = Gateway::start(&routing(&servers, &http(&options))).await;
    judged(&well, &mut None, 200).await;
    judged(&ill, &mut None, 500).await;
    assert_eq!(health(&gateway, well.address()).await, "up");
    assert_eq!(health(&gateway, ill.address()).await, "down");
}

#[tokio::test]
async fn a_server_is_left_out_after_as_many_bad_answers_in_a_row_as_the_file_says() {
    let patient = Patient::held().await;
    let options = format!("{QUICK}, healthy_after: 2, unhealthy_after: 3");
    let gateway = Gateway::start(&routing(&[patient.address()], &http(&options))).await;
    let mut held = None;
    judged(&patient, &mut held, 200).await;
    // One good answer among the bad ones starts the count anew.
    for status in [500, 500, 200, 500, 500] {
        judged(&patient, &mut held, status).await;
        assert_eq!(health(&gateway, patient.address()).await, "up");
    }
    judged(&patient, &mut held, 500).await;
    let state = state(&gateway, patient.address()).await;
    assert_eq!(state["health"], "down");
    assert_eq!(state["reason"], "it answered 500, expected 200-299");
    assert_eq!(patient.probes(), 8);
}

#[tokio::test]
async fn a_server_is_used_again_after_as_many_good_answers_in_a_row_as_the_file_says() {
    let patient = Patient::held().await;
    let options = format!("{QUICK}, healthy_after: 3, unhealthy_after: 1");
    let gateway = Gateway::start(&routing(&[patient.address()], &http(&options))).await;
    let mut held = None;
    judged(&patient, &mut held, 500).await;
    for status in [200, 200, 500, 200, 200] {
        judged(&patient, &mut held, status).await;
        assert_eq!(health(&gateway, patient.address()).await, "down");
    }
    judged(&patient, &mut held, 200).await;
    let state = state(&gateway, patient.address()).await;
    assert_eq!(state["health"], "up");
    assert!(state["reason"].is_null(), "{state}");
    assert_eq!(gateway.get("/").await.status(), 200);
}

#[tokio::test]
async fn only_the_expected_statuses_count_as_well() {
    let options = format!("{QUICK}, statuses: [ 204, \"300-399\" ], unhealthy_after: 1");
    let mut patients = Vec::new();
    for status in [204, 300, 399, 200, 203, 400, 500] {
        patients.push((status, Patient::start(status).await));
    }
    let servers: Vec<SocketAddr> = patients.iter().map(|(_, at)| at.address()).collect();
    let gateway = Gateway::start(&routing(&servers, &http(&options))).await;
    for (status, patient) in &patients {
        let expected = match status {
            204 | 300 | 399 => "up",
            _ => "down",
        };
        becomes(&gateway, patient.address(), expected).await;
        assert!(patient.probes() > 0, "{status}");
    }
}

#[tokio::test]
async fn without_expected_statuses_any_2xx_counts_as_well() {
    let mut patients = Vec::new();
    for (status, expected) in [(200, "up"), (299, "up"), (302, "down"), (404, "down")] {
        patients.push((expected, Patient::start(status).await));
    }
    let servers: Vec<SocketAddr> = patients.iter().map(|(_, at)| at.address()).collect();
    let gateway = Gateway::start(&routing(&servers, &http(QUICK))).await;
    for (expected, patient) in &patients {
        becomes(&gateway, patient.address(), expected).await;
    }
}

#[tokio::test]
async fn a_probe_asks_for_the_path_and_the_host_of_the_file() {
    let patient = Patient::held().await;
    let options = format!("{QUICK}, host: api.internal");
    let gateway = Gateway::start(&routing(&[patient.address()], &http(&options))).await;
    let head = patient.probe().await.head.to_ascii_lowercase();
    assert!(head.starts_with("get /health http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: api.internal\r\n"), "{head}");
    drop(gateway);
}

#[tokio::test]
async fn a_tcp_check_needs_a_connection_and_no_answer() {
    let at = free_address();
    let start = async || {
        Origin::start_at(at, |mut it: Connection| async move {
            it.read_until_closed().await
        })
        .await
    };
    let silent = start().await;
    let check = "tcp: { interval: 50ms, healthy_after: 1, unhealthy_after: 1 }";
    let refused = refusing_address();
    let gateway = Gateway::start(&routing(&[at, refused], check)).await;
    becomes(&gateway, at, "up").await;
    becomes(&gateway, refused, "down").await;
    let state = state(&gateway, refused).await;
    assert_eq!(state["reason"], "connection refused");
    let before = silent.accepted();
    let more = async || silent.accepted() > before + 2;
    eventually("it is probed again and again", PATIENCE, more).await;
    drop(silent);
    becomes(&gateway, at, "down").await;
    let _silent = start().await;
    becomes(&gateway, at, "up").await;
}

#[tokio::test]
async fn a_probe_that_takes_too_long_is_a_bad_answer() {
    let silent = Patient::held().await;
    let trickling = Origin::start(|mut connection| async move {
        // Each byte comes in time, the whole answer never does.
        connection.read_head().await;
        while connection.write(b"HTTP/1.1 200 OK\r\nX: ").await {
            for _ in 0..1000 {
                tokio::time::sleep(Duration::from_millis(20)).await;
                if !connection.write(b"x").await {
                    return;
                }
            }
        }
    })
    .await;
    let servers = [silent.address(), trickling.address()];
    let check = http("interval: 50ms, timeout: 200ms, unhealthy_after: 1");
    let gateway = Gateway::start(&routing(&servers, &check)).await;
    for server in servers {
        becomes(&gateway, server, "down").await;
        let reason = state(&gateway, server).await["reason"].to_string();
        assert_eq!(reason, "\"no answer within 200ms\"");
    }
    assert!(silent.probes() > 0 && trickling.accepted() > 0);
}

#[tokio::test]
async fn when_all_are_down_the_answer_is_503_at_once_with_a_reason() {
    let patients = [Patient::start(500).await, Patient::start(503).await];
    let servers = patients.each_ref().map(Patient::address);
    let gateway = Gateway::start(&routing(&servers, &http(QUICK))).await;
    for server in servers {
        becomes(&gateway, server, "down").await;
    }
    let asked = Instant::now();
    let answer = gateway.get("/anything").await;
    let took = asked.elapsed();
    assert_eq!(answer.status(), 503);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], "all_down");
    let line = gateway.log_line("/anything").await;
    assert_eq!(
        (&line["failure"], &line["attempts"]),
        (&"all_down".into(), &0.into())
    );
    assert_eq!(patients.each_ref().map(Patient::requests), [0, 0]);
    // And as soon as one is well again, it answers.
    patients[0].answers(200);
    becomes(&gateway, servers[0], "up").await;
    assert_eq!(gateway.get("/").await.status(), 200);
}

/// Jitter moves single probes, not the pace: twenty intervals take twenty intervals, give or take a tenth.
#[tokio::test]
async fn probes_keep_their_pace() {
    const INTERVALS: usize = 20;
    let patient = Patient::start(200).await;
    let check = http("interval: 100ms");
    let _gateway = Gateway::start(&routing(&[patient.address()], &check)).await;
    let reaches = async |count: usize| {
        let what = format!("{count} probes");
        eventually(&what, PATIENCE, async || patient.probes() >= count).await;
        Instant::now()
    };
    let first = reaches(1).await;
    let last = reaches(1 + INTERVALS).await;
    let took = last - first;
    // The harness looks every 20 ms. No upper bound but for a check that all but stopped: the machine may be busy.
    assert!(
        took > Duration::from_millis(90 * INTERVALS as u64 - 50),
        "{took:?}"
    );
    assert!(
        took < Duration::from_millis(400 * INTERVALS as u64),
        "{took:?}"
    );
}

/// Each of the twenty edits changes the upstream, so it is built anew; what is known of its servers stays.
#[tokio::test]
async fn a_server_that_is_down_stays_out_over_twenty_reloads_and_is_not_probed_more() {
    let (well, ill) = (Patient::start(200).await, Patient::start(500).await);
    let servers = [well.address(), ill.address()];
    let edited = |number: usize| {
        let seconds = 10 + number;
        routing(&servers, &http("interval: 200ms")) + &format!("timeouts: {{ read: {seconds}s }}\n")
    };
    let gateway = Gateway::start(&edited(0)).await;
    becomes(&gateway, ill.address(), "down").await;
    let load = Load::start(&gateway.url("/"), 4);
    let (began, probes) = (Instant::now(), [well.probes(), ill.probes()]);
    for number in 1..=20 {
        gateway.reload(&edited(number)).await;
        assert_eq!(health(&gateway, ill.address()).await, "down");
    }
    let took = began.elapsed();
    load.more(20).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(ill.requests(), 0);
    // The shortest interval that jitter makes, the probe under way at the start and one at the end.
    let most = took.as_millis() as usize / 180 + 2;
    for (before, now) in probes.into_iter().zip([well.probes(), ill.probes()]) {
        assert!(now > before, "it is still probed");
        assert!(now - before <= most, "{} in {took:?}", now - before);
    }
}

/// An edit of the check itself starts new probes; they come to the same result before the edit takes effect.
#[tokio::test]
async fn a_server_that_is_down_stays_out_when_its_check_changes() {
    let (well, ill) = (Patient::start(200).await, Patient::start(500).await);
    let servers = [well.address(), ill.address()];
    let gateway = Gateway::start(&routing(&servers, &http("interval: 1s"))).await;
    becomes(&gateway, ill.address(), "down").await;
    let load = Load::start(&gateway.url("/"), 4);
    for number in 2..=6 {
        let check = http(&format!("interval: {number}s"));
        gateway.reload(&routing(&servers, &check)).await;
        load.more(20).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(ill.requests(), 0);
}

/// Another pace asks the same question: who was down is not up by the first good answer, as a stranger would be.
#[tokio::test]
async fn a_check_at_another_pace_begins_with_what_is_known() {
    let status = Arc::new(AtomicU16::new(500));
    let answering = Arc::clone(&status);
    let ill = Origin::start(move |mut connection| {
        let status = Arc::clone(&answering);
        async move {
            while connection.read_head().await.is_some() {
                let status = status.load(Ordering::SeqCst);
                let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
                connection.write(answer.as_bytes()).await;
            }
        }
    })
    .await;
    let check = |interval| http(&format!("interval: {interval}ms, healthy_after: 1000000"));
    let gateway = Gateway::start(&routing(&[ill.address()], &check(50))).await;
    becomes(&gateway, ill.address(), "down").await;
    status.store(200, Ordering::SeqCst);
    gateway.reload(&routing(&[ill.address()], &check(60))).await;
    let before = ill.accepted();
    let probed = async || ill.accepted() > before + 3;
    eventually("it is probed at the new pace", PATIENCE, probed).await;
    assert_eq!(health(&gateway, ill.address()).await, "down");
}

/// The probes of a server that is gone from the file end.
#[tokio::test]
async fn a_server_that_left_the_file_is_probed_no_more() {
    let (stays, leaves) = (Patient::start(200).await, Patient::start(200).await);
    let check = http("interval: 50ms");
    let both = [stays.address(), leaves.address()];
    let gateway = Gateway::start(&routing(&both, &check)).await;
    let probed = async || leaves.probes() > 1;
    eventually("both are probed", PATIENCE, probed).await;
    gateway.reload(&routing(&both[..1], &check)).await;
    // One may have been under way.
    let (before, meanwhile) = (leaves.probes() + 1, stays.probes() + 20);
    let passed = async || stays.probes() > meanwhile;
    eventually("twenty probes of the other", PATIENCE, passed).await;
    assert!(leaves.probes() <= before);
}

#[tokio::test]
async fn without_a_health_check_every_server_is_up() {
    let patient = Patient::start(500).await;
    let nobody = refusing_address();
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{}\", \"{nobody}\" ] }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n",
        patient.address()
    ))
    .await;
    for server in [patient.address(), nobody] {
        assert_eq!(health(&gateway, server).await, "up");
    }
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!(patient.probes(), 0);
}

#[tokio::test]
async fn a_server_that_was_killed_is_used_again_when_it_returns() {
    let mut apis = [Api::start("one").await, Api::start("two").await];
    let servers = apis.each_ref().map(Api::address);
    let check = "http: { path: /api/health, interval: 50ms, healthy_after: 2, unhealthy_after: 2 }";
    let gateway = Gateway::start(&routing(&servers, check)).await;
    apis[0].kill();
    becomes(&gateway, servers[0], "down").await;
    let state = state(&gateway, servers[0]).await;
    assert_eq!(state["reason"], "connection refused");
    let report = Load::run(&gateway.url("/api/whoami"), 2, 20).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances.keys().collect::<Vec<_>>(), ["two"]);
    apis[0].restart().await;
    becomes(&gateway, servers[0], "up").await;
    let report = Load::run(&gateway.url("/api/whoami"), 2, 20).await;
    assert_eq!(report.instances["one"], 10, "{report:?}");
}

#[tokio::test]
async fn the_log_says_when_a_server_goes_down_and_comes_back() {
    let patient = Patient::start(200).await;
    let check = http("interval: 50ms, healthy_after: 1, unhealthy_after: 1");
    let gateway = Gateway::start(&routing(&[patient.address()], &check)).await;
    becomes(&gateway, patient.address(), "up").await;
    patient.answers(503);
    let line = gateway.process.logged("server is down").await;
    assert!(line.contains(&patient.address().to_string()), "{line}");
    assert!(line.contains("it answered 503, expected 200-299"), "{line}");
    assert!(line.contains("\"bad_in_a_row\":1"), "{line}");
    patient.answers(200);
    becomes(&gateway, patient.address(), "up").await;
    let log = gateway.process.log();
    let ups = log.iter().filter(|line| line.contains("server is up"));
    assert_eq!(ups.count(), 2, "once at the start, once now");
}
