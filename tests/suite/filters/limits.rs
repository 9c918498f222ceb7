//! `rate_limit`, `body_limit`: how much is served.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tidegate_tests::{Gateway, Message, Origin, PATIENCE, Wire, all_to, eventually, websocket};

use crate::Way;

/// How a bucket stands: what `r` says.
fn left(answer: &Message) -> u64 {
    let said = answer.field("ratelimit").expect("a field");
    let (_, rest) = said.split_once(";r=").expect("what is left");
    rest.split(';')
        .next()
        .and_then(|left| left.parse().ok())
        .expect("a number")
}

#[tokio::test]
async fn what_is_above_the_rate_is_refused_and_told_when_to_come_back() {
    let way = Way::start(
        "[ { rate_limit: { rate: 2/h, burst: 3 } } ]",
        "path_prefix: /",
    )
    .await;
    for expected in [2, 1, 0] {
        let answer = way.answer("GET / HTTP/1.1|Host: h").await;
        assert_eq!((answer.status(), left(&answer)), (200, expected));
        assert_eq!(
            answer.field("ratelimit-policy"),
            Some("\"client\";q=3;w=5400")
        );
    }
    let answer = way.answer("GET / HTTP/1.1|Host: h").await;
    assert_eq!((answer.status(), left(&answer)), (429, 0));
    let after: u64 = answer.field("retry-after").unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&after), "{after}");
    assert_eq!(answer.json()["error"]["reason"], "rate_limited");
    assert_eq!(way.server.seen().len(), 3);
}

#[tokio::test]
async fn a_bucket_fills_again() {
    let way = Way::start(
        "[ { rate_limit: { rate: 1/s, burst: 1 } } ]",
        "path_prefix: /",
    )
    .await;
    let since = Instant::now();
    assert_eq!(way.status("").await, 200);
    assert_eq!(way.status("").await, 429);
    eventually("it is let in", PATIENCE, async || {
        way.status("").await == 200
    })
    .await;
    assert!(since.elapsed() >= Duration::from_millis(900));
}

#[tokio::test]
async fn requests_are_counted_by_what_the_file_says() {
    let limited = |by: &str| format!("[ {{ rate_limit: {{ rate: 1/h, by: {by} }} }} ]");
    let way = Way::start(&limited("{ header: X-Key }"), "path_prefix: /").await;
    for (fields, status) in [
        ("|X-Key: a", 200),
        ("|X-Key: b", 200),
        ("|X-Key: a", 429),
        ("", 200),
        ("", 429),
    ] {
        assert_eq!(way.status(fields).await, status, "{fields}");
    }
    let way = Way::start(&limited("{ cookie: id }"), "path_prefix: /").await;
    for (fields, status) in [
        ("|Cookie: id=a; x=1", 200),
        ("|Cookie: id=b; x=1", 200),
        ("|Cookie: x=2; id=a", 429),
    ] {
        assert_eq!(way.status(fields).await, status, "{fields}");
    }
    let way = Way::start(&limited("route"), "path_prefix: /").await;
    assert_eq!(way.status("|X-Key: a").await, 200);
    assert_eq!(way.status("|X-Key: b").await, 429);
    let way = Way::start(&limited("client"), "path_prefix: /").await;
    assert_eq!(way.status("|X-Key: a").await, 200);
    assert_eq!(way.status("|X-Key: b").await, 429);
}

/// Who is forgotten to make room begins anew.
#[tokio::test]
async fn so_many_are_remembered_and_no_more() {
    let way = Way::start(
        "[ { rate_limit: { rate: 1/h, by: { header: X-Key }, keys: 16 } } ]",
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.status("|X-Key: first").await, 200);
    assert_eq!(way.status("|X-Key: first").await, 429);
    for key in 0..200 {
        way.status(&format!("|X-Key: {key}")).await;
    }
    assert_eq!(way.status("|X-Key: first").await, 200);
}

/// An edit elsewhere does not give everybody a full bucket.
#[tokio::test]
async fn what_was_counted_survives_a_reload_unless_the_limit_changes() {
    let server = Origin::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let routing = |rate: &str, more: &str| {
        format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nfilters:\n  few: {{ rate_limit: {{ rate: {rate} }} }}\nroutes:\n  \
             own: {{ match: {{ path: /own }}, filters: [ {more} {{ rate_limit: {{ rate: 1/h }} }} ], upstream: api }}\n  \
             one: {{ match: {{ path: /one }}, filters: [ few ], upstream: api }}\n  \
             two: {{ match: {{ path: /two }}, filters: [ few ], upstream: api }}\n",
            server.address()
        )
    };
    let gateway = Gateway::start(&routing("2/h", "")).await;
    let statuses = async |expected: [(&str, u16); 3]| {
        for (path, status) in expected {
            assert_eq!(gateway.get(path).await.status().as_u16(), status, "{path}");
        }
    };
    statuses([("/own", 200), ("/one", 200), ("/two", 200)]).await;
    let other = "{ response_headers: { set: { X-New: \"1\" } } },";
    gateway.reload(&routing("2/h", other)).await;
    statuses([("/own", 429), ("/one", 429), ("/two", 429)]).await;
    gateway.reload(&routing("3/h", other)).await;
    statuses([("/own", 429), ("/one", 200), ("/two", 200)]).await;
}

/// One that says how long it is, and one that does not.
#[tokio::test]
async fn a_server_hears_nothing_of_a_body_that_is_too_large() {
    let heard = Arc::new(AtomicUsize::new(0));
    let server = Origin::start({
        let heard = Arc::clone(&heard);
        move |connection| {
            let heard = Arc::clone(&heard);
            async move {
                let mut wire = Wire::over(connection.stream);
                while wire
                    .stream
                    .peek(&mut [0])
                    .await
                    .is_ok_and(|bytes| bytes > 0)
                {
                    heard.fetch_add(1, Ordering::Relaxed);
                    let request = wire.request().await.expect("a whole request");
                    let length = request.body.len().to_string();
                    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}", length.len());
                    wire.send(format!("{head}\r\n\r\n{length}")).await;
                }
            }
        }
    })
    .await;
    let gateway = Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  all: {{ filters: [ {{ body_limit: 50kB }} ], upstream: api }}\n",
        server.address()
    ))
    .await;
    let chunks = |size: usize| {
        let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1000));
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n",
            chunk.repeat(size)
        )
    };
    let announced = |size: usize| {
        let body = "x".repeat(size * 1000);
        format!(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
            size * 1000
        )
    };
    for (request, status, text) in [
        (chunks(50), 200, "50000"),
        (announced(50), 200, "50000"),
        (chunks(51), 413, ""),
        (announced(51), 413, ""),
        (chunks(1), 200, "1000"),
        (chunks(0), 200, "0"),
    ] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(request).await;
        let answer = wire.final_answer().await.expect("an answer");
        assert_eq!(answer.status(), status);
        if status == 200 {
            assert_eq!(answer.text(), text);
        }
    }
    assert_eq!(heard.load(Ordering::Relaxed), 4, "those that were let in");
}

/// What was held back is sent when it is whole, and not before.
#[tokio::test]
async fn a_body_of_unknown_length_is_held_back_until_it_is_whole() {
    let way = Way::start("[ { body_limit: 1MiB } ]", "path_prefix: /").await;
    let mut wire = Wire::connect(way.gateway.address()).await;
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    eventually("the connection stands", PATIENCE, async || {
        way.server.accepted() == 1
    })
    .await;
    assert!(way.server.seen().is_empty());
    wire.send("6\r\nsecond\r\n0\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
    assert_eq!(way.server.only().text(), "firstsecond");
}

/// What goes through a tunnel is no body.
#[tokio::test]
async fn a_websocket_is_not_cut_by_a_limit_for_bodies() {
    let api = tidegate_tests::Api::start("api").await;
    let routing = all_to(&[api.address()]).replace(
        "upstream: api }",
        "filters: [ { body_limit: 100B } ], limits: { body_size: 100B }, upstream: api }",
    );
    let gateway = Gateway::start(&routing).await;
    let mut socket = websocket(&gateway).await;
    for _ in 0..3 {
        let message = "x".repeat(1000);
        socket.send(message.clone().into()).await.unwrap();
        let echo = socket.next().await.unwrap().unwrap();
        assert_eq!(echo.into_text().unwrap(), message);
    }
}

/// A client that waits for leave to send its body gets it from the server.
#[tokio::test]
async fn who_waits_for_leave_is_not_held_back() {
    let server = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection.write(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await;
    })
    .await;
    let gateway = Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  all: {{ filters: [ {{ body_limit: 1MiB }} ], upstream: api }}\n",
        server.address()
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n",
    )
    .await;
    assert_eq!(wire.answer().await.expect("leave").status(), 100);
    wire.send("2\r\nhi\r\n0\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
}

/// The connection was free for a moment too long, and nothing had been sent over it.
#[tokio::test]
async fn a_slow_upload_that_is_held_back_survives_a_server_that_hangs_up() {
    let way = Way::start("[ { body_limit: 1MiB } ]", "path_prefix: /").await;
    assert_eq!(way.status("").await, 200);
    let mut wire = Wire::connect(way.gateway.address()).await;
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        .await;
    eventually("a connection of its own", PATIENCE, async || {
        way.server.accepted() == 2
    })
    .await;
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
}
