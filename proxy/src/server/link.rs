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
use std::time::Duration;

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

use crate::upstream::kept::Wire;
use crate::upstream::limits::Pass;
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
    timeouts: Timeouts,
    carries: Carries,
) -> Box<HttpPeer> {
    let mut peer = Box::new(server.peer().clone());
    peer.options.custom_l4 = Some(Arc::new(Way {
        server: Arc::clone(server),
        wire: AtomicCell::new(wire),
        pass: AtomicCell::new(pass),
        timeouts,
        carries,
    }));
    peer.options.write_timeout = Some(timeouts.write);
    peer.options.idle_timeout = Some(Duration::ZERO);
    peer.group_key = NEXT_GROUP.fetch_add(1, Ordering::Relaxed);
    peer
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
    timeouts: Timeouts,
    carries: Carries,
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
                let mut wire = Box::new(Wire::new(self.dial(self.server.address()).await?));
                wire.open = open;
                wire
            }
        };
        let link = Link {
            wire: Some(wire),
            _pass: pass,
            server: Arc::clone(&self.server),
            timeouts: self.timeouts,
            gate: matches!(self.carries, Carries::Handshake).then(Gate::default),
            held: match &self.carries {
                Carries::Held(go) => Some(Held::new(go)),
                Carries::Request | Carries::Handshake => None,
            },
            is_tunnel: false,
            may_be_kept: false,
        };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(link))))
    }
}

impl Way {
    async fn dial(&self, address: InetAddress) -> Result<TcpStream> {
        let patience = self.timeouts.connect;
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
        Ok(socket)
    }
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
    _pass: Option<Box<Pass>>,
    server: Arc<Endpoint>,
    timeouts: Timeouts,
    gate: Option<Gate>,
    held: Option<Held>,
    /// The answer to a handshake has come: from here on it may be silent for longer.
    is_tunnel: bool,
    /// Pingora is done with it, and the server is silent.
    may_be_kept: bool,
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take().filter(|_| self.may_be_kept) {
            self.server.kept().put(wire, self.timeouts.idle);
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

    fn silence(&self) -> Duration {
        if self.is_tunnel {
            self.timeouts.tunnel
        } else {
            self.timeouts.read
        }
    }

    /// Nothing has come: ends the read once the server has been silent for too long.
    fn check_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limit = self.silence();
        ready!(self.wire()?.patience.poll(limit, cx));
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
        match Pin::new(&mut me.wire()?.socket).poll_read(cx, buf) {
            Poll::Ready(read) => {
                me.wire()?.patience.renew();
                me.is_tunnel = me.gate.is_some();
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
        Pin::new(&mut wire.socket).poll_write(cx, buf)
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
