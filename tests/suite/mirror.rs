//! `mirror:` copies of requests go to another upstream, and the client notices nothing of it.

use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_tests::{
    Gateway, Origin, PATIENCE, Recorder, Wire, client, eventually, refusing_address,
};

const SHADOW: &[u8] = b"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\nshadow";

async fn start(origin: &str, shadow: &str, options: &str) -> Gateway {
    Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{origin}\" ] }}\n  shadow: {{ servers: [ \"{shadow}\" ], timeouts: {{ connect: 500ms, read: 500ms }} }}\nroutes:\n  \
         all: {{ match: {{ path_prefix: / }}, filters: [ {{ strip_prefix: /v1 }} ], upstream: api, mirror: {{ upstream: shadow{options} }} }}\n"
    ))
    .await
}

/// What became of the copies.
async fn outcomes(gateway: &Gateway) -> Value {
    gateway.operator("/routes").await[0]["mirror"].clone()
}

#[tokio::test]
async fn another_upstream_gets_what_the_server_got_and_its_answer_is_counted_only() {
    let (origin, shadow) = (Recorder::start().await, Recorder::answering(SHADOW).await);
    let gateway = start(
        &origin.address().to_string(),
        &shadow.address().to_string(),
        ", share: 100%",
    )
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    for framing in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    ] {
        wire.send(format!(
            "POST /v1/x?y=z HTTP/1.1\r\nHost: h\r\nX-Own: 1\r\n{framing}"
        ))
        .await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
    wire.send("GET /v1 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
    eventually("three copies", PATIENCE, async || shadow.seen().len() == 3).await;
    let sent = origin.seen();
    let mut copies = shadow.seen();
    copies.sort_by_key(|copy| copy.body.is_empty());
    for (copy, sent) in copies.iter().zip(sent) {
        assert_eq!(copy.start, sent.start);
        assert_eq!(copy.body, sent.body);
        for field in [
            "host",
            "x-own",
            "x-forwarded-for",
            "x-forwarded-prefix",
            "via",
        ] {
            assert_eq!(copy.all(field), sent.all(field), "{field}");
        }
    }
    let counted = async || outcomes(&gateway).await["answered"]["4xx"] == 3;
    eventually("three are counted", PATIENCE, counted).await;
    assert_eq!(outcomes(&gateway).await["upstream"], "shadow");
}

#[tokio::test]
async fn a_share_is_copied() {
    let (origin, shadow) = (Recorder::start().await, Recorder::answering(SHADOW).await);
    let gateway = start(
        &origin.address().to_string(),
        &shadow.address().to_string(),
        ", share: 25%",
    )
    .await;
    for _ in 0..400 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    // Six standard deviations to either side; the last ones may still be under way.
    let copies = shadow.seen().len();
    assert!((45..=155).contains(&copies), "{copies}");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_copied() {
    let (origin, shadow) = (Recorder::start().await, Recorder::answering(SHADOW).await);
    let gateway = start(
        &origin.address().to_string(),
        &shadow.address().to_string(),
        ", body_size: 1kB",
    )
    .await;
    for size in [1000, 1001, 200_000] {
        let body = vec![b'x'; size];
        let answer = client().post(gateway.url("/")).body(body).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    let both = async || {
        let outcomes = outcomes(&gateway).await;
        outcomes["too_large"] == 2 && outcomes["answered"]["4xx"] == 1
    };
    eventually("one is copied and two are not", PATIENCE, both).await;
    assert_eq!(shadow.only().body.len(), 1000);
}

/// Whoever gets the copies may be dead, or slow, or both: no request is slower for it, and none fails.
#[tokio::test]
async fn the_original_neither_waits_nor_fails() {
    let origin = Recorder::start().await;
    let hanging = Origin::hanging().await;
    for shadow in [refusing_address(), hanging.address()] {
        let gateway = start(&origin.address().to_string(), &shadow.to_string(), "").await;
        let since = Instant::now();
        for _ in 0..20 {
            assert_eq!(gateway.get("/").await.status(), 200);
        }
        // One after the other, each copy of which would take half a second.
        assert!(since.elapsed() < Duration::from_secs(5));
        let counted = async || outcomes(&gateway).await["failed"] == 20;
        eventually("all have failed", PATIENCE, counted).await;
    }
}

#[tokio::test]
async fn so_many_are_under_way_and_the_others_are_not_sent() {
    let (origin, hanging) = (Recorder::start().await, Origin::hanging().await);
    let routing = format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\n  shadow: {{ servers: [ \"{}\" ] }}\nroutes:\n  \
         all: {{ upstream: api, mirror: {{ upstream: shadow }} }}\n",
        origin.address(),
        hanging.address()
    );
    let gateway = Gateway::start(&routing).await;
    for _ in 0..300 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    let outcomes_before = outcomes(&gateway).await;
    assert_eq!(outcomes_before["busy"], 300 - 256);
    gateway.reload(&format!("{routing}# again\n")).await;
    assert_eq!(
        outcomes(&gateway).await,
        outcomes_before,
        "a reload forgets nothing"
    );
}
