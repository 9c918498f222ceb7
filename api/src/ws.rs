//! `GET /api/ws`: a WebSocket that sends back what it gets, text as text and binary as binary.
//!
//! A message may have [`LARGEST_MESSAGE`] bytes; a larger one closes the connection with 1009, silence for
//! [`LONGEST_SILENCE`] with 1000. When the process stops, the conversation goes on for [`GRACE`] and is then closed
//! with 1001, "going away" (RFC 6455, section 7.4.1).

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseCode, CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::FutureExt as _;
use tokio::time::{sleep, timeout};

use crate::drain::InFlight;
use crate::error::ApiError;
use crate::state::Instance;

/// In bytes. Enough to cross every buffer on the way several times.
pub const LARGEST_MESSAGE: usize = 1024 * 1024;
/// How long a client may say nothing, pings included.
pub const LONGEST_SILENCE: Duration = Duration::from_secs(600);
/// How long a conversation may go on once the process stops: time for the answer to what was already sent.
pub const GRACE: Duration = Duration::from_secs(1);
/// How long to wait for the client's half of the closing handshake.
const CLOSING: Duration = Duration::from_secs(1);

/// Upgrades the connection, or says in JSON why not.
pub async fn ws(
    State(instance): State<Instance>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade =
        upgrade.map_err(|rejection| ApiError::new(rejection.status(), rejection.body_text()))?;
    // Taken before the answer is written: from here on the process waits for this conversation.
    let in_flight = instance.drain().enter();
    let upgrade = upgrade
        .max_message_size(LARGEST_MESSAGE)
        .max_frame_size(LARGEST_MESSAGE);
    Ok(upgrade.on_upgrade(move |socket| converse(socket, instance, in_flight)))
}

/// Why a conversation ends.
enum End {
    /// The client closed it, or is gone.
    Client,
    /// We close it, for this reason.
    Ours(CloseCode, &'static str),
}

async fn converse(mut socket: WebSocket, instance: Instance, _in_flight: InFlight) {
    let stopping = instance.drain().closing().then(|()| sleep(GRACE));
    let end = tokio::select! {
        end = echo(&mut socket) => end,
        () = stopping => End::Ours(close_code::AWAY, "this instance is stopping"),
    };
    if let End::Ours(code, reason) = end {
        // It may be gone by now, or never answer: neither matters any more.
        let _ = timeout(CLOSING, close(&mut socket, code, reason)).await;
    }
}

async fn echo(socket: &mut WebSocket) -> End {
    loop {
        let message = match timeout(LONGEST_SILENCE, socket.recv()).await {
            Err(_) => return End::Ours(close_code::NORMAL, "nothing was said for too long"),
            Ok(None) => return End::Client,
            Ok(Some(Err(error))) => return refused(&error),
            Ok(Some(Ok(message))) => message,
        };
        // Pings are answered by the library; the closing handshake too, on the next read.
        if matches!(message, Message::Text(_) | Message::Binary(_))
            && socket.send(message).await.is_err()
        {
            return End::Client;
        }
    }
}

/// The library does not name its errors to us, but says in words which limit was crossed.
fn refused(error: &axum::Error) -> End {
    if error.to_string().contains("too long") {
        return End::Ours(close_code::SIZE, "the message is too large");
    }
    End::Client
}

async fn close(
    socket: &mut WebSocket,
    code: CloseCode,
    reason: &'static str,
) -> Result<(), axum::Error> {
    socket
        .send(Message::Close(Some(CloseFrame {
            code,
            reason: reason.into(),
        })))
        .await?;
    while let Some(Ok(_)) = socket.recv().await {}
    Ok(())
}
