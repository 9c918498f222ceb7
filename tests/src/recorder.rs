//! A server that notes what it is sent, and reads it as strictly as it can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::{Message, Origin, Wire};

/// What a [`Recorder`] answers unless told otherwise.
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A server that notes every request.
#[derive(Debug)]
pub struct Recorder {
    origin: Origin,
    seen: Arc<Mutex<Vec<Message>>>,
}

impl Recorder {
    /// Answers everything with 200 and `ok`.
    pub async fn start() -> Self {
        Self::answering(OK).await
    }

    /// Answers everything with these bytes and keeps the connection.
    pub async fn answering(answer: &[u8]) -> Self {
        let answer: Arc<[u8]> = answer.into();
        let seen: Arc<Mutex<Vec<Message>>> = Arc::default();
        let notes = Arc::clone(&seen);
        let origin = Origin::start(move |connection| {
            let (answer, notes) = (Arc::clone(&answer), Arc::clone(&notes));
            async move {
                let mut wire = Wire::over(connection.stream);
                while let Some(request) = wire.request().await {
                    notes.lock().unwrap().push(request);
                    if !wire.send(&answer).await {
                        return;
                    }
                }
            }
        })
        .await;
        Self { origin, seen }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request so far.
    pub fn only(&self) -> Message {
        let mut seen = self.seen();
        assert_eq!(seen.len(), 1, "{seen:#?}");
        seen.remove(0)
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.origin.accepted()
    }
}
