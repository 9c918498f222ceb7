//! How much a client may ask for, and how long it may take: limits of the file, and a listener's timeouts.

use std::time::{Duration, Instant};

use tidegate_tests::{Gateway, Origin, PATIENCE, Recorder, Wire, all_to, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

async fn before(recorder: &Recorder, sections: &str) -> Gateway {
    Gateway::start(&format!("{}{sections}", all_to(&[recorder.address()]))).await
}

/// A gateway whose listener has these keys.
async fn listening(recorder: &Recorder, keys: &str) -> Gateway {
    before(recorder, &listener(keys)).await
}

fn listener(keys: &str) -> String {
    format!("listeners: {{ web: {{ address: \"${{WEB}}\", {keys} }} }}\n")
}

fn h2c() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap()
}

async fn status_of(
    client: &reqwest::Client,
    gateway: &Gateway,
    fields: &[(String, String)],
) -> u16 {
    let mut request = client.get(gateway.url("/"));
    for (name, value) in fields {
        request = request.header(name, value);
    }
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_header_above_the_size_is_431() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { header_size: 2KiB }\n").await;
    for client in [tidegate_tests::client(), h2c()] {
        let of = |length| vec![("x-large".to_owned(), "x".repeat(length))];
        assert_eq!(status_of(&client, &gateway, &of(1000)).await, 200);
        assert_eq!(status_of(&client, &gateway, &of(2100)).await, 431);
    }
    assert_eq!(recorder.seen().len(), 2);
    // A long path is part of it.
    let path = format!("/{}", "p".repeat(2100));
    assert_eq!(gateway.get(&path).await.status(), 431);
}

#[tokio::test]
async fn more_header_fields_than_allowed_are_431() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { header_count: 20 }\n").await;
    for client in [tidegate_tests::client(), h2c()] {
        let of = |count| {
            (0..count)
                .map(|index| (format!("x-{index}"), "1".to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(status_of(&client, &gateway, &of(15)).await, 200);
        assert_eq!(status_of(&client, &gateway, &of(21)).await, 431);
    }
}

#[tokio::test]
async fn more_than_the_parser_takes_is_431_too() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { header_size: 1000KiB }\n").await;
    for field in [
        format!("X-Large: {}\r\n", "x".repeat(1_100_000)),
        "X: 1\r\n".repeat(300),
    ] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!("GET / HTTP/1.1\r\nHost: h\r\n{field}\r\n"))
            .await;
        assert_eq!(wire.answer().await.expect("an answer").status(), 431);
        assert!(wire.ends_within(PATIENCE).await);
    }
    assert!(recorder.seen().is_empty());
}

/// What a body brings along is no field of the head.
#[tokio::test]
async fn a_broken_head_with_a_long_body_is_400() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "").await;
    let mut wire = Wire::connect(gateway.address()).await;
    let body = "1\r\n".repeat(400);
    wire.send(format!("POST / HTTP/1.1\r\nHo st: h\r\n\r\n{body}"))
        .await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 400);
}

/// Otherwise the parser's own bound is what a connection may cost.
#[tokio::test]
async fn a_head_above_the_size_is_431_before_it_is_complete() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "").await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(format!(
        "GET / HTTP/1.1\r\nX-Large: {}",
        "x".repeat(100_000)
    ))
    .await;
    let answer = wire.answer().await.expect("an answer");
    assert_eq!(answer.status(), 431);
    assert_eq!(answer.json()["error"]["reason"], "head_too_large");
    assert!(wire.ends_within(PATIENCE).await);
    let line = refusal_line(&gateway).await;
    assert_eq!(
        (&line["status"], &line["failure"], &line["request_id"]),
        (
            &431.into(),
            &"head_too_large".into(),
            &answer.field("x-request-id").unwrap().into()
        ),
    );
    // The limit of the file as it is now, for the next head on a connection that is there already.
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status(), 200);
    gateway
        .reload(&format!(
            "{}limits: {{ header_size: 200KiB }}\n",
            all_to(&[recorder.address()])
        ))
        .await;
    let large = "x".repeat(100_000);
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX-Large: {large}\r\n\r\n"
    ))
    .await;
    assert_eq!(wire.answer().await.unwrap().status(), 200);
}

#[tokio::test]
async fn unfinished_heads_cost_no_more_than_the_limit() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "").await;
    let before = gateway.process.peak_memory();
    let head = format!("GET / HTTP/1.1\r\nX-Large: {}", "x".repeat(900_000));
    let mut wires = Vec::new();
    for _ in 0..100 {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(&head).await;
        wires.push(wire);
    }
    for wire in &mut wires {
        assert!(wire.ends_within(PATIENCE).await);
    }
    let grown = gateway.process.peak_memory() - before;
    assert!(grown < 40_000_000, "{grown} bytes for 100 connections");
}

/// HTTP/2 has a bound of its own below ours.
#[tokio::test]
async fn an_http_2_head_may_be_as_large_as_the_limit() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { header_size: 200KiB }\n").await;
    // A field alone may not be as large for the client.
    let of = |count| {
        (0..count)
            .map(|index| (format!("x-{index}"), "x".repeat(10_000)))
            .collect::<Vec<_>>()
    };
    assert_eq!(status_of(&h2c(), &gateway, &of(15)).await, 200);
    assert_eq!(status_of(&h2c(), &gateway, &of(25)).await, 431);
}

/// The line of a request that has neither method nor path.
async fn refusal_line(gateway: &Gateway) -> serde_json::Value {
    eventually("a line of it", PATIENCE, async || {
        let mut lines = gateway.log_lines().into_iter();
        lines.find(|line| line["method"] == "-")
    })
    .await
}

#[tokio::test]
async fn a_body_announced_above_the_limit_is_413_before_a_server_hears_of_it() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { body_size: 1KiB }\n").await;
    for client in [tidegate_tests::client(), h2c()] {
        let post = |length: usize| {
            client
                .post(gateway.url("/"))
                .body("x".repeat(length))
                .send()
        };
        assert_eq!(post(1025).await.unwrap().status(), 413);
        assert_eq!(recorder.accepted(), 0);
    }
    assert_eq!(
        tidegate_tests::client()
            .post(gateway.url("/"))
            .body("x".repeat(1024))
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
}

#[tokio::test]
async fn a_body_that_grows_above_the_limit_is_413() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder, "limits: { body_size: 1KiB }\n").await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST /grows HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n")
        .await;
    let chunk = format!("200\r\n{}\r\n", "x".repeat(512));
    for _ in 0..3 {
        wire.send(&chunk).await;
    }
    assert_eq!(wire.answer().await.unwrap().status(), 413);
    assert!(
        recorder.seen().is_empty(),
        "the server took a cut body for a whole one"
    );
    let line = gateway.log_line("/grows").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&413.into(), &"body_too_large".into())
    );
}

/// How long the other side takes to end the connection.
async fn ended_after(mut wire: Wire) -> Duration {
    let since = Instant::now();
    assert!(
        wire.ends_within(PATIENCE).await,
        "the connection is still open"
    );
    since.elapsed()
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off_at_the_deadline() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { header: 1s }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    let since = Instant::now();
    wire.send("GET /slow HTTP/1.1\r\nX-Slow: ").await;
    let mut answer = Vec::new();
    // A byte at a time, each well within any timeout of a single read.
    while since.elapsed() < PATIENCE {
        let mut buffer = [0; 1024];
        match timeout(Duration::from_millis(100), wire.stream.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => answer.extend_from_slice(&buffer[..length]),
            Ok(_) => break,
            Err(_) => drop(wire.send("x").await),
        }
    }
    let took = since.elapsed();
    assert!((900..4000).contains(&took.as_millis()), "{took:?}");
    let line = refusal_line(&gateway).await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&408.into(), &"head_timeout".into()),
        "{line}"
    );
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let id = line["request_id"].as_str().unwrap();
    assert!(answer.contains(id), "{id} {answer}");
}

/// The second request's head has the same deadline as the first one's.
#[tokio::test]
async fn a_head_that_trickles_in_later_is_cut_off_too() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { header: 1s }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status(), 200);
    wire.send("GET /second HTTP/1.1\r\n").await;
    let took = ended_after(wire).await;
    assert!((900..4000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_body_that_falls_silent_is_408() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { body: 500ms }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST /silent HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        .await;
    let since = Instant::now();
    let answer = wire.answer().await.expect("an answer");
    assert_eq!(answer.status(), 408);
    assert!(since.elapsed() < Duration::from_secs(5));
    assert!(wire.ends_within(PATIENCE).await);
    let line = gateway.log_line("/silent").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&408.into(), &"body_timeout".into())
    );
}

#[tokio::test]
async fn a_client_that_does_not_take_its_answer_is_let_go() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n")
            .await;
        let piece = vec![b'x'; 64 * 1024];
        while connection.write(&piece).await {}
    })
    .await;
    let gateway = Gateway::start(&format!(
        "{}{}",
        all_to(&[origin.address()]),
        listener("timeouts: { write: 1s }")
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /unread HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the server is asked", PATIENCE, async || origin.open() == 1).await;
    eventually("the server is let go", PATIENCE, async || {
        origin.open() == 0
    })
    .await;
    gateway.log_line("/unread").await;
}

#[tokio::test]
async fn a_connection_without_next_request_is_closed() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { keep_alive: 1s }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(wire.answer().await.unwrap().status(), 200);
    }
    let took = ended_after(wire).await;
    assert!((800..4000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_connection_that_never_says_anything_is_closed() {
    let recorder = Recorder::start().await;
    for protocols in ["", ", protocols: [ http1 ]", ", protocols: [ h2c ]"] {
        let gateway = listening(
            &recorder,
            &format!("timeouts: {{ keep_alive: 1s, header: 1s }}{protocols}"),
        )
        .await;
        let took = ended_after(Wire::connect(gateway.address()).await).await;
        assert!(
            (800..5000).contains(&took.as_millis()),
            "{protocols} {took:?}"
        );
    }
}

/// It may be the start of HTTP/2's preface or of a POST: who has said something has as long as for any head.
#[tokio::test]
async fn a_first_byte_that_decides_nothing_is_408_at_the_deadline() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { header: 1s }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    let since = Instant::now();
    wire.send("P").await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 408);
    let took = ended_after(wire).await + since.elapsed();
    assert!((900..4000).contains(&took.as_millis()), "{took:?}");
    // Who says no more by hanging up is not waited for.
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("P").await;
    wire.stream.shutdown().await.unwrap();
    let took = ended_after(wire).await;
    assert!(took < Duration::from_millis(900), "{took:?}");
    // And who goes on is served.
    let mut wire = Wire::connect(gateway.address()).await;
    for piece in [
        "P",
        "OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    ] {
        wire.send(piece).await;
        let _ = timeout(Duration::from_millis(50), wire.stream.readable()).await;
    }
    assert_eq!(wire.answer().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_http_2_connection_without_streams_is_closed() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "timeouts: { keep_alive: 1s, header: 1s }").await;
    let mut wire = Wire::connect(gateway.address()).await;
    // The preface and empty settings, and nothing ever after.
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await;
    let took = ended_after(wire).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
    // Half a preface is no connection at all.
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(b"PRI * HTTP/2.0\r\n").await;
    let took = ended_after(wire).await;
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test]
async fn a_connection_above_the_number_waits_and_is_served() {
    let recorder = Recorder::start().await;
    let gateway = listening(&recorder, "max_connections: 2").await;
    let mut served = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(wire.answer().await.unwrap().status(), 200);
        served.push(wire);
    }
    let mut next = Wire::connect(gateway.address()).await;
    next.send("GET /next HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let early = timeout(Duration::from_millis(700), next.answer()).await;
    assert!(early.is_err(), "a third connection was served: {early:?}");
    assert_eq!(recorder.seen().len(), 2);
    drop(served.pop());
    assert_eq!(
        next.answer().await.expect("its turn has come").status(),
        200
    );
}

#[tokio::test]
async fn a_protocol_that_is_not_listed_is_not_spoken() {
    let recorder = Recorder::start().await;
    let one = listening(&recorder, "protocols: [ http1 ]").await;
    assert_eq!(one.get("/").await.status(), 200);
    assert!(h2c().get(one.url("/")).send().await.is_err());
    let two = listening(&recorder, "protocols: [ h2c ]").await;
    assert_eq!(h2c().get(two.url("/")).send().await.unwrap().status(), 200);
    assert!(
        tidegate_tests::client()
            .get(two.url("/"))
            .send()
            .await
            .is_err()
    );
}
