//! One client's connection.
//!
//! Pingora bounds each read of a request's head, not the head: a client that sends a byte a minute holds a connection for
//! a day. It looks at the size of a head when it is complete: until then a client may fill a megabyte. And what it refuses
//! while it reads a head never reaches `ProxyHttp`: the client gets a bare status and the log nothing. So the stream itself
//! knows whether a head is on its way: it ends the wait at a deadline, it reads no more than the file allows, and it sees
//! what is refused, so that it can be told and logged.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use crossbeam_utils::atomic::AtomicCell;
use http::HeaderValue;
use memchr::memchr_iter;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::outgoing::Outgoing;
use crate::error::Failure;
use crate::flow::Client;
use crate::flow::receive::new_id;
use crate::flow::respond;
use crate::patience::Patience;
use crate::snapshot::{ClientTimeouts, Running};

/// Pingora refuses a head of this size (`MAX_HEADER_SIZE` in its `protocols/http/v1/common.rs`).
const HEAD_MAX: usize = 1_048_575;

/// A length that the head of a request does not tell.
const UNKNOWN: u64 = u64::MAX;

/// How long a client whose head was refused may take to read why and to stop sending.
const LINGER: Duration = Duration::from_secs(2);

/// How often a client that has sent more than was read is looked after while its request waits.
const GLANCE: Duration = Duration::from_millis(100);

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
    HeadRefused,
}

/// What the log says of a head that was refused.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Why.
    pub(super) failure: Failure,
    /// The id that the client was told.
    pub(super) id: HeaderValue,
    /// How long the head took; nothing if it came in one piece.
    pub(super) took: Duration,
}

/// The stage of a connection, shared between the stream and whoever serves it.
#[derive(Debug)]
pub(super) struct Progress {
    client: Client,
    /// The length of the request, head and body; `UNKNOWN` if only its end tells.
    length: AtomicU64,
    stage: AtomicCell<Stage>,
    /// There is one at most: the connection ends with it.
    refusal: OnceLock<Refusal>,
}

impl Progress {
    /// Who is at the other end.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn get(&self) -> Stage {
        self.stage.load()
    }

    /// Its head was refused.
    pub(super) fn refusal(&self) -> Option<&Refusal> {
        self.refusal.get()
    }

    pub(super) fn set(&self, stage: Stage) {
        self.stage.store(stage);
    }
}

/// What a client may take.
pub(super) struct Bounds {
    /// Who knows the limits of the file at any time.
    pub(super) running: Arc<Running>,
    /// For the next request, and for its whole head.
    pub(super) timeouts: ClientTimeouts,
}

impl std::fmt::Debug for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bounds")
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    socket: TcpStream,
    outgoing: Outgoing,
    digest: Arc<SocketDigest>,
    progress: Arc<Progress>,
    bounds: Bounds,
    /// Then whoever writes flushes, too, and at the right moments.
    is_http2: bool,
    /// Runs while a request is waited for, and while its head is on its way.
    patience: Patience,
    /// Bytes that were read since a request was waited for.
    read: u64,
    /// Where the head ended, in these bytes.
    head_end: Option<u64>,
    /// Bytes of the head so far; once it is complete, also what came of the body with its end.
    head: usize,
    /// Complete lines of the head so far.
    lines: usize,
}

impl Connection {
    /// HTTP/2 has its own bounds and its own errors: its connections count as one long request.
    pub(super) fn new(
        socket: TcpStream,
        client: SocketAddr,
        bounds: Bounds,
        is_http2: bool,
    ) -> Self {
        let stage = if is_http2 {
            Stage::Request
        } else {
            Stage::Waiting
        };
        let digest = SocketDigest::from_raw_fd(socket.as_raw_fd());
        // Known already; it would cost a system call to ask again. The cell is fresh, so it takes the value.
        let _ = digest.peer_addr.set(Some(client.into()));
        Self {
            socket,
            outgoing: Outgoing::default(),
            digest: Arc::new(digest),
            progress: Arc::new(Progress {
                client: Client::new(client.ip()),
                length: AtomicU64::new(0),
                stage: AtomicCell::new(stage),
                refusal: OnceLock::new(),
            }),
            bounds,
            is_http2,
            patience: Patience::default(),
            read: 0,
            head_end: None,
            head: 0,
            lines: 0,
        }
    }

    /// Waits for the next request; none comes when the client has been silent for too long.
    pub(super) fn poll_next_request(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        match self.socket.poll_read_ready(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending => {
                let keep_alive = self.bounds.timeouts.keep_alive;
                self.patience.poll(keep_alive, cx).map(|()| false)
            }
        }
    }

    /// The head of a request is complete: `head` is its length as Pingora has it, `body` that of the body if it is told.
    pub(super) fn begin_request(&self, head: u64, body: Option<u64>) {
        self.progress.set(Stage::Request);
        // Pingora may have had a part of the head before it read the rest here, and it may have written it anew. Both only
        // make the head longer than it was here: if it is not, it began with the first byte and is what the client sent.
        let is_exact = self.head_end == Some(head);
        let length = body
            .filter(|_| is_exact)
            .and_then(|body| head.checked_add(body));
        self.progress
            .length
            .store(length.unwrap_or(UNKNOWN), Ordering::Relaxed);
    }

    /// Whether everything that was read belongs to the request that was served last, to its end. Otherwise a part of it may
    /// not have come, or Pingora may have the beginning of the next one.
    pub(super) fn is_between_requests(&self) -> bool {
        self.read == self.progress.length.load(Ordering::Relaxed)
    }

    /// Ends when the client has closed its side. What it sent stays to be read; as long as there is something, the socket tells no
    /// news of more, and is asked now and then.
    pub(super) async fn is_left(&self) {
        loop {
            let mut byte = [0; 1];
            let next =
                std::future::poll_fn(|cx| self.socket.poll_peek(cx, &mut ReadBuf::new(&mut byte)));
            if !matches!(next.await, Ok(1..)) {
                return;
            }
            let state = self.socket.ready(Interest::READABLE).await;
            if state.is_ok_and(|state| state.is_read_closed()) {
                return;
            }
            tokio::time::sleep(GLANCE).await;
        }
    }

    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Nothing has come: ends the read once a request or its head is late. A connection that was not used again ends as if
    /// the client had closed it.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let timeouts = self.bounds.timeouts;
        match self.progress.get() {
            Stage::Waiting => self.patience.poll(timeouts.keep_alive, cx).map(Ok),
            Stage::Head => {
                std::task::ready!(self.patience.poll(timeouts.header, cx));
                Poll::Ready(Err(self.give_up(Failure::HeadTimeout, cx)))
            }
            Stage::Request | Stage::HeadRefused => Poll::Pending,
        }
    }

    /// Bytes have come.
    fn note_read(&mut self, bytes: &[u8]) {
        match self.progress.get() {
            Stage::Waiting => {
                self.patience.renew();
                self.read = 0;
                self.head = 0;
                self.lines = 0;
                self.head_end = None;
                self.progress.set(Stage::Head);
                self.note_head(bytes);
            }
            Stage::Head => self.note_head(bytes),
            Stage::Request | Stage::HeadRefused => {}
        }
        self.read += bytes.len() as u64;
    }

    fn note_head(&mut self, bytes: &[u8]) {
        let (lines, end) = lines(bytes);
        self.lines += lines;
        self.head_end = self.head_end.or(end.map(|end| self.read + end as u64));
        self.head += bytes.len();
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
        self.progress.set(Stage::HeadRefused);
        let took = self.patience.spent(self.bounds.timeouts.header);
        let refusal = self.progress.refusal.get_or_init(|| Refusal {
            failure,
            id: new_id(),
            took,
        });
        let page = respond::refusal(failure, refusal.id.to_str().unwrap_or("-"));
        // A page this small finds room: it is taken whole.
        self.outgoing
            .poll_write(&mut self.socket, &[IoSlice::new(&page)], cx)
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
        while let Ok(1..) = self.socket.read(&mut unwanted).await {}
    }
}

/// Lines that end in a piece of a head, and where the empty line ends, after which comes the body. An empty line that comes
/// in two pieces is not seen.
fn lines(piece: &[u8]) -> (usize, Option<usize>) {
    let mut begin = 0;
    let mut count = 0;
    for end in memchr_iter(b'\n', piece) {
        if matches!(piece.get(begin..end), Some(b"" | b"\r")) {
            return (count, Some(end + 1));
        }
        begin = end + 1;
        count += 1;
    }
    (count, None)
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
        let me = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut me.socket).poll_read(cx, buf);
        // Pingora flushes at the end of an answer. It reads here while it waits for more of one, and the client should not
        // wait for what is there. What fails shows with the next write.
        if !me.is_http2 {
            let _ = me.outgoing.poll_flush(&mut me.socket, cx);
        }
        match read {
            Poll::Ready(result) => {
                let bytes = buf.filled().get(before..).unwrap_or_default();
                if !bytes.is_empty() {
                    me.note_read(bytes);
                }
                Poll::Ready(result)
            }
            Poll::Pending => me.check_deadline(cx),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = &mut *self;
        // A head that was sent ahead is read without asking the stream.
        if matches!(me.progress.get(), Stage::Waiting | Stage::Head) {
            let failure = me.reason(bufs.first().map(|first| &**first).unwrap_or_default());
            let length = bufs.iter().map(|piece| piece.len()).sum();
            return me.refuse(failure, cx).map_ok(|()| length);
        }
        me.patience.renew();
        let written = std::task::ready!(me.outgoing.poll_write(&mut me.socket, bufs, cx));
        if !me.is_http2 && !me.is_between_requests() {
            // While a body is on its way, or another request was sent ahead, Pingora may not read here again before it has
            // more to write. What fails shows with the next write.
            let _ = me.outgoing.poll_flush(&mut me.socket, cx);
        }
        Poll::Ready(written)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        me.outgoing.poll_flush(&mut me.socket, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let me = &mut *self;
        me.outgoing.poll_shutdown(&mut me.socket, cx)
    }
}

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        // Whom it fails for is gone.
        if !matches!(self.progress.get(), Stage::HeadRefused) {
            let _ = AsyncWriteExt::shutdown(self).await;
            return;
        }
        let end = async {
            let _ = AsyncWriteExt::shutdown(self).await;
            self.linger().await;
        };
        let _ = tokio::time::timeout(LINGER, end).await;
    }
}

impl Drop for Connection {
    /// An answer that breaks off leaves with what there is of it.
    fn drop(&mut self) {
        if !self.outgoing.waiting().is_empty() {
            let _ = self.socket.try_write(self.outgoing.waiting());
        }
    }
}

impl UniqueID for Connection {
    fn id(&self) -> UniqueIDType {
        self.socket.as_raw_fd()
    }
}

impl Ssl for Connection {}

#[async_trait]
impl Peek for Connection {
    /// For the preface of HTTP/2, which `preface` has seen: it is all there.
    async fn try_peek(&mut self, buf: &mut [u8]) -> io::Result<bool> {
        self.socket.peek(buf).await?;
        Ok(true)
    }
}

impl GetTimingDigest for Connection {
    /// Nobody asks; a list would be made for every request.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(Arc::clone(&self.digest))
    }
}
