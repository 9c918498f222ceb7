//! A connection to a server for the handshake of a WebSocket.
//!
//! Pingora 0.9.1 sends the end of the request's (empty) body and reads the answer side by side, and takes whichever is
//! ready first (pingora-proxy, `proxy_handle_upstream`). When a quick server's 101 wins, the end of the body that is taken
//! after it counts as the end of the tunnel, and the client loses a connection that was just made. So the answer is held
//! back here until the end of the body has been taken: Pingora flushes once after the head and once after the end of the
//! body, and only then may anything be read.
//!
//! The wait for the answer has the bound that other answers have, although the tunnel that follows may be silent for
//! longer. Such a connection serves one handshake: it neither comes from the kept ones nor goes to them.

use std::io;
use std::net::SocketAddr as InetAddress;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, OrErr, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// After the head, and after the end of the body.
const FLUSHES_OF_A_REQUEST: u8 = 2;

/// Connections are shared within a group, and nobody shares this one.
const HANDSHAKES: u64 = 2;

/// Makes `peer` the way to a handshake: `tunnel` is how long it may be silent once it stands.
pub(super) fn prepare(peer: &mut HttpPeer, tunnel: Option<Duration>) {
    let opening = Opening {
        connect: peer.options.connection_timeout,
        answer: peer.options.read_timeout,
    };
    peer.options.custom_l4 = Some(Arc::new(opening));
    peer.options.read_timeout = tunnel;
    peer.options.idle_timeout = Some(Duration::ZERO);
    peer.group_key = HANDSHAKES;
}

/// Opens such connections. With a connector of one's own, Pingora leaves the time limit to it.
#[derive(Debug)]
struct Opening {
    connect: Option<Duration>,
    answer: Option<Duration>,
}

#[async_trait]
impl L4Connect for Opening {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::InternalError, "a handshake needs a TCP address");
        };
        let socket = self.within_time(*address).await?;
        socket
            .set_nodelay(true)
            .or_err(ErrorType::SocketError, "for a handshake")?;
        let handshake = Handshake {
            socket,
            flushes: 0,
            reader: None,
            answer: self
                .answer
                .map(|answer| Box::pin(tokio::time::sleep(answer))),
        };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(handshake))))
    }
}

impl Opening {
    async fn within_time(&self, address: InetAddress) -> Result<TcpStream> {
        let patience = self.connect.unwrap_or(Duration::MAX);
        match tokio::time::timeout(patience, TcpStream::connect(address)).await {
            Ok(connected) => connected.or_err(ErrorType::ConnectError, "for a handshake"),
            Err(late) => Error::e_because(ErrorType::ConnectTimedout, "for a handshake", late),
        }
    }
}

/// The connection: reads nothing before the request is sent to its end.
#[derive(Debug)]
struct Handshake {
    socket: TcpStream,
    flushes: u8,
    /// Who waits to read.
    reader: Option<Waker>,
    /// Runs until the first byte of the answer.
    answer: Option<Pin<Box<Sleep>>>,
}

impl Handshake {
    fn check_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(answer) = &mut self.answer else {
            return Poll::Pending;
        };
        std::task::ready!(answer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Handshake {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.flushes < FLUSHES_OF_A_REQUEST {
            self.reader = Some(cx.waker().clone());
            return self.check_answer(cx);
        }
        match Pin::new(&mut self.socket).poll_read(cx, buf) {
            Poll::Ready(read) => {
                self.answer = None;
                Poll::Ready(read)
            }
            Poll::Pending => self.check_answer(cx),
        }
    }
}

impl AsyncWrite for Handshake {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        if flushed.is_ready() && self.flushes < FLUSHES_OF_A_REQUEST {
            self.flushes += 1;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

impl VirtualSocket for Handshake {
    /// `TCP_NODELAY` is set already; nothing else is asked for.
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => Ok(()),
            _ => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}
