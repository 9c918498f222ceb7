//! A server that has `grpc.health.v1.Health` and says what a test wants to hear, over HTTP/2 without TLS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};

use crate::Origin;

/// What it answers.
#[derive(Debug, Clone, Copy)]
pub enum Says {
    /// A `HealthCheckResponse` with this status: 1 is `SERVING`.
    Status(u8),
    /// No message, and this `grpc-status` in the only head.
    Code(&'static str),
    /// A message that says `SERVING`, and then this `grpc-status` all the same.
    ButThen(&'static str),
    /// A status of HTTP, and no word of gRPC.
    Http(u16),
    /// Bytes in place of a message.
    Bytes(&'static [u8]),
    /// Nothing, ever.
    Nothing,
}

/// What it was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The head of the request.
    pub head: http::request::Parts,
    /// The message in its frame.
    pub frame: Vec<u8>,
}

/// A running server.
#[derive(Debug)]
pub struct GrpcHealth {
    origin: Origin,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl GrpcHealth {
    /// Answers like this.
    pub async fn start(says: Says) -> Self {
        let (says, asked) = (Arc::new(Mutex::new(says)), Arc::default());
        let shared = (Arc::clone(&says), Arc::clone(&asked));
        let origin = Origin::start(move |connection| {
            let (says, asked) = shared.clone();
            async move {
                let Ok(mut connection) = h2::server::handshake(connection.stream).await else {
                    return;
                };
                while let Some(Ok((request, answer))) = connection.accept().await {
                    tokio::spawn(serve(
                        request,
                        answer,
                        Arc::clone(&says),
                        Arc::clone(&asked),
                    ));
                }
            }
        })
        .await;
        Self {
            origin,
            says,
            asked,
        }
    }

    /// From now on.
    pub fn says(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    /// All that it was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.origin.accepted()
    }

    /// Connections that stand.
    pub fn open(&self) -> usize {
        self.origin.open()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

async fn serve(
    request: Request<RecvStream>,
    mut answer: SendResponse<Bytes>,
    says: Arc<Mutex<Says>>,
    asked: Arc<Mutex<Vec<Asked>>>,
) {
    let (head, mut body) = request.into_parts();
    let mut frame = Vec::new();
    while let Some(Ok(piece)) = body.data().await {
        let _ = body.flow_control().release_capacity(piece.len());
        frame.extend_from_slice(&piece);
    }
    asked.lock().unwrap().push(Asked { head, frame });
    let says = *says.lock().unwrap();
    let head = Response::builder().header("content-type", "application/grpc");
    let (message, code) = match says {
        Says::Status(status) => (vec![0, 0, 0, 0, 2, 8, status], "0"),
        Says::ButThen(code) => (vec![0, 0, 0, 0, 2, 8, 1], code),
        Says::Bytes(bytes) => (bytes.to_vec(), "0"),
        Says::Code(code) => {
            let head = head.header("grpc-status", code).body(()).unwrap();
            let _ = answer.send_response(head, true);
            return;
        }
        Says::Http(status) => {
            let head = Response::builder().status(status).body(()).unwrap();
            let _ = answer.send_response(head, true);
            return;
        }
        Says::Nothing => return std::future::pending().await,
    };
    // The other side may have left.
    let Ok(mut stream) = answer.send_response(head.body(()).unwrap(), false) else {
        return;
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.parse().unwrap());
    let _ = stream.send_data(message.into(), false);
    let _ = stream.send_trailers(trailers);
}
