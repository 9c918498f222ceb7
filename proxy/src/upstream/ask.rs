//! A question over HTTP of the proxy's own, and how far it came: a connection, what is asked over it, the answer. It is hyper
//! that speaks.

mod fields;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use crossbeam_utils::atomic::AtomicCell;
use futures_util::future::{Either, select};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

pub(super) use self::fields::{AGENT, fields};

/// How far a question came.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicCell<Stage>);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Connecting,
    Asking,
    Reading,
}

impl Progress {
    /// What did not happen yet.
    pub(super) fn missing(&self) -> &'static str {
        match self.0.load() {
            Stage::Connecting => "no connection",
            Stage::Asking => "no answer",
            Stage::Reading => "no end of the answer",
        }
    }
}

/// A connection to the server.
///
/// # Errors
/// Why there is none.
pub(super) async fn connect(
    address: SocketAddr,
    progress: &Progress,
) -> Result<TokioIo<TcpStream>, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| {
        use io::ErrorKind as E;
        match error.kind() {
            E::ConnectionRefused => "connection refused".to_owned(),
            E::HostUnreachable | E::NetworkUnreachable => "no route to it".to_owned(),
            E::TimedOut => "no connection in time".to_owned(),
            _ => format!("no connection: {error}"),
        }
    })?;
    // What is sent is sent at once either way: one write.
    let _ = stream.set_nodelay(true);
    progress.0.store(Stage::Asking);
    Ok(TokioIo::new(stream))
}

/// What a server answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    /// As much of it as was wanted.
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

/// Waits for the answer while it drives the connection, and reads so many bytes of its body at the most.
///
/// # Errors
/// Why there is none.
pub(super) async fn answer<E>(
    connection: impl Future<Output = Result<(), E>>,
    answering: impl Future<Output = hyper::Result<Response<Incoming>>>,
    progress: &Progress,
    most: usize,
) -> Result<Answer, String> {
    let answer = pin!(read(answering, progress, most));
    let answer = match select(answer, pin!(connection)).await {
        Either::Left((answer, _)) => answer,
        // What came before its end can still be read.
        Either::Right((_, answer)) => answer.await,
    };
    answer.map_err(|error| broken(&error, progress))
}

async fn read(
    answering: impl Future<Output = hyper::Result<Response<Incoming>>>,
    progress: &Progress,
    most: usize,
) -> hyper::Result<Answer> {
    let (head, mut rest) = answering.await?.into_parts();
    progress.0.store(Stage::Reading);
    let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
    while body.len() < most
        && let Some(frame) = rest.frame().await
    {
        match frame?.into_data() {
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    body.truncate(most);
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
        trailers,
    })
}

/// What went wrong with an exchange, in an operator's words.
pub(super) fn broken(error: &hyper::Error, progress: &Progress) -> String {
    let (mut source, mut root): (Option<&dyn Error>, &dyn Error) = (error.source(), error);
    while let Some(next) = source {
        (source, root) = (next.source(), next);
    }
    let kind = root.downcast_ref::<io::Error>().map(io::Error::kind);
    let is_reset = kind == Some(io::ErrorKind::ConnectionReset);
    let is_closed = kind == Some(io::ErrorKind::BrokenPipe)
        || error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed();
    let has_begun = progress.0.load() == Stage::Reading;
    match (has_begun, is_reset) {
        (true, _) => "the answer broke off".to_owned(),
        (false, true) => "it reset the connection".to_owned(),
        _ if is_closed => "it closed the connection without an answer".to_owned(),
        _ => format!("its answer cannot be read: {root}"),
    }
}

/// A tenth more or less, so that many proxies do not ask in step.
pub(super) fn with_jitter(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}
