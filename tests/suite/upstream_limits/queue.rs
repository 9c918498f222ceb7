//! The line: in order, bounded, left by whoever leaves, and the same after an edit.

use serde_json::Value;
use tidegate_tests::{Gateway, PATIENCE, Wire, eventually};

use crate::{Holder, LONG, ask, is_ok, is_told, quiet, routing, started, state, waiting};

#[tokio::test]
async fn a_server_never_sees_more_than_the_limit_and_the_others_wait() {
    let server = Holder::start().await;
    let gateway = started(&[&server], &format!("{{ requests: 3, queue: {LONG} }}")).await;
    let clients: Vec<_> = (0..50).map(|_| ask(&gateway, "/")).collect();
    waiting(&gateway, 47).await;
    for _ in 0..50 {
        server.next().await.go();
    }
    for client in clients {
        is_ok(client).await;
    }
    assert_eq!(server.most(), 3);
    quiet(&gateway).await;
    let limits = state(&gateway).await["limits"].clone();
    assert_eq!(limits["longest"], 47, "{limits}");
    assert_eq!(
        (&limits["shed"], &limits["queue_timeouts"]),
        (&0.into(), &0.into())
    );
}

#[tokio::test]
async fn who_waits_is_served_in_order() {
    let server = Holder::start().await;
    let gateway = started(&[&server], &format!("{{ requests: 1, queue: {LONG} }}")).await;
    let mut clients = vec![ask(&gateway, "/0")];
    let mut held = server.next().await;
    for number in 1..=5 {
        clients.push(ask(&gateway, &format!("/{number}")));
        waiting(&gateway, number).await;
    }
    for number in 0..5 {
        assert_eq!(held.go(), format!("/{number}"));
        held = server.next().await;
    }
    assert_eq!(held.go(), "/5");
    for client in clients {
        is_ok(client).await;
    }
}

#[tokio::test]
async fn who_finds_no_room_to_wait_is_told_at_once_when_to_come_back() {
    let server = Holder::start().await;
    let gateway = started(
        &[&server],
        "{ requests: 1, queue: { length: 1, timeout: 5m } }",
    )
    .await;
    let (first, held) = (ask(&gateway, "/first"), server.next().await);
    let second = ask(&gateway, "/second");
    waiting(&gateway, 1).await;
    // Nothing is let go meanwhile.
    is_told(gateway.get("/third").await, "overloaded").await;
    assert_eq!(gateway.log_line("/third").await["failure"], "overloaded");
    held.go();
    assert_eq!(server.next().await.go(), "/second");
    is_ok(first).await;
    is_ok(second).await;
    assert_eq!(state(&gateway).await["limits"]["shed"], 1);
}

#[tokio::test]
async fn without_a_queue_nobody_waits() {
    let server = Holder::start().await;
    let gateway = started(&[&server], "{ requests: 1 }").await;
    let (first, held) = (ask(&gateway, "/first"), server.next().await);
    is_told(gateway.get("/second").await, "overloaded").await;
    held.go();
    is_ok(first).await;
}

#[tokio::test]
async fn who_waits_in_vain_is_told_when_the_time_is_over() {
    let server = Holder::start().await;
    let gateway = started(
        &[&server],
        "{ requests: 1, queue: { length: 9, timeout: 50ms } }",
    )
    .await;
    let (first, held) = (ask(&gateway, "/first"), server.next().await);
    is_told(gateway.get("/second").await, "queue_timeout").await;
    assert_eq!(
        gateway.log_line("/second").await["failure"],
        "queue_timeout"
    );
    let limits = state(&gateway).await["limits"].clone();
    assert_eq!(
        (&limits["queue_timeouts"], &limits["waiting"]),
        (&1.into(), &0.into())
    );
    held.go();
    is_ok(first).await;
}

/// It is the queue's own time, and none of a filter's before it.
#[tokio::test]
async fn who_comes_late_to_the_queue_has_all_of_its_time() {
    let server = Holder::start().await;
    let limits = "{ requests: 1, queue: { length: 9, timeout: 2s } }";
    let delay =
        "filters: [ { fault: { delay: 2100ms, share: 100%, until: 2099-12-01T18:00:00Z } } ]";
    let delayed = format!("delayed: {{ match: {{ path: /delayed }}, {delay}, upstream: a }}");
    let routing =
        routing(&[&server], limits, "").replace("routes: {", &format!("routes: {{ {delayed},"));
    let gateway = Gateway::start(&routing).await;
    let (first, held) = (ask(&gateway, "/first"), server.next().await);
    let second = ask(&gateway, "/delayed");
    waiting(&gateway, 1).await;
    held.go();
    server.next().await.go();
    is_ok(first).await;
    is_ok(second).await;
}

#[tokio::test]
async fn a_client_that_leaves_gives_up_its_turn_and_no_server_hears_of_it() {
    let server = Holder::start().await;
    let gateway = started(&[&server], &format!("{{ requests: 1, queue: {LONG} }}")).await;
    let (first, held) = (ask(&gateway, "/first"), server.next().await);
    let address = gateway.address();
    let mut http1 = Wire::connect(address).await;
    http1.send("GET /http1 HTTP/1.1\r\nHost: x\r\n\r\n").await;
    waiting(&gateway, 1).await;
    // There is something to read before the end of the connection is.
    let mut with_body = Wire::connect(address).await;
    with_body
        .send("POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        .await;
    waiting(&gateway, 2).await;
    with_body.send("half").await;
    let http2 = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let http2 = tokio::spawn(http2.get(gateway.url("/http2")).send());
    waiting(&gateway, 3).await;
    let stays = ask(&gateway, "/stays");
    waiting(&gateway, 4).await;
    drop(with_body);
    waiting(&gateway, 3).await;
    http2.abort();
    waiting(&gateway, 2).await;
    drop(http1);
    waiting(&gateway, 1).await;
    held.go();
    assert_eq!(server.next().await.go(), "/stays");
    is_ok(first).await;
    is_ok(stays).await;
    for path in ["/http1", "/body", "/http2"] {
        assert_eq!(gateway.log_line(path).await["failure"], "client_gone");
    }
    quiet(&gateway).await;
}

#[tokio::test]
async fn an_edit_of_the_limit_holds_for_those_that_wait_and_loses_none() {
    let server = Holder::start().await;
    let limited = |most: u8| format!("{{ requests: {most}, queue: {{ length: 6, timeout: 5m }} }}");
    let gateway = started(&[&server], &limited(1)).await;
    let mut clients: Vec<_> = (0..7).map(|_| ask(&gateway, "/")).collect();
    waiting(&gateway, 6).await;
    let mut held = vec![server.next().await];
    // Two more get in, and nobody had to leave for it.
    gateway.reload(&routing(&[&server], &limited(3), "")).await;
    held.extend([server.next().await, server.next().await]);
    waiting(&gateway, 4).await;
    gateway.reload(&routing(&[&server], &limited(2), "")).await;
    clients.push(ask(&gateway, "/late"));
    waiting(&gateway, 5).await;
    held.pop().unwrap().go();
    // Still two: nobody comes for the first one that leaves.
    eventually("it has left", PATIENCE, async || {
        state(&gateway).await["limits"]["requests"] == 2
    })
    .await;
    waiting(&gateway, 5).await;
    for one in held {
        one.go();
    }
    let mut came = Vec::new();
    for _ in 0..5 {
        came.push(server.next().await.go());
    }
    // Two are on their way at a time, and the last of them may overtake each other there.
    let late = came.iter().position(|path| path == "/late");
    assert!(late.is_some_and(|place| place >= 3), "{came:?}");
    for client in clients {
        is_ok(client).await;
    }
    assert_eq!(server.most(), 3);
    quiet(&gateway).await;
}

#[tokio::test]
async fn an_edit_that_ends_the_limits_lets_all_through() {
    let server = Holder::start().await;
    let gateway = started(&[&server], &format!("{{ requests: 1, queue: {LONG} }}")).await;
    let clients: Vec<_> = (0..5).map(|_| ask(&gateway, "/")).collect();
    waiting(&gateway, 4).await;
    gateway.reload(&routing(&[&server], "{}", "")).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(server.next().await);
    }
    assert_eq!(state(&gateway).await["limits"], Value::Null);
    drop(held);
    for client in clients {
        is_ok(client).await;
    }
}

/// Whoever waits for a server that hangs goes to the one that the edit puts in its place, and whoever comes then finds room.
#[tokio::test]
async fn an_edit_of_the_servers_holds_for_those_that_wait() {
    let (hangs, idle) = (Holder::start().await, Holder::start().await);
    let limits = "{ server: { requests: 1 }, queue: { length: 2, timeout: 5m } }";
    let gateway = started(&[&hangs], limits).await;
    let (first, held) = (ask(&gateway, "/first"), hangs.next().await);
    let clients = [ask(&gateway, "/1"), ask(&gateway, "/2")];
    waiting(&gateway, 2).await;
    gateway.reload(&routing(&[&idle], limits, "")).await;
    for _ in 0..2 {
        idle.next().await.go();
    }
    for client in clients {
        is_ok(client).await;
    }
    let late = ask(&gateway, "/late");
    idle.next().await.go();
    is_ok(late).await;
    held.go();
    is_ok(first).await;
    assert_eq!(hangs.most(), 1);
    quiet(&gateway).await;
}
