//! Where a message ends, and what comes between a request and its answer.

use tidegate_tests::{Gateway, Origin, PATIENCE, Recorder, Wire, all_to, eventually};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::*;

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

/// Pingora writes a target with spaces anew and longer. What it had of the next request must not be taken for a part of it.
#[tokio::test]
async fn a_request_sent_ahead_is_answered_whatever_the_one_before_looked_like() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let second = "GET / HTTP/1.1\r\nHost: ab\r\n\r\n";
    // Each space becomes two bytes longer: as many as make the length of the next request, and others.
    for spaces in [second.len() / 2, 1, 3] {
        let first = format!(
            "GET /?q=a{} HTTP/1.1\r\nHost: ab\r\n\r\n",
            " b".repeat(spaces)
        );
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!("{first}{second}")).await;
        for number in 0..2 {
            let answer = timeout(PATIENCE, wire.answer()).await.expect("no hang");
            let answer = answer.expect("an answer to each");
            assert_eq!(answer.status(), 200, "{spaces} spaces, request {number}");
        }
        wire.send(second).await;
        let answer = timeout(PATIENCE, wire.answer()).await.expect("no hang");
        assert_eq!(answer.expect("an answer").status(), 200);
    }
}

/// A slow answer is passed on as it comes, also while the client has sent its next request, and what there is of one that
/// breaks off is passed on, too.
#[tokio::test]
async fn what_there_is_of_an_answer_is_not_held_back() {
    let more = Arc::new(Notify::new());
    let told = Arc::clone(&more);
    let origin = Origin::start(move |mut connection| {
        let told = Arc::clone(&told);
        async move {
            connection.read_head().await;
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
                .await;
            for part in [&b"first "[..], b"second "] {
                told.notified().await;
                connection.write(part).await;
            }
            told.notified().await;
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    for sends_ahead in [false, true] {
        let mut wire = Wire::connect(gateway.address()).await;
        let request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
        wire.send(request).await;
        let head = timeout(PATIENCE, wire.head())
            .await
            .expect("it is not held back");
        assert_eq!(head.expect("a head").status(), 200);
        if sends_ahead {
            wire.send(request).await;
        }
        for part in ["first ", "second "] {
            more.notify_one();
            let got = timeout(PATIENCE, wire.take(part.len())).await;
            let got = got.expect("it is not held back");
            assert_eq!(got.as_deref(), Some(part.as_bytes()), "{sends_ahead}");
        }
        more.notify_one();
        assert_eq!(wire.rest().await, b"", "the answer has broken off");
    }
}
