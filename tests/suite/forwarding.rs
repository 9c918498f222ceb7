//! What the server is sent and what the client is sent: headers, targets, framing, upgrades, both protocols.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Request;
use tidegate_tests::{
    Api, Gateway, Message, Origin, PATIENCE, Recorder, Wire, all_to, all_to_with, eventually,
    upgraded, websocket,
};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

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
        "/%",
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

#[tokio::test]
async fn an_answer_without_body_leaves_the_connection_good_for_the_next() {
    let origin = Origin::start(|connection| async move {
        let mut wire = Wire::over(connection.stream);
        while let Some(request) = wire.request().await {
            let answer = match (request.word(0), request.word(1)) {
                ("HEAD", _) => "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
                (_, "/204") => "HTTP/1.1 204 No Content\r\n\r\n",
                (_, "/304") => {
                    "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n"
                }
                (_, "/empty") => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
                _ => "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody",
            };
            wire.send(answer).await;
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    for (method, path, status, body) in [
        ("HEAD", "/", 200, ""),
        ("GET", "/204", 204, ""),
        ("GET", "/304", 304, ""),
        ("GET", "/empty", 200, ""),
        ("GET", "/", 200, "body"),
    ] {
        wire.send(format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        let answer = wire
            .answer_to(method)
            .await
            .expect("the connection is kept");
        assert_eq!(
            (answer.status(), answer.text().as_str()),
            (status, body),
            "{answer:?}"
        );
        if method == "HEAD" {
            assert_eq!(answer.field("content-length"), Some("1000"));
        }
        if status == 204 {
            assert_eq!(answer.field("content-length"), None, "{answer:?}");
            assert_eq!(answer.field("transfer-encoding"), None, "{answer:?}");
        }
    }
    assert_eq!(
        origin.accepted(),
        1,
        "the server's connection was kept, too"
    );
}

/// An answer that only the end of the connection ends is whole for the client, whose connection goes on.
#[tokio::test]
async fn an_answer_that_ends_with_the_connection_is_framed_for_the_client() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
            .await;
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.text(), "until the end");
        assert_eq!(
            answer.field("transfer-encoding"),
            Some("chunked"),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_says_continue_gets_the_body_then() {
    let origin = Origin::start(|connection| async move {
        let mut wire = Wire::over(connection.stream);
        let head = wire.head().await.unwrap();
        assert_eq!(head.field("expect"), Some("100-continue"));
        wire.send("HTTP/1.1 100 Continue\r\n\r\n").await;
        let body = wire.take(5).await.unwrap();
        wire.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
            String::from_utf8_lossy(&body)
        ))
        .await;
        wire.rest().await;
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    // The client sends nothing more until it is told to.
    assert_eq!(wire.answer().await.unwrap().status(), 100);
    wire.send("hello").await;
    assert_eq!(wire.answer().await.unwrap().text(), "hello");
}

#[tokio::test]
async fn a_server_that_does_not_say_continue_is_no_reason_to_hang() {
    // It never heard of `Expect` and just waits for the body.
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        .await;
    // RFC 9110, section 10.1.1: a client must not wait for ever. This one is done waiting.
    wire.send("hello").await;
    assert_eq!(wire.final_answer().await.unwrap().text(), "ok");
    assert_eq!(recorder.only().body, b"hello");
}

#[tokio::test]
async fn a_server_that_refuses_the_expectation_is_heard_before_the_body() {
    for status in ["417 Expectation Failed", "401 Unauthorized"] {
        let origin = Origin::start(move |mut connection| async move {
            connection.read_head().await;
            connection
                .write(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno").as_bytes())
                .await;
            connection.read_until_closed().await;
        })
        .await;
        let gateway = Gateway::start(&all_to(&[origin.address()])).await;
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(
            "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        )
        .await;
        let answer = wire.answer().await.expect("an answer without a body sent");
        assert_eq!((&answer.start[9..], answer.text().as_str()), (status, "no"));
        // Nobody can say whether the body still comes: the connection ends, or takes it as a body.
        wire.send("helloGET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert!(wire.ends_within(PATIENCE).await, "the connection hangs");
    }
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_instead_of_awaited() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&format!(
        "{}limits: {{ body_size: 1KiB }}\n",
        all_to(&[recorder.address()])
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n")
        .await;
    let answer = timeout(Duration::from_secs(3), wire.answer())
        .await
        .expect("at once")
        .unwrap();
    assert_eq!(answer.status(), 413);
    assert!(recorder.seen().is_empty());
}

#[tokio::test]
async fn early_hints_do_no_harm() {
    let origin = Origin::start(|mut connection| async move {
        while connection.read_head().await.is_some() {
            connection
                .write(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n\
                      HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
                )
                .await;
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let answer = wire.final_answer().await.unwrap();
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
    // HTTP/1.0 knows no interim answers (RFC 9110, section 15.2).
    let mut old = Wire::connect(gateway.address()).await;
    old.send("GET / HTTP/1.0\r\nHost: h\r\n\r\n").await;
    assert_eq!(old.answer().await.unwrap().status(), 200);
}

type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

async fn heard(socket: &mut Socket) -> Option<tungstenite::Message> {
    timeout(PATIENCE, socket.next())
        .await
        .expect("a message in time")?
        .ok()
}

#[tokio::test]
async fn a_websocket_carries_text_binary_pings_and_the_closing_code() {
    use tungstenite::Message as M;
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    let mut socket = websocket(&gateway).await;
    let large = "x".repeat(300_000);
    for message in [M::text("hello"), M::binary(vec![0, 255, 1]), M::text(large)] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(heard(&mut socket).await, Some(message));
    }
    socket
        .send(M::Ping(Bytes::from_static(b"p")))
        .await
        .unwrap();
    assert_eq!(
        heard(&mut socket).await,
        Some(M::Pong(Bytes::from_static(b"p")))
    );
    // More than the API takes: it closes, and says why.
    socket
        .send(M::binary(vec![0; 1024 * 1024 + 1]))
        .await
        .unwrap();
    match heard(&mut socket).await {
        Some(M::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Size),
        other => panic!("{other:?}"),
    }
    let line = gateway.log_line("/api/ws").await;
    assert_eq!(line["status"], 101, "{line}");
}

#[tokio::test]
async fn every_websocket_is_a_conversation() {
    use tungstenite::Message as M;
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    for _ in 0..300 {
        let mut socket = upgraded(&gateway).await;
        socket.send(M::text("hello")).await.unwrap();
        assert_eq!(heard(&mut socket).await, Some(M::text("hello")));
    }
}

#[tokio::test]
async fn a_websocket_may_be_silent_for_longer_than_an_answer_or_a_body() {
    use tungstenite::Message as M;
    let api = Api::start("api").await;
    let gateway = Gateway::start(&format!(
        "{}listeners: {{ web: {{ address: \"${{WEB}}\", timeouts: {{ body: 300ms, write: 300ms, keep_alive: 1s, header: 300ms }} }} }}\n",
        all_to_with(&[api.address()], "timeouts: { read: 300ms, write: 300ms, idle: 300ms, tunnel: 3s }")
    ))
    .await;
    let mut socket = websocket(&gateway).await;
    // The silence is what is tested; there is nothing to wait for.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    socket.send(M::text("still here")).await.unwrap();
    assert_eq!(heard(&mut socket).await, Some(M::text("still here")));
    // And nothing is said for longer than `tunnel`: it ends.
    let ended = timeout(PATIENCE, async {
        while let Some(Ok(_)) = socket.next().await {}
    });
    let since = std::time::Instant::now();
    ended.await.expect("the tunnel ends");
    let took = since.elapsed();
    assert!((2..8).contains(&took.as_secs()), "{took:?}");
}

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

fn h2c_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.http2_prior_knowledge().build().unwrap()
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_in_its_own_way() {
    let origin = Origin::answering(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n",
    )
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    for host in ["Host: h\r\n", "", "Connection: keep-alive\r\n"] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!("GET / HTTP/1.0\r\n{host}\r\n")).await;
        let answer = wire.answer().await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        assert_eq!(answer.field("transfer-encoding"), None, "{answer:?}");
        assert_eq!(answer.text(), "abcdef", "{answer:?}");
        assert!(wire.ends_within(PATIENCE).await);
    }
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let request = |id: usize| {
        format!(
            "POST /{id} HTTP/1.1\r\nHost: h\r\nX-Request-Id: id-{id}\r\nContent-Length: 4\r\n\r\nbody"
        )
    };
    // In one piece, then in several, one of which ends within a head.
    let all: String = (0..4).map(request).collect();
    for pieces in [
        vec![all.as_str()],
        vec![&all[..10], &all[10..200], &all[200..210], &all[210..]],
    ] {
        let before = recorder.seen().len();
        let mut wire = Wire::connect(gateway.address()).await;
        for piece in pieces {
            wire.send(piece).await;
        }
        for id in 0..4 {
            let answer = wire.answer().await.expect("an answer to each");
            assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
            assert_eq!(
                answer.field("x-request-id"),
                Some(format!("id-{id}").as_str())
            );
        }
        for (id, request) in recorder.seen()[before..].iter().enumerate() {
            assert_eq!(
                (request.word(1), request.text().as_str()),
                (format!("/{id}").as_str(), "body")
            );
        }
    }
}

/// The second one comes while the first is with the server: the first one's answer must not be lost to it.
#[tokio::test]
async fn a_request_sent_while_another_is_served_waits_its_turn() {
    let more = Arc::new(Notify::new());
    let told = Arc::clone(&more);
    let origin = Origin::start(move |connection| {
        let told = Arc::clone(&told);
        async move {
            let mut wire = Wire::over(connection.stream);
            while let Some(request) = wire.request().await {
                told.notified().await;
                let path = request.word(1);
                wire.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}",
                    path.len()
                ))
                .await;
            }
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /first HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the first is with the server", PATIENCE, async || {
        origin.open() == 1
    })
    .await;
    wire.send("GET /second HTTP/1.1\r\nHost: h\r\n\r\n").await;
    for path in ["/first", "/second"] {
        more.notify_one();
        assert_eq!(wire.answer().await.expect("an answer").text(), path);
    }
}

#[tokio::test]
async fn bodies_of_unknown_length_pass_in_both_directions() {
    let recorder =
        Recorder::answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;ext=1\r\nabcd\r\n2\r\nef\r\n0\r\n\r\n")
            .await;
    let gateway = before(&recorder).await;
    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n")
            .await;
        assert_eq!(wire.answer().await.unwrap().text(), "abcdef");
    }
    for request in recorder.seen() {
        assert_eq!(request.text(), "abc0123456789");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_made_to_look_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let origin = Origin::start(move |mut connection| async move {
            connection.read_head().await;
            connection.write(answer.as_bytes()).await;
        })
        .await;
        let gateway = Gateway::start(&all_to(&[origin.address()])).await;
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(wire.answer().await, None, "{answer:?} became whole");
    }
}

async fn h2c(gateway: &Gateway) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

async fn whole(body: &mut h2::RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.expect("in time") {
        let piece = piece.unwrap();
        let _ = body.flow_control().release_capacity(piece.len());
        all.extend_from_slice(&piece);
    }
    all
}

fn h2_request(method: &str, gateway: &Gateway, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .version(http::Version::HTTP_2)
        .uri(gateway.url(path))
        .body(())
        .unwrap()
}

#[tokio::test]
async fn streams_of_one_http_2_connection_do_not_wait_for_each_other() {
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    let mut sender = h2c(&gateway).await;
    let (slow, _) = sender
        .send_request(h2_request("GET", &gateway, "/api/slow?ms=10000"), true)
        .unwrap();
    let mut quick = Vec::new();
    for _ in 0..50 {
        sender = sender.ready().await.unwrap();
        quick.push(
            sender
                .send_request(h2_request("GET", &gateway, "/api/hello"), true)
                .unwrap()
                .0,
        );
    }
    for answer in quick {
        let mut answer = timeout(Duration::from_secs(8), answer)
            .await
            .expect("before the slow one")
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["via"], "1.1 tidegate");
        assert_eq!(whole(answer.body_mut()).await, b"Hello, World!");
    }
    drop(slow);
}

#[tokio::test]
async fn http_2_reaches_a_server_of_http_1_with_host_and_body() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, mut body) = sender
        .send_request(h2_request("POST", &gateway, "/a//b?q=%2F"), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hello, "), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"stream"), true).unwrap();
    let mut answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.body_mut()).await, b"ok");
    let seen = recorder.only();
    assert_eq!(seen.start, "POST /a//b?q=%2F HTTP/1.1");
    assert_eq!(seen.all("host"), [gateway.address().to_string()]);
    assert_eq!(
        seen.all("x-forwarded-host"),
        [gateway.address().to_string()]
    );
    assert_eq!(seen.all("via"), ["2 tidegate"]);
    assert_eq!(seen.text(), "hello, stream");
}

#[tokio::test]
async fn http_2_requests_without_body_are_forwarded_without_one() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, _) = sender
        .send_request(h2_request("GET", &gateway, "/"), true)
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, answer).await.unwrap().unwrap().status(),
        200
    );
    assert_eq!(recorder.only().field("transfer-encoding"), None);
}

#[tokio::test]
async fn trailers_do_not_break_a_request() {
    let recorder =
        Recorder::answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
            .await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, mut body) = sender
        .send_request(h2_request("POST", &gateway, "/h2"), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    let mut answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.body_mut()).await, b"ok");

    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("POST /h1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\nHost: evil\r\n\r\n")
            .await;
        assert_eq!(wire.answer().await.expect("an answer").text(), "ok");
    }
    let seen = recorder.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        assert_eq!(request.text(), "hello");
        assert_eq!(request.field("x-sum"), None, "a trailer became a header");
    }
}

#[tokio::test]
async fn large_headers_pass_in_both_directions_and_both_protocols() {
    let large = "v".repeat(8 * 1024);
    let recorder = Recorder::answering(
        format!("HTTP/1.1 200 OK\r\nX-A: {large}\r\nX-B: {large}\r\nContent-Length: 2\r\n\r\nok")
            .as_bytes(),
    )
    .await;
    let gateway = before(&recorder).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: {large}\r\nX-B: {large}\r\n\r\n"
    ))
    .await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(
        (answer.field("x-a"), answer.field("x-b")),
        (Some(large.as_str()), Some(large.as_str()))
    );

    let mut sender = h2c(&gateway).await;
    let mut request = h2_request("GET", &gateway, "/");
    for name in ["x-a", "x-b"] {
        request.headers_mut().insert(name, large.parse().unwrap());
    }
    let (answer, _) = sender.send_request(request, true).unwrap();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-a"], large.as_str());
    for request in recorder.seen() {
        assert_eq!(request.field("x-b"), Some(large.as_str()));
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
