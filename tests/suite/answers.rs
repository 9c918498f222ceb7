//! Every answer that is the proxy's own: a small body that says what happened, to a program or to a person, and to whom
//! the operator can ask about it, without saying what stands behind.

use bytes::Bytes;
use tidegate_tests::{
    Gateway, Message, Origin, PATIENCE, Wire, all_to, eventually, refusing_address,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const HTML: &str = "text/html,application/xhtml+xml,*/*;q=0.8";

/// A gateway before servers that fail in every way, and a route to each.
struct Failing {
    gateway: Gateway,
    _origins: [Origin; 3],
}

impl Failing {
    async fn start() -> Self {
        let silent = Origin::hanging().await;
        let leaving = Origin::start(|mut connection| async move {
            connection.read_head().await;
        })
        .await;
        let broken = Origin::answering(b"this is not HTTP\r\n\r\n").await;
        let (refusing, down) = (refusing_address(), refusing_address());
        let gateway = Gateway::start(&format!(
            r#"
limits: {{ body_size: 1KiB, header_size: 4KiB }}
upstreams:
  refusing: {{ servers: [ "{refusing}" ] }}
  silent: {{ servers: [ "{}" ], timeouts: {{ read: 200ms }} }}
  leaving: {{ servers: [ "{}" ] }}
  broken: {{ servers: [ "{}" ] }}
  down: {{ servers: [ "{down}" ], health_check: {{ tcp: {{ interval: 1s }} }} }}
  nowhere: {{ servers: [ "there-is-no-such-name.invalid:80" ] }}
routes:
  refusing: {{ match: {{ path_prefix: /refusing }}, upstream: refusing }}
  silent: {{ match: {{ path_prefix: /silent }}, upstream: silent }}
  leaving: {{ match: {{ path_prefix: /leaving }}, upstream: leaving }}
  broken: {{ match: {{ path_prefix: /broken }}, upstream: broken }}
  down: {{ match: {{ path_prefix: /down }}, upstream: down }}
  nowhere: {{ match: {{ path_prefix: /nowhere }}, upstream: nowhere }}
"#,
            silent.address(),
            leaving.address(),
            broken.address(),
        ))
        .await;
        Self {
            gateway,
            _origins: [silent, leaving, broken],
        }
    }
}

/// Path, further fields, status, reason.
const CASES: [(&str, &str, u16, &str); 9] = [
    ("/none", "", 404, "no_route"),
    ("/large", "Content-Length: 2000\r\n", 413, "body_too_large"),
    ("/head", "X-Large: LARGE\r\n", 431, "head_too_large"),
    ("/refusing", "", 502, "connect_failed"),
    ("/leaving", "", 502, "upstream_closed"),
    ("/broken", "", 502, "bad_answer"),
    ("/down", "", 503, "all_down"),
    ("/nowhere", "", 503, "no_servers"),
    ("/silent", "", 504, "upstream_timeout"),
];

fn fields(written: &str) -> String {
    written.replace("LARGE", &"x".repeat(5000))
}

/// Nothing in it tells where the servers are.
fn assert_discreet(text: &str) {
    for word in [
        "127.0.0.1",
        "::1",
        ".invalid",
        "rror:",
        "pingora",
        "Connection refused",
    ] {
        assert!(!text.contains(word), "{word:?} in {text}");
    }
}

async fn ask(gateway: &Gateway, method: &str, path: &str, fields: &str) -> Message {
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(format!(
        "{method} {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n"
    ))
    .await;
    wire.answer_to(method)
        .await
        .unwrap_or_else(|| panic!("no answer to {path}"))
}

#[tokio::test]
async fn a_program_gets_json_that_names_the_request() {
    let failing = Failing::start().await;
    for (path, further, status, reason) in CASES {
        let answer = ask(&failing.gateway, "GET", path, &fields(further)).await;
        assert_eq!(answer.status(), status, "{path}: {answer:?}");
        assert_eq!(answer.field("content-type"), Some("application/json"));
        assert_eq!(answer.field("cache-control"), Some("no-store"));
        assert_eq!(
            answer.field("content-length"),
            Some(answer.body.len().to_string().as_str())
        );
        let error = &answer.json()["error"];
        assert_eq!(error["status"], status);
        assert_eq!(error["reason"], reason, "{path}");
        assert!(
            error["message"]
                .as_str()
                .is_some_and(|text| text.len() > 10),
            "{error}"
        );
        assert_eq!(error["request_id"].as_str(), answer.field("x-request-id"));
        assert_discreet(&format!("{:?} {}", answer.fields, answer.text()));
        let line = failing.gateway.log_line(path).await;
        assert_eq!(
            (&line["status"], &line["failure"]),
            (&status.into(), &reason.into()),
            "{line}"
        );
        assert_eq!(line["request_id"].as_str(), answer.field("x-request-id"));
        assert_eq!(line["bytes"], answer.body.len(), "{line}");
    }
}

#[tokio::test]
async fn a_person_gets_a_page_that_names_the_request() {
    let failing = Failing::start().await;
    for (path, further, status, _) in CASES {
        let further = format!(
            "Accept: {HTML}\r\nX-Request-Id: id-<{status}>\r\n{}",
            fields(further)
        );
        let answer = ask(&failing.gateway, "GET", path, &further).await;
        assert_eq!(answer.status(), status, "{path}: {answer:?}");
        assert_eq!(
            answer.field("content-type"),
            Some("text/html; charset=utf-8")
        );
        let page = answer.text();
        assert!(
            page.starts_with("<!doctype html>") && page.contains(&status.to_string()),
            "{page}"
        );
        assert!(page.contains(&format!("id-&lt;{status}&gt;")), "{page}");
        assert_discreet(&page);
    }
}

#[tokio::test]
async fn a_head_request_gets_the_head_alone() {
    let failing = Failing::start().await;
    for (path, further, status, _) in CASES {
        let mut wire = Wire::connect(failing.gateway.address()).await;
        let further = fields(further);
        wire.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{further}\r\n"
        ))
        .await;
        let answer = wire.answer_to("HEAD").await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert!(answer.field("content-type").is_some());
        assert_eq!(wire.rest().await, b"", "{path}: bytes after the head");
    }
}

#[tokio::test]
async fn the_connection_is_framed_well_after_a_failure() {
    let failing = Failing::start().await;
    for (path, further, status, _) in CASES {
        if !further.is_empty() {
            continue;
        }
        let mut wire = Wire::connect(failing.gateway.address()).await;
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"))
            .await;
        let first = wire.answer().await.unwrap();
        assert_eq!(first.status(), status);
        wire.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\n").await;
        match wire.answer().await {
            Some(second) => assert_eq!(second.status(), 404, "{path}"),
            None => assert_eq!(
                first.field("connection"),
                Some("close"),
                "{path} ended without a word"
            ),
        }
    }
}

#[tokio::test]
async fn an_answer_over_http_2_says_the_same() {
    let failing = Failing::start().await;
    let stream = TcpStream::connect(failing.gateway.address()).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    for (path, further, status, reason) in CASES {
        sender = sender.ready().await.unwrap();
        let mut request =
            http::Request::get(failing.gateway.url(path)).version(http::Version::HTTP_2);
        for line in fields(further).lines() {
            let (name, value) = line.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let has_body = further.starts_with("Content-Length");
        let (answer, mut body) = sender
            .send_request(request.body(()).unwrap(), !has_body)
            .unwrap();
        let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let id = answer.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        let length: usize = answer.headers()["content-length"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let mut text = Vec::new();
        let mut pieces = answer.into_body();
        while let Some(piece) = timeout(PATIENCE, pieces.data()).await.unwrap() {
            text.extend_from_slice(&piece.unwrap());
        }
        assert_eq!(text.len(), length);
        let error: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(error["error"]["reason"], reason);
        assert_eq!(error["error"]["request_id"], id);
        if has_body {
            let _ = body.send_data(Bytes::new(), true);
        }
    }
}

/// What the parser refuses never becomes a request; it is told and logged all the same.
#[tokio::test]
async fn what_is_no_request_is_told_why_and_logged() {
    let failing = Failing::start().await;
    let gateway = &failing.gateway;
    let mut told = Vec::new();
    for (text, status, reason) in [
        ("this is not HTTP\r\n\r\n", 400, "bad_request"),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            400,
            "bad_request",
        ),
        ("GET / HTTP/1.1\r\n\r\n", 400, "bad_request"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_request"),
        ("\0\0\0\0\r\n\r\n", 400, "bad_request"),
        (
            "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n",
            405,
            "method_not_supported",
        ),
    ] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(text).await;
        let answer = wire
            .answer()
            .await
            .unwrap_or_else(|| panic!("no answer to {text:?}"));
        assert_eq!(answer.status(), status, "{text:?}");
        let error = &answer.json()["error"];
        assert_eq!(
            (&error["status"], &error["reason"]),
            (&status.into(), &reason.into())
        );
        assert_eq!(
            error["request_id"].as_str(),
            answer.field("x-request-id"),
            "{text:?}"
        );
        assert!(wire.ends_within(PATIENCE).await, "{text:?}");
        told.push((
            answer.field("x-request-id").unwrap().to_owned(),
            status,
            reason,
        ));
    }
    for (id, status, reason) in told {
        let line = eventually(&format!("a line of {id} {status}"), PATIENCE, async || {
            gateway
                .log_lines()
                .into_iter()
                .find(|line| line["request_id"] == id)
        })
        .await;
        assert_eq!(
            (&line["status"], &line["failure"]),
            (&status.into(), &reason.into()),
            "{line}"
        );
        assert_eq!(line["client"], "127.0.0.1");
    }
}

/// The second request of a connection, too, and one that was sent ahead.
#[tokio::test]
async fn a_refusal_after_a_good_request_is_told_as_well() {
    let failing = Failing::start().await;
    for ahead in [true, false] {
        let mut wire = Wire::connect(failing.gateway.address()).await;
        wire.send("GET /none HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let bad = "not HTTP\r\n\r\n";
        if ahead {
            wire.send(bad).await;
        }
        assert_eq!(wire.answer().await.unwrap().status(), 404);
        if !ahead {
            wire.send(bad).await;
        }
        let answer = wire
            .answer()
            .await
            .expect("an answer to what is no request");
        assert_eq!(
            (answer.status(), &answer.json()["error"]["reason"]),
            (400, &"bad_request".into())
        );
    }
}

/// It is not the client that left.
#[tokio::test]
async fn a_body_that_is_none_is_told_so() {
    let origin = Origin::hanging().await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let request = "POST /chunks HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n";
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("bad_request"), "{answer}");
    assert_eq!(gateway.log_line("/chunks").await["status"], 400);
}
