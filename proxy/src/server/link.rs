//! A request's connection to its server.
//!
//! Pingora's own pool costs a task, a timer, locks that all servers share and a system call for each request that it lends
//! a connection to. Here a connection that is free lies in a list of its server's (`upstream::kept`). Pingora is told that every
//! connection is new; when it is done with one it asks whether it could be kept, and takes the answer "closed": it lets
//! go, and the connection goes back to the list.
//!
//! The handshake of a WebSocket is held back here, too. Pingora 0.9.1 sends the end of the request's (empty) body and reads
//! the answer side by side, and takes whichever is ready first (pingora-proxy, `proxy_handle_upstream`). When a quick
//! server's 101 wins, the end of the body that is taken after it counts as the end of the tunnel, and the client loses a
//! connection that was just made. Pingora flushes once after the head and once after the end of the body, and only then may
//! anything be read. Such a connection serves one handshake: it neither comes from the kept ones nor goes to them.
//!
//! And so is a request whose body may turn out to be too large: Pingora writes the head at once, and the server is to hear
//! nothing of it.

use std::io;
use std::net::SocketAddr as InetAddress;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use crossbeam_utils::atomic::AtomicCell;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::race::{Race, Second};
use crate::flow::hedge::Hedge;
use crate::upstream::kept::Wire;
use crate::upstream::limits::{Open, Pass};
use crate::upstream::{Endpoint, Timeouts};

/// After the head, and after the end of the body.
const FLUSHES_OF_A_REQUEST: u8 = 2;

/// The group of the next connection. Should Pingora keep one after all, it would look for it by its group and the number
/// of its socket, and it takes all of these sockets for number -1: in one group they would be taken for each other.
static NEXT_GROUP: AtomicU64 = AtomicU64::new(1);

/// The way to a server: on `wire` if there is one, or else on a new connection.
pub(super) fn way(
    server: &Arc<Endpoint>,
    wire: Option<Box<Wire>>,
    pass: Option<Box<Pass>>,
    bounds: Bounds,
    carries: Carries,
    hedge: Option<Arc<Hedge>>,
) -> Box<HttpPeer> {
    let mut peer = Box::new(server.peer().clone());
    peer.options.write_timeout = Some(bounds.timeouts.write);
    peer.options.custom_l4 = Some(Arc::new(Way {
        server: Arc::clone(server),
        wire: AtomicCell::new(wire),
        pass: AtomicCell::new(pass),
        bounds,
        carries,
        hedge,
    }));
    peer.options.idle_timeout = Some(Duration::ZERO);
    peer.group_key = NEXT_GROUP.fetch_add(1, Ordering::Relaxed);
    peer
}

/// How long the server is waited for.
#[derive(Debug, Clone)]
pub(super) struct Bounds {
    /// The parts of the exchange with it.
    pub(super) timeouts: Timeouts,
    /// All of it, unless it becomes a tunnel.
    pub(super) deadline: Option<Instant>,
    /// Says whether all of the request is on its way, if that is not so from the beginning.
    pub(super) whole: Option<Arc<AtomicBool>>,
}

impl Bounds {
    fn is_whole(&self) -> bool {
        let whole = self.whole.as_ref();
        whole.is_none_or(|it| it.load(Ordering::Acquire))
    }
}

/// What a connection is wanted for.
#[derive(Debug, Clone)]
pub(super) enum Carries {
    /// A request and its answer; others may follow.
    Request,
    /// The same, but nothing is sent before this says so.
    Held(Arc<AtomicBool>),
    /// A handshake, and the tunnel that comes of it.
    Handshake,
}

/// Makes the connection. With a connector of one's own, Pingora leaves the time limits to it.
struct Way {
    server: Arc<Endpoint>,
    wire: AtomicCell<Option<Box<Wire>>>,
    pass: AtomicCell<Option<Box<Pass>>>,
    bounds: Bounds,
    carries: Carries,
    /// What a second server may be asked.
    hedge: Option<Arc<Hedge>>,
}

impl std::fmt::Debug for Way {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Way")
            .field("server", &self.server)
            .field("carries", &self.carries)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl L4Connect for Way {
    async fn connect(&self, _address: &SocketAddr) -> Result<Stream> {
        let pass = self.pass.take();
        let wire = match self.wire.take() {
            Some(wire) => wire,
            None => {
                let open = pass.as_ref().map(|pass| pass.open());
                self.dial(open).await?
            }
        };
        let link = Link {
            wire: Some(wire),
            pass,
            server: Arc::clone(&self.server),
            bounds: self.bounds.clone(),
            gate: matches!(self.carries, Carries::Handshake).then(Gate::default),
            held: match &self.carries {
                Carries::Held(go) => Some(Held::new(go)),
                Carries::Request | Carries::Handshake => None,
            },
            race: self
                .hedge
                .as_ref()
                .map(|hedge| Race::new(Arc::clone(hedge), self.bounds.timeouts.connect)),
            was_whole: self.bounds.is_whole(),
            stage: Stage::Asked,
            may_be_kept: false,
        };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(link))))
    }
}

impl Way {
    async fn dial(&self, open: Option<Open>) -> Result<Box<Wire>> {
        let left = |end: Instant| end.saturating_duration_since(Instant::now());
        let left = self.bounds.deadline.map_or(Duration::MAX, left);
        let patience = self.bounds.timeouts.connect.min(left);
        dial(self.server.address(), patience, open).await
    }
}

/// A new connection, counted by `open`.
pub(super) async fn dial(
    address: InetAddress,
    patience: Duration,
    open: Option<Open>,
) -> Result<Box<Wire>> {
    let dialled = tokio::time::timeout(patience, TcpStream::connect(address)).await;
    let socket = match dialled {
        Ok(Ok(socket)) => socket,
        Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut => {
            return Error::e_because(ErrorType::ConnectTimedout, "connecting", error);
        }
        Ok(Err(error)) => {
            return Error::e_because(ErrorType::ConnectError, "connecting", error);
        }
        Err(late) => return Error::e_because(ErrorType::ConnectTimedout, "connecting", late),
    };
    // The pieces of a request must not wait for the server's acknowledgement of earlier ones.
    socket
        .set_nodelay(true)
        .or_err(ErrorType::SocketError, "connecting")?;
    let mut wire = Box::new(Wire::new(socket));
    wire.open = open;
    Ok(wire)
}

/// Keeps the answer back until the request has been sent to its end.
#[derive(Debug, Default)]
struct Gate {
    flushes: u8,
    /// Who waits to read.
    reader: Option<Waker>,
}

impl Gate {
    fn is_open(&self) -> bool {
        self.flushes >= FLUSHES_OF_A_REQUEST
    }

    fn note_flush(&mut self) {
        self.flushes = self.flushes.saturating_add(1);
        if let Some(reader) = self.reader.take().filter(|_| self.is_open()) {
            reader.wake();
        }
    }
}

/// Keeps what is written back until it may go.
#[derive(Debug)]
struct Held {
    go: Arc<AtomicBool>,
    bytes: Vec<u8>,
    written: usize,
}

impl Held {
    fn new(go: &Arc<AtomicBool>) -> Self {
        Self {
            go: Arc::clone(go),
            bytes: Vec::new(),
            written: 0,
        }
    }

    /// Once it may go, writes it.
    fn poll_release(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(rest) = self
            .bytes
            .get(self.written..)
            .filter(|rest| !rest.is_empty())
        {
            match ready!(Pin::new(&mut *socket).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// A connection while a request has it.
#[derive(Debug)]
struct Link {
    /// Until it is given back, at the very end.
    wire: Option<Box<Wire>>,
    /// Leave to use it, given back when it is closed or waits.
    pass: Option<Box<Pass>>,
    server: Arc<Endpoint>,
    bounds: Bounds,
    gate: Option<Gate>,
    held: Option<Held>,
    race: Option<Race>,
    /// All of the request was on its way when that was looked at last.
    was_whole: bool,
    stage: Stage,
    /// Pingora is done with it, and the server is silent.
    may_be_kept: bool,
}

/// How far the server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No answer has begun.
    Asked,
    /// The answer is on its way.
    Answering,
    /// It has taken up a handshake: from here on both may be silent for longer.
    Tunnel,
}

impl Stage {
    /// After the first bytes of an answer. Interim ones (RFC 9110, section 15.2) are none, but what follows them in the same
    /// piece is not looked for.
    fn after(bytes: &[u8], is_handshake: bool) -> Self {
        match (bytes.get(9), is_handshake) {
            (Some(b'1') | None, true) => Self::Tunnel,
            (Some(b'1'), false) => Self::Asked,
            _ => Self::Answering,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take().filter(|_| self.may_be_kept) {
            self.server.kept().put(wire, self.bounds.timeouts.idle);
        }
    }
}

/// Whether Pingora asks if the connection may be kept (`test_reusable_stream` in its `connectors/mod.rs`): it reads one byte,
/// and nobody waits for it. Whoever waits is a task of tokio's, and its waker points to that task.
fn is_question(buf: &ReadBuf<'_>, cx: &Context<'_>) -> bool {
    buf.remaining() == 1 && cx.waker().data().is_null()
}

impl Link {
    fn wire(&mut self) -> io::Result<&mut Wire> {
        self.wire
            .as_deref_mut()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Writes what was held back, if it may go by now; false if it may not.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let Some(mut held) = self.held.take() else {
            return Poll::Ready(Ok(true));
        };
        if !held.go.load(Ordering::Acquire) {
            self.held = Some(held);
            return Poll::Ready(Ok(false));
        }
        match held.poll_release(&mut self.wire()?.socket, cx) {
            Poll::Pending => {
                self.held = Some(held);
                Poll::Pending
            }
            Poll::Ready(released) => Poll::Ready(released.map(|()| true)),
        }
    }

    /// What the server says; or another one, if the request may be sent to a second one.
    fn poll_answer(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some(mut race) = self.race.take() else {
            return Pin::new(&mut self.wire()?.socket).poll_read(cx, buf);
        };
        if race.has_first() {
            let before = buf.filled().len();
            match Pin::new(&mut self.wire()?.socket).poll_read(cx, buf) {
                Poll::Ready(Ok(())) if buf.filled().len() > before => return Poll::Ready(Ok(())),
                Poll::Ready(end) => {
                    if let Some(end) = race.first_ended(end) {
                        return Poll::Ready(end);
                    }
                }
                Poll::Pending => {}
            }
        }
        match race.poll(cx, buf) {
            Poll::Pending => {
                self.race = Some(race);
                Poll::Pending
            }
            Poll::Ready(Ok(Second { server, wire, pass })) => {
                // The first connection is closed before its place is given to others.
                self.wire = None;
                (self.server, self.wire, self.pass) = (server, Some(wire), pass);
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(end)) => Poll::Ready(end),
        }
    }

    fn silence(&self) -> Duration {
        let timeouts = &self.bounds.timeouts;
        match self.stage {
            Stage::Tunnel => timeouts.tunnel,
            Stage::Asked if self.was_whole => timeouts.first_byte(),
            Stage::Asked | Stage::Answering => timeouts.read,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let deadline = self.bounds.deadline;
        deadline.filter(|_| self.stage != Stage::Tunnel)
    }

    /// Nothing has come: ends the read once the server has been silent for too long.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.was_whole && self.bounds.is_whole() {
            // From here on the server has no excuse.
            self.was_whole = true;
            self.wire()?.patience.renew();
        }
        let limit = self.silence();
        let end = self.deadline().map(Into::into);
        ready!(self.wire()?.patience.poll_until(limit, end, cx));
        // Of two servers, the first one may have hung up long ago.
        let first = self.race.as_mut().and_then(Race::end);
        Poll::Ready(first.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into())))
    }

    /// Nothing was taken, for which Pingora keeps the time: ends the write if the whole has taken too long.
    fn check_deadline(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(end) = self.deadline() else {
            return Poll::Pending;
        };
        let patience = &mut self.wire()?.patience;
        ready!(patience.poll_until(Duration::MAX, Some(end.into()), cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if let Some(gate) = me.gate.as_mut().filter(|gate| !gate.is_open()) {
            gate.reader = Some(cx.waker().clone());
            return me.check_silence(cx);
        }
        if is_question(buf, cx) {
            me.may_be_kept = me.gate.is_none() && me.wire()?.is_silent();
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match me.poll_answer(cx, buf) {
            Poll::Ready(read) => {
                me.wire()?.patience.renew();
                if me.stage == Stage::Asked {
                    let bytes = buf.filled().get(before..).unwrap_or_default();
                    me.stage = Stage::after(bytes, me.gate.is_some());
                }
                Poll::Ready(read)
            }
            Poll::Pending => me.check_silence(cx),
        }
    }
}

impl AsyncWrite for Link {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if !ready!(self.poll_held(cx))?
            && let Some(held) = &mut self.held
        {
            held.bytes.extend_from_slice(buf);
            self.wire()?.patience.renew();
            return Poll::Ready(Ok(buf.len()));
        }
        let wire = self.wire()?;
        wire.patience.renew();
        match Pin::new(&mut wire.socket).poll_write(cx, buf) {
            Poll::Pending => self.check_deadline(cx),
            Poll::Ready(written) => {
                if let (Some(race), Ok(written)) = (&mut self.race, &written) {
                    race.note(buf.get(..*written).unwrap_or_default());
                }
                Poll::Ready(written)
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A socket has nothing to flush.
        ready!(self.poll_held(cx))?;
        if let Some(gate) = &mut self.gate {
            gate.note_flush();
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire()?.socket).poll_shutdown(cx)
    }
}

impl VirtualSocket for Link {
    /// `TCP_NODELAY` is set already; nothing else is asked for.
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
