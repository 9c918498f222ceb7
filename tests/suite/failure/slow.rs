//! A server is slow, or stands still: the client gets its answer in time.

use std::time::{Duration, Instant};

use tidegate_tests::{Api, Blackhole, Gateway, Load, Origin, PATIENCE, client, eventually};

use crate::breaks_off::{BreakingOff, read};
use crate::{Counting, End, SOON, assert_failure, both_clients, routing};

#[tokio::test]
async fn a_silent_server_is_504_in_time() {
    let (silent, other) = (Origin::hanging().await, Origin::hanging().await);
    let servers = [silent.address(), other.address()];
    let gateway = Gateway::start(&routing(&servers, &["timeouts: { read: 300ms }"])).await;
    let asked = Instant::now();
    assert_failure(gateway.get("/silent").await, 504, "upstream_timeout").await;
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < SOON,
        "{took:?}"
    );
    let line = gateway.log_line("/silent").await;
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&504.into(), &1.into())
    );
    assert_eq!(line["failure"], "upstream_timeout");
    // The connection is given up with it.
    let gone = async || silent.open() + other.open() == 0;
    eventually("the server is left", PATIENCE, gone).await;
}

/// `curl --http2` offers an upgrade with every request.
#[tokio::test]
async fn an_offer_to_upgrade_that_is_no_websocket_lifts_no_timeout() {
    let silent = Origin::hanging().await;
    let options = ["timeouts: { read: 300ms }"];
    let gateway = Gateway::start(&routing(&[silent.address()], &options)).await;
    let asked = Instant::now();
    let offer = client()
        .get(gateway.url("/offer"))
        .header("Connection", "Upgrade, HTTP2-Settings")
        .header("Upgrade", "h2c")
        .send();
    assert_failure(offer.await.unwrap(), 504, "upstream_timeout").await;
    assert!(asked.elapsed() < SOON);
}

/// A tunnel may be silent for an hour, the answer that opens it may not.
#[tokio::test]
async fn a_server_that_does_not_answer_a_handshake_is_504_in_time() {
    let silent = Origin::hanging().await;
    let options = ["timeouts: { read: 300ms }"];
    let gateway = Gateway::start(&routing(&[silent.address()], &options)).await;
    let asked = Instant::now();
    let handshake = client()
        .get(gateway.url("/handshake"))
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .send();
    assert_failure(handshake.await.unwrap(), 504, "upstream_timeout").await;
    assert!(asked.elapsed() < SOON);
    assert_eq!(silent.accepted(), 1);
}

#[tokio::test]
async fn a_server_that_falls_silent_within_its_answer_is_given_up_in_time() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst part";
    let breaking = BreakingOff::start(head, End::Close).await;
    let servers = [breaking.origin.address()];
    let gateway = Gateway::start(&routing(&servers, &["timeouts: { read: 300ms }"])).await;
    for (version, client) in both_clients() {
        let asked = Instant::now();
        let answer = client.get(gateway.url("/half")).send().await.unwrap();
        let (body, is_whole) = read(answer, || ()).await;
        assert_eq!(
            (body.as_slice(), is_whole),
            (&b"first part"[..], false),
            "{version}"
        );
        assert!(asked.elapsed() < SOON, "{version}");
    }
    let line = gateway.log_line("/half").await;
    assert_eq!(line["failure"], "upstream_timeout");
}

/// A pause that is shorter than the timeout is none, however long the whole takes.
#[tokio::test]
async fn a_server_that_goes_on_in_time_is_not_given_up() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            .await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            connection.write(b"x").await;
        }
        connection.read_until_closed().await;
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &["timeouts: { read: 1s }"])).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.text().await.unwrap(), "xxxxxxxxxx");
}

#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_is_504() {
    let blackhole = Blackhole::start().await;
    let options = ["timeouts: { connect: 300ms }"];
    let gateway = Gateway::start(&routing(&[blackhole.address], &options)).await;
    let asked = Instant::now();
    assert_failure(gateway.get("/hole").await, 504, "connect_timeout").await;
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < SOON,
        "{took:?}"
    );
    assert_eq!(gateway.log_line("/hole").await["status"], 504);

    // With another server beside it, nobody notices but for the time.
    let good = Counting::start(End::Answer).await;
    let servers = [blackhole.address, good.address()];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    for _ in 0..4 {
        let post = client().post(gateway.url("/")).body("order").send();
        assert_eq!(post.await.unwrap().status(), 200);
    }
    assert_eq!(good.requests(), 4);
}

#[tokio::test]
async fn a_server_that_stands_still_is_left_out_until_it_goes_on() {
    let apis = [Api::start("one").await, Api::start("two").await];
    let servers = apis.each_ref().map(Api::address);
    let check = "health_check: { http: { path: /api/health, interval: 100ms, timeout: 300ms, \
                 healthy_after: 1, unhealthy_after: 2 } }";
    let options = [check, "timeouts: { read: 500ms }"];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    let url = gateway.url("/api/whoami");
    let ready = async || gateway.ready().await.body["upstreams"][0]["ready"] == 2;
    eventually("both are up", PATIENCE, ready).await;
    let load = Load::start(&url, 4);
    load.more(20).await;
    apis[0].process.stop();
    let left_out = async || gateway.ready().await.body["upstreams"][0]["ready"] == 1;
    eventually("it is left out", PATIENCE, left_out).await;
    // Those that it had already got end in time, one way or the other: none hangs.
    let report = load.stop().await;
    let known: Vec<&u16> = report.statuses.keys().collect();
    assert!(known == [&200] || known == [&200, &504], "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    let report = Load::run(&url, 4, 200).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    apis[0].process.cont();
    eventually("it is back", PATIENCE, ready).await;
    let report = Load::run(&url, 4, 200).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances["one"], 100, "{report:?}");
}
