//! One probe, which is a question that a kind of check asks.

use std::net::SocketAddr;

use async_trait::async_trait;
use http::Response;
use hyper::body::Incoming;

use crate::upstream::ask;
pub(super) use crate::upstream::ask::{Answer, Progress, broken, connect};

/// So much of the body of an answer is read: it says how a server is, and is no download.
pub(super) const BODY_MAX: usize = 64 << 10;

/// What a kind of check asks.
#[async_trait]
pub(super) trait Probe: Send + Sync {
    /// Asks the server at this address once. Whoever waits for it bounds it, and drops it when it takes too long.
    ///
    /// # Errors
    /// The reason, in words for an operator.
    async fn ask(&self, address: SocketAddr, progress: &Progress) -> Result<(), String>;
}

/// Waits for the answer while it drives the connection.
///
/// # Errors
/// Why there is none.
pub(super) async fn answer<E>(
    connection: impl Future<Output = Result<(), E>>,
    answering: impl Future<Output = hyper::Result<Response<Incoming>>>,
    progress: &Progress,
) -> Result<Answer, String> {
    ask::answer(connection, answering, progress, BODY_MAX).await
}
