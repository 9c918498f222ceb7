//! Requests that two readers could take for different ones. Each is refused, or reaches the server as exactly one request.

use tidegate_tests::{Gateway, PATIENCE, Recorder, Wire, all_to};

/// What became of bytes that a client sent.
#[derive(Debug)]
struct Outcome {
    /// The first answer's status, 0 if the connection just ended.
    status: u16,
    /// First lines of the requests that the server read.
    seen: Vec<String>,
    bodies: Vec<String>,
    heads: Vec<tidegate_tests::Message>,
    answers: usize,
}

/// Sends the bytes, ends the client's half and reads everything until the end.
async fn outcome(bytes: &[u8]) -> Outcome {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    outcome_at(&gateway, &recorder, bytes).await
}

async fn outcome_at(gateway: &Gateway, recorder: &Recorder, bytes: &[u8]) -> Outcome {
    let before = recorder.seen().len();
    let mut wire = Wire::connect(gateway.address()).await;
    assert!(wire.send(bytes).await);
    let (mut status, mut answers) = (0, 0);
    // A second answer is the sign that somebody saw a second request. The last one says that all was read.
    wire.send("GET /last HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        .await;
    while let Some(answer) = wire.answer().await {
        if answers == 0 {
            status = answer.status();
        }
        answers += 1;
    }
    let heads: Vec<_> = recorder.seen().split_off(before);
    Outcome {
        status,
        answers,
        seen: heads.iter().map(|request| request.start.clone()).collect(),
        bodies: heads.iter().map(tidegate_tests::Message::text).collect(),
        heads,
    }
}

impl Outcome {
    /// Refused, and nothing reached the server: neither the request nor what lay behind it.
    #[track_caller]
    fn refused(&self, case: &str) {
        assert!(self.is_refused(), "{case:?} was not refused: {self:#?}");
    }

    fn is_refused(&self) -> bool {
        (400..500).contains(&self.status) && self.seen.is_empty() && self.answers == 1
    }
}

/// Sends each and expects it to be refused; tells of all that were not.
async fn all_refused<'c>(cases: impl IntoIterator<Item = &'c str>, text: impl Fn(&str) -> String) {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    let mut passed = Vec::new();
    for case in cases {
        let outcome = outcome_at(&gateway, &recorder, text(case).as_bytes()).await;
        if !outcome.is_refused() {
            passed.push(format!("{case:?}: {} {:?}", outcome.status, outcome.heads));
        }
    }
    assert!(passed.is_empty(), "not refused:\n{}", passed.join("\n"));
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_request_with_two_framings_is_not_two_requests() {
    let text = format!(
        "POST /both HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}",
        5 + HIDDEN.len()
    );
    // RFC 9112, section 6.1: refused, or read as chunked and the connection closed.
    let outcome = outcome(text.as_bytes()).await;
    assert!(
        !outcome.seen.iter().any(|line| line.contains("hidden")),
        "{:?}",
        outcome.seen
    );
    assert!(
        outcome.answers <= 1 && outcome.seen.len() <= 1,
        "{:?}",
        outcome.seen
    );
    assert!(outcome.bodies.iter().all(String::is_empty));
}

#[tokio::test]
async fn ambiguous_lengths_and_codings_are_refused() {
    all_refused(
        [
            "Content-Length: 3\r\nContent-Length: 4",
            "Content-Length: 3\r\nContent-Length: 3",
            "Content-Length: 3, 3",
            "Content-Length: 3, 4",
            "Content-Length: +3",
            "Content-Length: -3",
            "Content-Length: 0x3",
            "Content-Length: 3 3",
            "Content-Length: 3;",
            "Content-Length: 99999999999999999999999",
            "Content-Length: three",
            "Content-Length:",
            "Transfer-Encoding: xchunked",
            "Transfer-Encoding: chunked, identity",
            "Transfer-Encoding: chunked, chunked",
            "Transfer-Encoding: identity",
            "Transfer-Encoding: \x0bchunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "Transfer-Encoding: \"chunked\"",
            "Transfer-Encoding:",
            "Transfer-Encoding : chunked",
            "Content-Length : 3",
            " Content-Length: 3",
            "Transfer-Encoding:\r\n chunked",
            "X-Fold: a\r\n b\r\nContent-Length: 3",
            "X-Nul: a\0b\r\nContent-Length: 3",
            "X-Cr: a\rb\r\nContent-Length: 3",
            "X\0Nul: a\r\nContent-Length: 3",
            "(X): a\r\nContent-Length: 3",
            ": a\r\nContent-Length: 3",
            "no colon\r\nContent-Length: 3",
        ],
        |fields| format!("POST /case HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\nabc"),
    )
    .await;
}

#[tokio::test]
async fn a_coding_that_http_1_0_does_not_know_is_refused() {
    outcome(b"POST / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .await
        .refused("TE on HTTP/1.0");
}

/// RFC 9112, section 2.2 lets a reader take a lone LF for an end of line; what is forwarded must not contain one.
#[tokio::test]
async fn a_lone_line_feed_is_refused_or_mended() {
    for text in [
        "GET /lf HTTP/1.1\nHost: h\n\n",
        "GET /lf HTTP/1.1\r\nHost: h\nX-A: 1\r\n\r\n",
        "GET /lf HTTP/1.1\r\nHost: h\r\nX-A: 1\n\r\n",
    ] {
        let outcome = outcome(text.as_bytes()).await;
        if outcome.seen.is_empty() {
            outcome.refused(text);
        } else {
            assert_eq!(outcome.seen[0], "GET /lf HTTP/1.1", "{text:?}");
            assert!(
                outcome.seen[1..].iter().all(|line| line.contains("/last")),
                "{text:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_host_is_named_exactly_once() {
    all_refused(
        [
            "X-No: host",
            "Host: a\r\nHost: b",
            "Host: a\r\nhost: a",
            "Host: a b",
            "Host: a/b",
            "Host: a@b",
            "Host: a\r\n b",
            "Host: h:port",
            "Host: \u{fc}",
        ],
        |fields| format!("GET /host HTTP/1.1\r\n{fields}\r\n\r\n"),
    )
    .await;
}

#[tokio::test]
async fn a_target_with_its_own_host_agrees_with_the_header_or_replaces_it() {
    let outcome = outcome(b"GET http://one/path?q HTTP/1.1\r\nHost: two\r\n\r\n").await;
    if outcome.seen.is_empty() {
        outcome.refused("absolute form");
    } else {
        // RFC 9112, section 3.2.2: the target's host wins.
        assert_eq!(
            outcome.heads[0].all("host"),
            ["one"],
            "{:?}",
            outcome.heads[0]
        );
        assert!(
            ["GET /path?q HTTP/1.1", "GET http://one/path?q HTTP/1.1"]
                .contains(&outcome.seen[0].as_str()),
            "{:?}",
            outcome.seen
        );
    }
}

#[tokio::test]
async fn an_absolute_target_with_the_same_host_is_served() {
    let outcome = outcome(b"GET http://one/path?q HTTP/1.1\r\nHost: one\r\n\r\n").await;
    assert_eq!(outcome.status, 200);
    assert_eq!(outcome.seen[0], "GET /path?q HTTP/1.1");
    assert_eq!(outcome.heads[0].all("host"), ["one"]);
}

/// A client must not have taken out what the server relies on.
#[tokio::test]
async fn a_client_cannot_nominate_the_headers_that_the_proxy_sets() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    for name in NOMINATED {
        let text = format!(
            "POST /nominated HTTP/1.1\r\nHost: h\r\nConnection: close, {name}\r\nX-Request-Id: id\r\nCookie: a=1\r\n\
             Authorization: b\r\nContent-Length: 3\r\n\r\nabc"
        );
        let outcome = outcome_at(&gateway, &recorder, text.as_bytes()).await;
        if outcome.seen.is_empty() {
            outcome.refused(name);
            continue;
        }
        let head = &outcome.heads[0];
        assert_eq!(outcome.seen, ["POST /nominated HTTP/1.1"], "{name}");
        assert_eq!(outcome.bodies[0], "abc", "{name}");
        for set in SET_BY_THE_PROXY {
            assert_eq!(
                head.all(set).len(),
                1,
                "{name} nominated: {set} in {head:?}"
            );
        }
    }
}

const SET_BY_THE_PROXY: [&str; 6] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "via",
];

const NOMINATED: [&str; 10] = [
    "host",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
    "via",
    "content-length",
    "transfer-encoding",
    "cookie",
    "authorization",
];

#[tokio::test]
async fn a_chunk_that_is_none_is_refused() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    let mut passed = Vec::new();
    for body in [
        "x\r\nabc\r\n0\r\n\r\n",
        "-3\r\nabc\r\n0\r\n\r\n",
        "+3\r\nabc\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "3 3\r\nabc\r\n0\r\n\r\n",
        "FFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\n",
        "10000000000000003\r\nabc\r\n0\r\n\r\n",
        "3\r\nabcXX0\r\n\r\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "3;a\rb\r\nabc\r\n0\r\n\r\n",
        "3;a\nabc\r\n0\r\n\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n0\r\n\r\n",
    ] {
        let text = format!(
            "POST /chunk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}{HIDDEN}"
        );
        let outcome = outcome_at(&gateway, &recorder, text.as_bytes()).await;
        // The head may have gone to the server before the chunk came; a whole request must not have.
        let is_refused = outcome.seen.is_empty() && matches!(outcome.status, 0 | 400);
        if !is_refused || outcome.answers > 1 {
            passed.push(format!("{body:?}: {} {:?}", outcome.status, outcome.heads));
        }
    }
    assert!(passed.is_empty(), "not refused:\n{}", passed.join("\n"));
}

#[tokio::test]
async fn a_line_that_is_no_request_line_is_refused() {
    all_refused(
        [
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "GET / HTTP/1.2x",
            "GET / HTTP/2.0",
            "GET / HTTP/9.9",
            "GET / http/1.1",
            "GET /",
            "GET",
            "GET / FTP/1.1",
            "G@T / HTTP/1.1",
            "GET\t/\tHTTP/1.1",
            "GET path HTTP/1.1",
            " GET / HTTP/1.1",
        ],
        |line| format!("{line}\r\nHost: h\r\n\r\n"),
    )
    .await;
}

/// Pingora escapes what it cannot read in a path instead of refusing it. What it makes of it is one sound request. Bytes
/// beyond ASCII pass as they are, as with other proxies.
#[tokio::test]
async fn a_path_that_is_none_is_refused_or_mended() {
    for (path, mended) in [
        ("/a b", "/a%20b"),
        ("/\0", "/%00"),
        ("/#fragment", "/"),
        ("/\u{fc}", "/\u{fc}"),
    ] {
        let text = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let outcome = outcome(text.as_bytes()).await;
        if outcome.seen.is_empty() {
            outcome.refused(path);
        } else {
            assert_eq!(outcome.seen[0], format!("GET {mended} HTTP/1.1"));
            assert!(
                outcome.seen[1..].iter().all(|line| line.contains("/last")),
                "{path:?}"
            );
        }
    }
}

/// Pingora takes a chunk without a size for the last one, and what follows up to a blank line for trailers. The server
/// gets a body that is sound, and nothing of what lay in it.
#[tokio::test]
async fn a_chunk_without_a_size_is_refused_or_ends_the_body() {
    for body in [
        "\r\nabc\r\n0\r\n\r\n",
        ";a=b\r\nabc\r\n0\r\n\r\n",
        "\r\nGET /hidden HTTP/1.1\r\nHost: h\r\n\r\n",
    ] {
        let text =
            format!("POST /chunk HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let outcome = outcome(text.as_bytes()).await;
        if outcome.seen.is_empty() {
            assert!(
                outcome.status == 0 || outcome.is_refused(),
                "{body:?}: {outcome:?}"
            );
        } else {
            assert_eq!(outcome.bodies[0], "");
            assert!(
                outcome.seen[1..].iter().all(|line| line.contains("/last")),
                "{body:?}: {:?}",
                outcome.seen
            );
        }
    }
}

/// What the server leaves of a body is not the next request, neither here nor on the connection to the server.
#[tokio::test]
async fn what_is_left_of_a_refused_body_is_not_a_request() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&format!(
        "{}limits: {{ body_size: 10 B }}\n",
        all_to(&[recorder.address()])
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    let body = format!("{}{HIDDEN}", "x".repeat(100));
    wire.send(format!(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
    .await;
    assert_eq!(wire.answer().await.unwrap().status(), 413);
    wire.send(HIDDEN).await;
    let rest = String::from_utf8_lossy(&wire.rest().await).into_owned();
    assert!(!rest.contains("200 OK"), "{rest}");
    assert!(wire.ends_within(PATIENCE).await);
    assert!(recorder.seen().is_empty());
}
