//! One client's connection.
//!
//! Pingora bounds each read of a request's head, not the head: a client that sends a byte a minute holds a connection for
//! a day. It looks at the size of a head when it is complete: until then a client may fill a megabyte. And what it refuses
//! while it reads a head never reaches `ProxyHttp`: the client gets a bare status and the log nothing. So the stream itself
//! knows whether a head is on its way: it ends the wait at a deadline, it reads no more than the file allows, and it sees
//! what is refused, so that it can be told and logged.

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
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::error::Failure;
use crate::flow::receive::new_id;
use crate::flow::respond;
use crate::snapshot::Running;

/// Pingora refuses a head of this size (`MAX_HEADER_SIZE` in its `protocols/http/v1/common.rs`).
const HEAD_MAX: usize = 1_048_575;

/// How long a client whose head was refused may take to read why and to stop sending.
const LINGER: Duration = Duration::from_secs(2);

/// Where the connection stands between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of a request has come.
    Waiting,
    /// Something has come, the head is not complete.
    Head,
    /// The request is being served.
    Request,
    /// The head was refused: it did not come in time, is too large or makes no sense.
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

/// What a head may take.
pub(super) struct Bounds {
    /// Who knows the limits of the file at any time.
    pub(super) running: Arc<Running>,
    /// For a whole head.
    pub(super) patience: Duration,
}

impl std::fmt::Debug for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bounds")
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: L4Stream,
    progress: Arc<Progress>,
    bounds: Bounds,
    /// Runs while a head is on its way.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Bytes of the head so far; once it is complete, also what came of the body with its end.
    head: usize,
    /// Complete lines of the head so far.
    lines: usize,
}

impl Connection {
    /// HTTP/2 has its own bounds and its own errors: its connections count as one long request.
    pub(super) fn new(
        stream: TcpStream,
        client: SocketAddr,
        bounds: Bounds,
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
            bounds,
            deadline: None,
            head: 0,
            lines: 0,
        }
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Ends the read once the head is late.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.progress.get() != Stage::Head {
            return Poll::Pending;
        }
        let patience = self.bounds.patience;
        let deadline = self
            .deadline
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + patience)));
        std::task::ready!(deadline.as_mut().poll(cx));
        Poll::Ready(self.give_up(Failure::HeadTimeout, cx))
    }

    /// Bytes have come.
    fn note_read(&mut self, bytes: &[u8]) {
        match self.progress.get() {
            Stage::Waiting => {
                self.deadline = None;
                self.head = bytes.len();
                self.lines = lines(bytes);
                self.progress.set(Stage::Head);
            }
            Stage::Head => {
                self.head += bytes.len();
                self.lines += lines(bytes);
            }
            Stage::Request | Stage::HeadRefused(_) => {}
        }
    }

    /// Whoever asks for more of a head has found no end in what has come, so all of that is head.
    fn is_full(&self) -> bool {
        self.progress.get() == Stage::Head
            && self.head as u64 > self.bounds.running.snapshot().limits.header_size
    }

    /// Whether there are more fields than allowed. The parser may have stopped at them and calls that a bad request.
    fn has_too_many_fields(&self) -> bool {
        // The first line is none.
        self.lines > usize::from(self.bounds.running.snapshot().limits.header_count) + 1
    }

    /// While a head is read, the only thing that Pingora writes is a bare refusal of it. Ours says why and is written in
    /// its place.
    fn reason(&self, bare: &[u8]) -> Failure {
        match bare.get(9..12) {
            Some(b"405") => Failure::MethodNotSupported,
            _ if self.head >= HEAD_MAX || self.has_too_many_fields() => Failure::HeadTooLarge,
            _ => Failure::BadRequest,
        }
    }

    /// Refuses the head.
    fn refuse(&mut self, failure: Failure, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.progress.set(Stage::HeadRefused(failure));
        let id = self.progress.refused.get_or_init(new_id);
        let page = respond::refusal(failure, id.to_str().unwrap_or("-"));
        // The stream buffers what it is given, and a page this small finds room: it is taken whole.
        Pin::new(&mut self.stream)
            .poll_write(cx, &page)
            .map_ok(|_| ())
    }

    /// Refuses the head in the middle of a read. Pingora shuts the connection down when it is told, and that sends the
    /// page.
    fn give_up(&mut self, failure: Failure, cx: &mut Context<'_>) -> io::Error {
        // A client that does not take the page has had its answer all the same.
        let _ = self.refuse(failure, cx);
        io::Error::other(failure.label())
    }

    /// Reads what a client still sends after its head was refused. Otherwise the kernel would answer that with a reset, and
    /// the client might lose the page to it.
    async fn linger(&mut self) {
        let mut unwanted = [0; 4096];
        while let Ok(1..) = self.stream.read(&mut unwanted).await {}
    }
}

/// Lines that end in a piece of a head; what comes after the empty line is body.
fn lines(piece: &[u8]) -> usize {
    piece
        .split_inclusive(|byte| *byte == b'\n')
        .take_while(|line| !matches!(*line, b"\n" | b"\r\n"))
        .filter(|line| line.ends_with(b"\n"))
        .count()
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_full() {
            return Poll::Ready(Err(self.give_up(Failure::HeadTooLarge, cx)));
        }
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(result) => {
                let bytes = buf.filled().get(before..).unwrap_or_default();
                if !bytes.is_empty() {
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
            let failure = self.reason(buf);
            return self.refuse(failure, cx).map_ok(|()| buf.len());
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
        if !matches!(self.progress.get(), Stage::HeadRefused(_)) {
            return Shutdown::shutdown(&mut self.stream).await;
        }
        let end = async {
            Shutdown::shutdown(&mut self.stream).await;
            self.linger().await;
        };
        let _ = tokio::time::timeout(LINGER, end).await;
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
