//! One client's connection.
//!
//! Pingora bounds each read of a request's head, not the head: a client that sends a byte a minute holds a connection for
//! a day. And what it refuses while it reads a head never reaches `ProxyHttp`: the client gets a bare status and the log
//! nothing. So the stream itself knows whether a head is on its way: it ends the wait at a deadline, and it sees what is
//! refused, so that it can be told and logged.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use crossbeam_utils::atomic::AtomicCell;
use http::HeaderValue;
use pingora::protocols::l4::stream::Stream as L4Stream;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::error::Failure;
use crate::flow::receive::new_id;
use crate::flow::respond;

/// Pingora refuses a head of this size (`MAX_HEADER_SIZE` in its `protocols/http/v1/common.rs`).
const HEAD_MAX: usize = 1_048_575;

/// Where the connection stands between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of a request has come.
    Waiting,
    /// Something has come, the head is not complete.
    Head,
    /// The request is being served.
    Request,
    /// The head did not come in time.
    HeadLate,
    /// The head was refused.
    HeadRefused(Failure),
}

/// The stage of a connection, shared between the stream and whoever serves it.
#[derive(Debug)]
pub(super) struct Progress {
    stage: AtomicCell<Stage>,
    /// The id that a client was told with the refusal of its head. There is one at most: the connection ends with it.
    refused: OnceLock<HeaderValue>,
}

impl Progress {
    pub(super) fn get(&self) -> Stage {
        self.stage.load()
    }

    /// The id of the request that was refused, if one was.
    pub(super) fn refused(&self) -> Option<&str> {
        self.refused.get()?.to_str().ok()
    }

    pub(super) fn set(&self, stage: Stage) {
        self.stage.store(stage);
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: L4Stream,
    progress: Arc<Progress>,
    /// For a whole head.
    patience: Duration,
    /// Runs while a head is on its way.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes of the head so far.
    head: usize,
}

impl Connection {
    /// HTTP/2 has its own bounds and its own errors: its connections count as one long request.
    pub(super) fn new(
        stream: TcpStream,
        client: SocketAddr,
        patience: Duration,
        is_http2: bool,
    ) -> Self {
        let stage = if is_http2 {
            Stage::Request
        } else {
            Stage::Waiting
        };
        use std::os::fd::AsRawFd;
        let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
        // Known already; it would cost a system call to ask again. The cell is fresh, so it takes the value.
        let _ = digest.peer_addr.set(Some(client.into()));
        let mut stream = L4Stream::from(stream);
        stream.set_socket_digest(digest);
        Self {
            stream,
            progress: Arc::new(Progress {
                stage: AtomicCell::new(stage),
                refused: OnceLock::new(),
            }),
            patience,
            deadline: None,
            head: 0,
        }
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Fails the read once the head is late.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.progress.get() != Stage::Head {
            return Poll::Pending;
        }
        let patience = self.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        std::task::ready!(deadline.as_mut().poll(cx));
        self.progress.set(Stage::HeadLate);
        Poll::Ready(io::Error::new(
            io::ErrorKind::TimedOut,
            "the head of the request did not come in time",
        ))
    }

    /// Bytes have come.
    fn note_read(&mut self, bytes: usize) {
        match self.progress.get() {
            Stage::Waiting => {
                self.deadline = None;
                self.head = bytes;
                self.progress.set(Stage::Head);
            }
            Stage::Head => self.head += bytes,
            Stage::Request | Stage::HeadLate | Stage::HeadRefused(_) => {}
        }
    }

    /// While a head is read, the only thing that Pingora writes is a bare refusal of it. Ours says why and is written in
    /// its place.
    fn refusal(&self, bare: &[u8]) -> Vec<u8> {
        let failure = match bare.get(9..12) {
            Some(b"405") => Failure::MethodNotSupported,
            _ if self.head >= HEAD_MAX => Failure::HeadTooLarge,
            _ => Failure::BadRequest,
        };
        self.progress.set(Stage::HeadRefused(failure));
        let id = self.progress.refused.get_or_init(new_id);
        respond::refusal(failure, id.to_str().unwrap_or("-"))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let bytes = buf.filled().len().saturating_sub(before);
                if bytes > 0 {
                    self.note_read(bytes);
                }
                Poll::Ready(result)
            }
            Poll::Pending => self.check_deadline(cx).map(Err),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // A head that was sent ahead is read without asking the stream.
        if matches!(self.progress.get(), Stage::Waiting | Stage::Head) {
            let refusal = self.refusal(buf);
            // The stream buffers what it is given, and a page this small finds room: it is taken whole.
            return Pin::new(&mut self.stream)
                .poll_write(cx, &refusal)
                .map_ok(|_| buf.len());
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        Shutdown::shutdown(&mut self.stream).await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.stream.id()
    }
}

impl Ssl for Connection {}

#[async_trait]
impl Peek for Connection {
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.stream.try_peek(buf).await
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.stream.get_timing_digest()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.stream.get_proxy_digest()
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.stream.get_socket_digest()
    }
}
