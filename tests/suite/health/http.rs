//! `http`: what is asked, where, and what has to come back.

use std::time::Duration;

use tidegate_tests::{
    Gateway, GrpcHealth, Origin, PATIENCE, Patient, Says, eventually, refusing_address,
};
use tokio::io::AsyncWriteExt;

use super::{QUICK, becomes, http, routing, state};

/// Changes one's mind with every answer.
const AT_ONCE: &str = "interval: 50ms, timeout: 10s, healthy_after: 1, unhealthy_after: 1";

#[tokio::test]
async fn a_probe_has_the_method_and_the_fields_of_the_file() {
    for method in ["GET", "HEAD", "OPTIONS", "POST"] {
        let patient = Patient::held().await;
        let options = format!(
            "{QUICK}, method: {method}, headers: {{ Authorization: Bearer x, user-agent: mine }}"
        );
        let gateway = Gateway::start(&routing(&[patient.address()], &http(&options))).await;
        let probe = patient.probe().await;
        let head = probe.head.to_ascii_lowercase();
        assert!(
            probe
                .head
                .starts_with(&format!("{method} /health HTTP/1.1\r\n")),
            "{head}"
        );
        assert!(head.contains("\r\nauthorization: bearer x\r\n"), "{head}");
        assert!(head.contains("\r\nuser-agent: mine\r\n"), "{head}");
        assert_eq!(
            head.contains("\r\ncontent-length: 0\r\n"),
            method == "POST",
            "{head}"
        );
        assert!(!head.contains("transfer-encoding"), "{head}");
        probe.answer(204);
        becomes(&gateway, patient.address(), "up").await;
    }
}

/// A server that answers every request with 200 and this body.
async fn saying(body: &str) -> Origin {
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    Origin::answering(answer.as_bytes()).await
}

#[tokio::test]
async fn the_body_has_to_contain_what_the_file_says() {
    let (well, ill) = (
        saying("{\"status\":\"ok\"}").await,
        saying("starting").await,
    );
    let servers = [well.address(), ill.address()];
    let options = format!("{AT_ONCE}, body: {{ contains: '\"ok\"' }}");
    let gateway = Gateway::start(&routing(&servers, &http(&options))).await;
    becomes(&gateway, well.address(), "up").await;
    becomes(&gateway, ill.address(), "down").await;
    let state = state(&gateway, ill.address()).await;
    assert_eq!(
        state["reason"],
        "it answered 200, but its body does not contain what it should (8 B)"
    );
    assert!(well.accepted() > 0 && ill.accepted() > 0);
}

#[tokio::test]
async fn the_body_has_to_match_the_expression() {
    let (well, ill) = (saying("ready\n").await, saying("not ready\n").await);
    let servers = [well.address(), ill.address()];
    let options = format!("{AT_ONCE}, body: {{ regex: \"ready|degraded\" }}");
    let gateway = Gateway::start(&routing(&servers, &http(&options))).await;
    becomes(&gateway, well.address(), "up").await;
    becomes(&gateway, ill.address(), "down").await;
    let state = state(&gateway, ill.address()).await;
    assert_eq!(
        state["reason"],
        "it answered 200, but its body does not match the expression (10 B)"
    );
}

/// A server whose body never ends, and that begins like this.
async fn endless(beginning: Vec<u8>) -> Origin {
    Origin::start(move |mut connection| {
        let beginning = beginning.clone();
        async move {
            connection.read_head().await;
            connection.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
            connection.write(&beginning).await;
            while connection.stream.write_all(&[b'x'; 1024]).await.is_ok() {}
        }
    })
    .await
}

#[tokio::test]
async fn of_a_body_only_the_first_64_kib_are_read() {
    let within = endless(b"all is well".to_vec()).await;
    let beyond = {
        let mut beginning = vec![b'x'; 64 << 10];
        beginning.extend_from_slice(b"all is well");
        endless(beginning).await
    };
    let servers = [within.address(), beyond.address()];
    let options = format!("{AT_ONCE}, body: {{ contains: all is well }}");
    let gateway = Gateway::start(&routing(&servers, &http(&options))).await;
    becomes(&gateway, within.address(), "up").await;
    becomes(&gateway, beyond.address(), "down").await;
    let reason = state(&gateway, beyond.address()).await["reason"].to_string();
    assert!(
        reason.contains("(64 KiB or more, of which the first were read)"),
        "{reason}"
    );
    let left = async || within.open() <= 1 && beyond.open() <= 1;
    eventually("the rest of the bodies is not waited for", PATIENCE, left).await;
}

#[tokio::test]
async fn the_reason_says_how_far_a_probe_came() {
    let body_stalls = Origin::start(|mut connection| async move {
        connection.read_head().await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        connection.write(head).await;
        connection.read_until_closed().await;
    })
    .await;
    let breaks_off = Origin::start(|mut connection| async move {
        connection.read_head().await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        connection.write(head).await;
    })
    .await;
    let closes = Origin::start(|mut connection| async move {
        connection.read_head().await;
    })
    .await;
    let resets = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection.reset();
    })
    .await;
    let babbles = Origin::answering(b"220 mail.example.com ESMTP\r\n").await;
    let silent = Origin::hanging().await;
    let refused = refusing_address();
    let cases = [
        (body_stalls.address(), "no end of the answer within 1s"),
        (breaks_off.address(), "the answer broke off"),
        (
            closes.address(),
            "it closed the connection without an answer",
        ),
        (resets.address(), "it reset the connection"),
        (
            babbles.address(),
            "its answer cannot be read: invalid HTTP version parsed",
        ),
        (silent.address(), "no answer within 1s"),
        (refused, "connection refused"),
    ];
    let servers = cases.map(|(server, _)| server);
    let gateway = Gateway::start(&routing(&servers, &http("timeout: 1s"))).await;
    for (server, expected) in cases {
        becomes(&gateway, server, "down").await;
        assert_eq!(state(&gateway, server).await["reason"], expected);
    }
}

/// The requests still go where the file says.
#[tokio::test]
async fn a_check_asks_at_the_port_of_the_file() {
    let (serves, tells) = (Patient::start(500).await, Patient::start(200).await);
    let options = format!("{QUICK}, port: {}", tells.address().port());
    let gateway = Gateway::start(&routing(&[serves.address()], &http(&options))).await;
    becomes(&gateway, serves.address(), "up").await;
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!((serves.probes(), serves.requests()), (0, 1));
    assert!(tells.probes() > 0 && tells.requests() == 0);
}

#[tokio::test]
async fn every_kind_asks_at_the_port_of_the_file() {
    let nobody = refusing_address();
    let takes = Origin::hanging().await;
    let speaks = GrpcHealth::start(Says::Status(1)).await;
    for (kind, port) in [
        ("tcp", takes.address().port()),
        ("grpc", speaks.address().port()),
    ] {
        let check = format!("{kind}: {{ {AT_ONCE}, port: {port} }}");
        let gateway = Gateway::start(&routing(&[nobody], &check)).await;
        becomes(&gateway, nobody, "up").await;
    }
    assert!(takes.accepted() > 0 && !speaks.asked().is_empty());
}

/// Also where the pieces come in time.
#[tokio::test]
async fn the_timeout_is_for_the_body_as_well() {
    let trickling = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            .await;
        while connection.write(b"x").await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let check = http("interval: 50ms, timeout: 300ms");
    let gateway = Gateway::start(&routing(&[trickling.address()], &check)).await;
    becomes(&gateway, trickling.address(), "down").await;
    let state = state(&gateway, trickling.address()).await;
    assert_eq!(state["reason"], "no end of the answer within 300ms");
}
