//! A WebSocket through the proxy.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::{Gateway, PATIENCE};

/// Pingora 0.9 sometimes ends an upgraded connection right after the 101: if the server answers before the end of the
/// request's empty body was passed on, that end is taken for the end of the tunnel. A test of something else tries again.
const TRIES: usize = 5;

/// A conversation with an [`Api`](crate::Api) at `/api/ws` behind the gateway, in which a first word was echoed.
pub async fn websocket(gateway: &Gateway) -> WebSocketStream<TcpStream> {
    for _ in 0..TRIES {
        let mut socket = upgraded(gateway).await;
        if socket.send(Message::text("knock")).await.is_err() {
            continue;
        }
        if let Ok(Some(Ok(echo))) = timeout(PATIENCE, socket.next()).await {
            assert_eq!(echo, Message::text("knock"));
            return socket;
        }
    }
    panic!("no conversation in {TRIES} tries");
}

/// The connection as it stands after the 101.
pub async fn upgraded(gateway: &Gateway) -> WebSocketStream<TcpStream> {
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let url = format!("ws://{}/api/ws", gateway.address());
    let (socket, answer) = tokio_tungstenite::client_async(url, stream).await.unwrap();
    assert_eq!(answer.status(), 101);
    assert!(answer.headers().contains_key("x-request-id"));
    socket
}
