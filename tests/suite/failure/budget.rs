//! Servers fail all at once: what is sent again is bounded, and what is counted outlives an edit.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::{
    Blackhole, Gateway, Load, Origin, PATIENCE, client, eventually, refusing_address,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{Counting, End, OK, requests, routing};

/// A brown-out is not multiplied: for every ten requests there are two more at the most, and the few that are always allowed.
#[tokio::test]
async fn a_brown_out_is_not_multiplied() {
    const CLIENTS: usize = 32;
    const REQUESTS: u64 = 2000;
    let busy = End::Say(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
    for (end, status) in [(busy, 503), (End::Close, 502)] {
        let servers = [
            Counting::start(end).await,
            Counting::start(end).await,
            Counting::start(end).await,
        ];
        let addresses = servers.each_ref().map(Counting::address);
        let option = "retry: { statuses: [ 503 ] }";
        let gateway = Gateway::start(&routing(&addresses, &[option])).await;
        let report = Load::run(&gateway.url("/"), CLIENTS, REQUESTS).await;
        assert_eq!(report.statuses[&status], REQUESTS, "{report:?}");
        let attempts: usize = servers.iter().map(Counting::requests).sum();
        let most = REQUESTS + REQUESTS / 5 + CLIENTS as u64;
        assert!(attempts as u64 <= most, "{attempts} {end:?}");
        let requests = requests(&gateway).await;
        let retries = requests["retries"].as_u64().unwrap();
        assert_eq!(attempts as u64, REQUESTS + retries, "{requests}");
        assert!(retries > 0, "{requests}");
        assert!(requests["retries_denied"].as_u64().unwrap() > REQUESTS / 2);
        assert_eq!(requests["retries_succeeded"], 0, "{requests}");
        let free = async || self::requests(&gateway).await["retries_under_way"] == 0;
        eventually("all places are free", PATIENCE, free).await;
    }
}

/// Answers 503 when it is asked for a path for the first time, and the next time not before it is told to.
async fn second_time_slowly(seen: &Arc<Mutex<HashSet<String>>>, go: &Arc<Semaphore>) -> Origin {
    let (seen, go) = (Arc::clone(seen), Arc::clone(go));
    Origin::start(move |mut connection| {
        let (seen, go) = (Arc::clone(&seen), Arc::clone(&go));
        async move {
            while let Some(head) = connection.read_head().await {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let is_new = seen.lock().unwrap().insert(path);
                let answer = if is_new {
                    b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
                } else {
                    let _ = go.acquire().await.unwrap();
                    OK
                };
                connection.write(answer).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn as_many_are_sent_again_as_the_budget_says_and_an_edit_forgets_none() {
    let (seen, go) = (Arc::default(), Arc::new(Semaphore::new(0)));
    let servers = [
        second_time_slowly(&seen, &go).await,
        second_time_slowly(&seen, &go).await,
    ];
    let servers = servers.each_ref().map(Origin::address);
    let rules = |attempts: u8| {
        let budget = "budget: { share: 0%, min: 2 }";
        let option = format!("retry: {{ statuses: [ 503 ], attempts: {attempts}, {budget} }}");
        routing(&servers, &[&option])
    };
    let gateway = Gateway::start(&rules(3)).await;
    let mut asked = JoinSet::new();
    for number in 0..5 {
        let request = client().get(gateway.url(&format!("/{number}")));
        asked.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    for _ in 0..3 {
        assert_eq!(asked.join_next().await.unwrap().unwrap(), 503);
    }
    let counted = async |under_way: u64, succeeded: u64| {
        let now = requests(&gateway).await;
        let is_so = now["retries_under_way"] == under_way
            && now["retries_succeeded"] == succeeded
            && now["retries_denied"] == 3
            && now["retries"] == 2
            && now["all"] == 5;
        if is_so { Ok(()) } else { Err(now) }
    };
    eventually("two are sent again", PATIENCE, async || counted(2, 0).await).await;
    gateway.reload(&rules(4)).await;
    counted(2, 0).await.unwrap();
    // The places are taken, whatever the file says now.
    let next = client().get(gateway.url("/next")).send().await.unwrap();
    assert_eq!(next.status(), 503);
    assert_eq!(requests(&gateway).await["retries_denied"], 4);
    go.add_permits(100);
    for _ in 0..2 {
        assert_eq!(asked.join_next().await.unwrap().unwrap(), 200);
    }
    let free = async || {
        let now = requests(&gateway).await;
        now["retries_under_way"] == 0 && now["retries_succeeded"] == 2
    };
    eventually("the places are free", PATIENCE, free).await;
    assert_eq!(gateway.get("/last").await.status(), 200);
}

/// A server that holds some of its requests until it is told to go on, and then answers or hangs up; how many it got.
async fn holding(go: &Arc<Semaphore>, answers: bool) -> (Origin, Arc<AtomicUsize>) {
    let (go, held) = (Arc::clone(go), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&held);
    let origin = Origin::start(move |mut connection| {
        let (go, counted) = (Arc::clone(&go), Arc::clone(&counted));
        async move {
            while let Some(head) = connection.read_head().await {
                if !head.starts_with("GET /held ") {
                    connection.write(OK).await;
                    continue;
                }
                counted.fetch_add(1, Ordering::SeqCst);
                go.acquire().await.unwrap().forget();
                if !answers {
                    return;
                }
                connection.write(OK).await;
            }
        }
    })
    .await;
    (origin, held)
}

#[tokio::test]
async fn what_one_server_had_under_way_is_sent_again_when_it_dies() {
    const HELD: usize = 30;
    for (reserve, before, lost) in [(100, 400, 0), (5, 400, HELD - 3 - 5), (100, 0, HELD - 3)] {
        let [dies_now, answer_now] = [(); 2].map(|()| Arc::new(Semaphore::new(0)));
        let (dies, held) = holding(&dies_now, false).await;
        let (well, saved) = holding(&answer_now, true).await;
        let option = format!("retry: {{ budget: {{ share: 0%, min: 3, reserve: {reserve} }} }}");
        // All go to the first as long as it lives.
        let routing = routing(&[dies.address()], &[&option]).replace(
            " ]\n",
            &format!(", {{ address: \"{}\", backup: true }} ]\n", well.address()),
        );
        let gateway = Gateway::start(&routing).await;
        for number in 0..before {
            assert_eq!(gateway.get(&format!("/{number}")).await.status(), 200);
        }
        let mut asked = JoinSet::new();
        for _ in 0..HELD {
            let request = client().get(gateway.url("/held"));
            asked.spawn(async move { request.send().await.unwrap().status().as_u16() });
        }
        let arrived = async || held.load(Ordering::SeqCst) == HELD;
        eventually("it has all of them", PATIENCE, arrived).await;
        // For long enough that none of its connections can have been stale.
        tokio::time::sleep(Duration::from_millis(300)).await;
        dies_now.add_permits(HELD);
        let arrived = async || saved.load(Ordering::SeqCst) == HELD - lost;
        eventually("the other one has those that were saved", PATIENCE, arrived).await;
        answer_now.add_permits(HELD);
        let statuses = asked.join_all().await;
        let failed = statuses.iter().filter(|status| **status == 502).count();
        assert_eq!(failed, lost, "{reserve}: {statuses:?}");
    }
}

/// A server that is gone fails no request, whether its machine says so or not; there is nothing that it would do twice.
#[tokio::test]
async fn a_connection_that_does_not_stand_costs_no_place() {
    let silent = Blackhole::start().await;
    let well = Counting::start(End::Answer).await;
    for (server, kind) in [
        (silent.address, "connect_timeout"),
        (refusing_address(), "connect_failed"),
    ] {
        let options = [
            "timeouts: { connect: 500ms }",
            "retry: { budget: { share: 0%, min: 0 } }",
        ];
        let gateway = Gateway::start(&routing(&[server, well.address()], &options)).await;
        let report = Load::run(&gateway.url("/"), 10, 40).await;
        assert_eq!(report.statuses[&200], 40, "{kind}: {report:?}");
        let requests = requests(&gateway).await;
        assert_eq!(requests["retries_denied"], 0, "{requests}");
        assert!(requests["retries_after"]["not_sent"].as_u64() >= Some(10));
        assert_eq!(
            requests["retries_after"]["not_sent"],
            requests["failures"][kind]
        );
    }
}

#[tokio::test]
async fn what_becomes_of_requests_is_counted_by_its_kind() {
    let counted = async |end: Option<End>, options: &[&str]| {
        let server = Counting::start(end.unwrap_or(End::Close)).await;
        let address = match end {
            Some(_) => server.address(),
            None => refusing_address(),
        };
        let gateway = Gateway::start(&routing(&[address], options)).await;
        gateway.get("/").await;
        requests(&gateway).await
    };
    let once = "retry: { attempts: 1 }";
    let busy = End::Say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let nonsense = End::Say(b"SSH-2.0-x\r\n\r\n");
    for (end, kind) in [
        (End::Close, "upstream_closed"),
        (busy, "status_5xx"),
        (nonsense, "bad_answer"),
    ] {
        let requests = counted(Some(end), &[once]).await;
        let failures = requests["failures"].as_object().unwrap();
        for (name, number) in failures {
            assert_eq!(*number, u64::from(name == kind), "{kind}: {requests}");
        }
    }
    let probed = "health_check: { tcp: { interval: 50ms } }";
    let requests = counted(None, &[once, probed]).await;
    assert_eq!(
        (&requests["all_down"], &requests["no_servers"]),
        (&1.into(), &0.into())
    );
    assert_eq!(requests["retries_allowed"], 3, "{requests}");
    assert_eq!(requests["hedge_after_ms"], Value::Null);
    let requests = counted(None, &[once, "hedge: { after: 50ms }"]).await;
    assert_eq!(requests["hedge_after_ms"], 50.0, "{requests}");
}
