//! Who is asked at all: tiers and backups, panic, slow start, and what an operator wants of a server.

mod orders;

use std::time::{Duration, SystemTime};

use serde_json::Value;
use tidegate_tests::{Gateway, PATIENCE, Patient, eventually, refusing_address};

/// A routing file whose one upstream has these servers, in the file's own notation, and says this besides.
fn routing(servers: &[String], more: &str) -> String {
    format!(
        "upstreams:\n  api:\n    servers: [ {} ]\n    \
         health_check: {{ http: {{ path: /health, interval: 50ms, healthy_after: 1, unhealthy_after: 1 }} }}\n{more}\
         routes: {{ all: {{ upstream: api }} }}\n",
        servers.join(", ")
    )
}

fn server(patient: &Patient, more: &str) -> String {
    format!("{{ address: \"{}\"{more} }}", patient.address())
}

async fn patients<const N: usize>() -> [Patient; N] {
    let mut patients = Vec::new();
    for _ in 0..N {
        patients.push(Patient::start(200).await);
    }
    patients.try_into().expect("as many as were started")
}

/// Sends so many requests, all of which succeed, and counts who got them.
async fn spread<const N: usize>(
    gateway: &Gateway,
    patients: &[Patient; N],
    count: usize,
) -> [usize; N] {
    let before = patients.each_ref().map(Patient::requests);
    for _ in 0..count {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    let mut now = patients.each_ref().map(Patient::requests);
    for (now, before) in now.iter_mut().zip(before) {
        *now -= before;
    }
    now
}

async fn upstream(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0].clone()
}

/// Waits until exactly these servers may be picked.
async fn ready(gateway: &Gateway, wanted: &[&Patient]) {
    let mut wanted: Vec<String> = wanted.iter().map(|it| it.address().to_string()).collect();
    wanted.sort();
    eventually("these are ready", PATIENCE, async || {
        let upstream = upstream(gateway).await;
        let servers = upstream["servers"].as_array().unwrap();
        let ready = servers.iter().filter(|one| one["ready"] == true);
        let mut ready: Vec<String> = ready
            .map(|one| one["address"].as_str().unwrap().to_owned())
            .collect();
        ready.sort();
        ready == wanted
    })
    .await;
}

/// What `/upstreams` tells of what happened to a server, without the time.
async fn events(gateway: &Gateway, of: &Patient) -> Vec<(String, String)> {
    let upstream = upstream(gateway).await;
    let events = upstream["events"].as_array().unwrap();
    let own = events
        .iter()
        .filter(|event| event["server"] == of.address().to_string());
    own.map(|event| {
        let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
        (text("what"), text("reason"))
    })
    .collect()
}

#[tokio::test]
async fn a_later_tier_and_the_backups_wait_until_those_before_are_down() {
    let all = patients::<3>().await;
    let [first, second, backup] = &all;
    let file = routing(
        &[
            server(backup, ", backup: true"),
            server(second, ", priority: 3"),
            server(first, ", weight: 2"),
        ],
        "",
    );
    let gateway = Gateway::start(&file).await;
    ready(&gateway, &[first]).await;
    assert_eq!(spread(&gateway, &all, 20).await, [20, 0, 0]);
    first.answers(503);
    ready(&gateway, &[second]).await;
    assert_eq!(spread(&gateway, &all, 20).await, [0, 20, 0]);
    second.answers(503);
    ready(&gateway, &[backup]).await;
    assert_eq!(spread(&gateway, &all, 20).await, [0, 0, 20]);
    first.answers(200);
    ready(&gateway, &[first]).await;
    assert_eq!(spread(&gateway, &all, 20).await, [20, 0, 0]);
    let told = events(&gateway, first).await;
    let what: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(what, ["came", "up", "down", "up"], "{told:?}");
    assert!(told[2].1.contains("503"), "{told:?}");
    assert_eq!(told[3].1, "a good probe");
    let servers = upstream(&gateway).await["servers"].clone();
    let servers = servers.as_array().unwrap();
    let probes: Vec<&Value> = servers.iter().map(|server| &server["probes"]).collect();
    let counts = |key: &str| {
        probes
            .iter()
            .all(|probes| probes[key].as_u64().unwrap() > 0)
    };
    assert!(counts("good"), "{probes:?}");
    assert!(
        probes
            .iter()
            .all(|probes| probes["since"].is_string() && probes["last_ms"].as_f64() > Some(0.0))
    );
}

#[tokio::test]
async fn in_panic_all_are_asked_and_everybody_hears_of_it() {
    let all = patients::<3>().await;
    let [one, two, three] = &all;
    let servers = all.each_ref().map(|patient| server(patient, ""));
    let gateway = Gateway::start(&routing(&servers, "    panic_below: 50%\n")).await;
    ready(&gateway, &[one, two, three]).await;
    one.answers(500);
    ready(&gateway, &[two, three]).await;
    assert_eq!(spread(&gateway, &all, 30).await, [0, 15, 15]);
    assert!(
        !gateway
            .get("/")
            .await
            .headers()
            .contains_key("x-tidegate-panic")
    );
    two.answers(500);
    ready(&gateway, &[one, two, three]).await;
    assert_eq!(spread(&gateway, &all, 30).await, [10, 10, 10]);
    assert_eq!(gateway.get("/").await.headers()["x-tidegate-panic"], "api");
    assert_eq!(upstream(&gateway).await["panic"], true);
    let line = gateway.process.logged("panic: fewer servers are up").await;
    assert!(line.contains("ERROR"), "{line}");
    one.answers(200);
    two.answers(200);
    eventually("the panic ends", PATIENCE, async || {
        upstream(&gateway).await["panic"] == false
    })
    .await;
    assert!(
        !gateway
            .get("/")
            .await
            .headers()
            .contains_key("x-tidegate-panic")
    );
}

#[tokio::test]
async fn without_panic_nobody_is_asked_in_spite_of_its_probes() {
    let all = patients::<1>().await;
    let gateway = Gateway::start(&routing(&[server(&all[0], "")], "")).await;
    all[0].answers(500);
    ready(&gateway, &[]).await;
    assert_eq!(gateway.get("/").await.status(), 503);
    assert_eq!(all[0].requests(), 0);
}

#[tokio::test]
async fn who_has_just_come_up_gets_little_at_first() {
    let all = patients::<2>().await;
    let [old, new] = &all;
    new.answers(503);
    let servers = all.each_ref().map(|patient| server(patient, ""));
    let slow = routing(&servers, "    slow_start: 10m\n");
    let gateway = Gateway::start(&slow).await;
    ready(&gateway, &[old]).await;
    new.answers(200);
    ready(&gateway, &[old, new]).await;
    // A tenth of what it is picked for: of 400, each of 200 stays with it with a chance of 0.1.
    let [_, share] = spread(&gateway, &all, 400).await;
    assert!((5..=45).contains(&share), "{share} of 400");
    // An edit does not make it forget, nor warm.
    gateway.reload(&slow.replace("10m", "9m")).await;
    ready(&gateway, &[old, new]).await;
    let [_, share] = spread(&gateway, &all, 400).await;
    assert!((5..=45).contains(&share), "{share} of 400");
    gateway.reload(&slow.replace("10m", "0s")).await;
    ready(&gateway, &[old, new]).await;
    assert_eq!(spread(&gateway, &all, 40).await, [20, 20]);
}

#[tokio::test]
async fn all_that_come_up_together_share_at_once() {
    let all = patients::<2>().await;
    let servers = all.each_ref().map(|patient| server(patient, ""));
    let gateway = Gateway::start(&routing(&servers, "    slow_start: 10m\n")).await;
    let [one, two] = &all;
    ready(&gateway, &[one, two]).await;
    let [one, two] = spread(&gateway, &all, 40).await;
    assert!(one >= 15 && two >= 15, "{one} and {two}");
}

#[tokio::test]
async fn the_file_can_drain_and_disable_a_server() {
    let all = patients::<3>().await;
    let [serves, drains, disabled] = &all;
    let file = routing(
        &[
            server(serves, ", state: serve"),
            server(drains, ", state: drain"),
            server(disabled, ", state: disable"),
        ],
        "",
    );
    let gateway = Gateway::start(&file).await;
    ready(&gateway, &[serves]).await;
    assert_eq!(spread(&gateway, &all, 20).await, [20, 0, 0]);
    let told = events(&gateway, drains).await;
    assert!(
        told.contains(&("draining".to_owned(), "by the file".to_owned())),
        "{told:?}"
    );
}

#[tokio::test]
async fn in_panic_a_failure_says_so_too() {
    let gone = refusing_address();
    let file = routing(&[format!("\"{gone}\"")], "    panic_below: 50%\n");
    let gateway = Gateway::start(&file).await;
    eventually("there is panic", PATIENCE, async || {
        upstream(&gateway).await["panic"] == true
    })
    .await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status(), 502);
    assert_eq!(answer.headers()["x-tidegate-panic"], "api");
}

#[tokio::test]
async fn a_state_of_the_file_ends_at_its_moment() {
    let all = patients::<2>().await;
    let [serves, drains] = &all;
    // Its table takes a while to be made: what ends meanwhile ends even so.
    let policy = "    balance: { maglev: { key: { header: X-User }, table_size: 1048573 } }\n";
    let plain = all.each_ref().map(|patient| server(patient, ""));
    let gateway = Gateway::start(&routing(&plain, policy)).await;
    ready(&gateway, &[serves, drains]).await;
    let until = SystemTime::now() + Duration::from_secs(4);
    let until = humantime::format_rfc3339_seconds(until).to_string();
    let state = format!(", state: disable, until: \"{until}\"");
    let file = routing(&[server(serves, ""), server(drains, &state)], policy);
    gateway.reload(&file).await;
    ready(&gateway, &[serves]).await;
    let servers = upstream(&gateway).await["servers"].clone();
    let mut servers = servers.as_array().unwrap().iter();
    let said = servers.find(|one| one["state"] == "disabled").unwrap();
    assert_eq!(said["until"], until.as_str(), "{said}");
    ready(&gateway, &[serves, drains]).await;
    let servers = upstream(&gateway).await["servers"].clone();
    let mut servers = servers.as_array().unwrap().iter();
    assert!(servers.all(|one| one["until"].is_null()), "it is over");
    assert!(spread(&gateway, &all, 20).await[1] > 0);
    let told = events(&gateway, drains).await;
    let (what, why) = told.last().unwrap();
    assert_eq!(
        (what.as_str(), why.as_str()),
        ("serving", "its `until` is over")
    );
    // Who reads it later is told that it is over.
    gateway
        .reload(&format!("{file}timeouts: {{ read: 5s }}\n"))
        .await;
    let log = gateway.process.logged("W0505").await;
    assert!(log.contains("has ended"), "{log}");
}

#[tokio::test]
async fn a_server_that_drains_keeps_its_clients_and_gets_no_others() {
    let all = patients::<2>().await;
    let [one, two] = &all;
    let servers = all.each_ref().map(|patient| server(patient, ""));
    let sticky = "    balance: { sticky: { cookie: place, secret: 0123456789abcdef } }\n";
    let gateway = Gateway::start(&routing(&servers, sticky)).await;
    ready(&gateway, &[one, two]).await;
    let client = reqwest::Client::new();
    let ask = async |cookie: Option<&str>| {
        let mut request = client.get(gateway.url("/"));
        if let Some(cookie) = cookie {
            request = request.header("cookie", cookie);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let set = answer.headers().get("set-cookie");
        set.map(|set| set.to_str().unwrap().split(';').next().unwrap().to_owned())
    };
    let before = one.requests();
    let mut cookie = ask(None).await;
    if one.requests() == before {
        cookie = ask(None).await;
    }
    assert_eq!(one.requests(), before + 1);
    let path = format!("/upstreams/api/servers/{}?state=drain", one.address());
    let (status, said) = gateway.tell(&path, "").await;
    assert_eq!(status, 200, "{said}");
    ready(&gateway, &[two]).await;
    for _ in 0..5 {
        assert_eq!(ask(cookie.as_deref()).await, None, "it stays where it is");
    }
    assert_eq!(one.requests(), before + 6);
    assert_eq!(spread(&gateway, &all, 10).await, [0, 10]);
    let (status, said) = gateway.tell(&path.replace("drain", "disable"), "").await;
    assert_eq!(status, 200, "{said}");
    assert!(ask(cookie.as_deref()).await.is_some(), "it has to move");
}

#[tokio::test]
async fn in_panic_the_tier_that_has_most_left_is_asked() {
    let all = patients::<3>().await;
    let [first, backup, down] = &all;
    first.answers(503);
    down.answers(503);
    let file = routing(
        &[
            server(first, ""),
            server(backup, ", backup: true"),
            server(down, ", backup: true"),
        ],
        "    panic_below: 60%\n",
    );
    let gateway = Gateway::start(&file).await;
    ready(&gateway, &[backup, down]).await;
    assert_eq!(upstream(&gateway).await["panic"], true);
}
