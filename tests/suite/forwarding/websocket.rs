//! WebSockets: a conversation for as long as both sides like.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tidegate_tests::{Api, Gateway, PATIENCE, all_to, all_to_with, upgraded, websocket};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::*;

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
