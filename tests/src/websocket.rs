//! A WebSocket through the proxy.

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::{Gateway, PATIENCE};

/// A conversation with an [`Api`](crate::Api) at `/api/ws` behind the gateway, in which a first word was echoed.
pub async fn websocket(gateway: &Gateway) -> WebSocketStream<TcpStream> {
    let mut socket = upgraded(gateway).await;
    socket.send(Message::text("knock")).await.unwrap();
    let echo = timeout(PATIENCE, socket.next()).await.unwrap();
    assert_eq!(echo.unwrap().unwrap(), Message::text("knock"));
    socket
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
