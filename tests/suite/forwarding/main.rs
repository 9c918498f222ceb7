//! What the server is sent and what the client is sent: headers, targets, framing, upgrades, both protocols.

mod framing;
mod http2;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use http2::h2c_client;
use tidegate_tests::{Gateway, Message, Origin, PATIENCE, Recorder, Wire, all_to, eventually};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

async fn before(recorder: &Recorder) -> Gateway {
    Gateway::start(&all_to(&[recorder.address()])).await
}

/// Sends one request over HTTP/1 and returns what the server got and what the client got.
async fn exchange(request: &str) -> (Message, Message) {
    exchange_answered(request, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await
}

async fn exchange_answered(request: &str, answer: &[u8]) -> (Message, Message) {
    let recorder = Recorder::answering(answer).await;
    let gateway = before(&recorder).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(request).await;
    let answer = wire.answer().await.expect("an answer");
    (recorder.only(), answer)
}

#[tokio::test]
async fn what_a_client_says_about_where_it_came_from_is_replaced() {
    let (seen, _) = exchange(
        "GET / HTTP/1.1\r\nHost: example.com:8080\r\nX-Forwarded-For: 6.6.6.6, 7.7.7.7\r\nx-forwarded-for: 8.8.8.8\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Port: 443\r\nForwarded: for=6.6.6.6\r\n\
         X-Real-IP: 6.6.6.6\r\n\r\n",
    )
    .await;
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.all("x-forwarded-host"), ["example.com:8080"]);
    for name in ["x-forwarded-port", "forwarded", "x-real-ip"] {
        assert_eq!(seen.field(name), None, "{name}");
    }
}

#[tokio::test]
async fn the_host_is_forwarded_as_the_client_wrote_it() {
    let (seen, _) = exchange("GET / HTTP/1.1\r\nhOST: Example.COM:8080\r\n\r\n").await;
    assert_eq!(seen.all("host"), ["Example.COM:8080"]);
}

#[tokio::test]
async fn a_sound_request_id_is_kept_and_echoed() {
    let (seen, answer) =
        exchange("GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: abc-123\r\n\r\n").await;
    assert_eq!(seen.all("x-request-id"), ["abc-123"]);
    assert_eq!(answer.all("x-request-id"), ["abc-123"]);
}

#[tokio::test]
async fn a_request_id_that_is_none_is_replaced() {
    let long = "a".repeat(200);
    for given in ["", "two words", long.as_str()] {
        let (seen, answer) = exchange(&format!(
            "GET / HTTP/1.1\r\nHost: h\r\nX-Request-Id: {given}\r\n\r\n"
        ))
        .await;
        let made = seen.field("x-request-id").unwrap();
        assert_eq!(made.len(), 36, "{made}");
        assert_eq!(seen.all("x-request-id").len(), 1);
        assert_eq!(answer.all("x-request-id"), [made]);
    }
}

#[tokio::test]
async fn via_grows_in_both_directions() {
    let (seen, answer) = exchange_answered(
        "GET / HTTP/1.1\r\nHost: h\r\nVia: 1.0 before\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nVia: 1.1 behind\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(seen.all("via"), ["1.0 before", "1.1 tidegate"]);
    assert_eq!(answer.all("via"), ["1.1 behind", "1.1 tidegate"]);
}

#[tokio::test]
async fn what_concerns_one_connection_only_is_not_forwarded() {
    let (seen, answer) = exchange_answered(
        "GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n\
         Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nX-End: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Back\r\nX-Back: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\n\
          X-End: 1\r\nContent-Length: 2\r\n\r\nok",
    )
    .await;
    for name in ["x-hop", "keep-alive", "proxy-connection", "te", "upgrade"] {
        assert_eq!(seen.field(name), None, "{name} went to the server");
    }
    for name in ["x-back", "keep-alive", "upgrade"] {
        assert_eq!(answer.field(name), None, "{name} went to the client");
    }
    assert_eq!(
        (seen.field("x-end"), answer.field("x-end")),
        (Some("1"), Some("1"))
    );
}

#[tokio::test]
async fn a_target_is_forwarded_as_it_was_spelt() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let targets = [
        "/a%2Fb/c",
        "/a//b",
        "//a",
        "/a/../b",
        "/a/./b/",
        "/%41%7e?q=%20+&q=2&&",
        "/?",
        "/a?b?c/d",
        "/a;p=1,2:3@4",
    ];
    let mut wire = Wire::connect(gateway.address()).await;
    for target in targets {
        wire.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        assert_eq!(wire.answer().await.unwrap().status(), 200, "{target}");
    }
    let seen = recorder.seen();
    let seen: Vec<&str> = seen.iter().map(|request| request.word(1)).collect();
    assert_eq!(seen, targets);
}

#[tokio::test]
async fn a_header_is_the_same_in_any_case_and_repeats_as_often_as_sent() {
    let (seen, answer) = exchange_answered(
        "POST / HTTP/1.1\r\nhost: h\r\ncONTENT-lENGTH: 3\r\nX-Many: 1\r\nx-many: 2\r\nX-MANY: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\nSET-COOKIE: c=3, d\r\ncontent-length: 2\r\n\r\nok",
    )
    .await;
    assert_eq!(seen.body, b"abc");
    assert_eq!(seen.all("x-many"), ["1", "2", "3"]);
    assert_eq!(answer.all("set-cookie"), ["a=1; Path=/", "b=2", "c=3, d"]);
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

#[tokio::test]
async fn events_arrive_as_they_are_sent() {
    let more = Arc::new(Notify::new());
    let told = Arc::clone(&more);
    let origin = Origin::start(move |mut connection| {
        let told = Arc::clone(&told);
        async move {
            while connection.read_head().await.is_some() {
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
                .await;
            told.notified().await;
            connection.write(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n").await;
            }
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    for client in [tidegate_tests::client(), h2c_client()] {
        let mut answer = client.get(gateway.url("/events")).send().await.unwrap();
        let first = timeout(PATIENCE, answer.chunk())
            .await
            .expect("the first event before the second is sent");
        assert_eq!(first.unwrap().unwrap(), "data: 1\n\n");
        more.notify_one();
        let second = timeout(PATIENCE, answer.chunk()).await.unwrap();
        assert_eq!(second.unwrap().unwrap(), "data: 2\n\n");
        // HTTP/2 ends with an empty frame, or with none.
        while let Some(rest) = answer.chunk().await.unwrap() {
            assert!(rest.is_empty(), "{rest:?}");
        }
    }
}

/// The client left: the server is not kept busy for nobody.
#[tokio::test]
async fn a_client_that_leaves_takes_its_request_with_it() {
    let origin = Origin::hanging().await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /left HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the server has the request", PATIENCE, async || {
        origin.open() == 1
    })
    .await;
    drop(wire);
    eventually("the server is let go", PATIENCE, async || {
        origin.open() == 0
    })
    .await;
}
