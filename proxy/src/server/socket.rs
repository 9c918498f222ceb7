//! The listening socket itself: how it is bound, what is left in its queue, and when the system has no more connections to
//! give.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tracing::{info, warn};

/// Connections that the kernel holds until they are accepted; it takes `net.core.somaxconn` if that is less.
const BACKLOG: i32 = 65_535;

/// After an error that is not one connection's own (no file descriptor left, say).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A tokio listener. An address that somebody listens on already is an error: `SO_REUSEADDR` only forgives connections
/// that are still dying.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Connections that the kernel took before the socket closes would be reset with it. The kernel itself is asked: what
/// tokio knows of the queue may be a moment old.
pub(super) fn left_in_queue(socket: TcpListener) -> Vec<(TcpStream, SocketAddr)> {
    let Ok(socket) = socket.into_std() else {
        return Vec::new();
    };
    let accept = || {
        let (stream, client) = socket.accept()?;
        stream.set_nonblocking(true)?;
        Ok::<_, io::Error>((TcpStream::from_std(stream)?, client))
    };
    std::iter::from_fn(|| accept().ok()).collect()
}

/// Whether connections cannot be accepted. It is told when it begins and when it ends: there are many tries between.
#[derive(Default)]
pub(super) struct Trouble(bool);

impl Trouble {
    /// A connection that was reset before it was accepted concerns nobody else; a lack of file descriptors does.
    pub(super) async fn pause_after(&mut self, error: &io::Error) {
        if is_its_own(error) {
            return;
        }
        if !std::mem::replace(&mut self.0, true) {
            warn!("cannot accept connections: {error}");
        }
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }

    pub(super) fn is_over(&mut self) {
        if std::mem::take(&mut self.0) {
            info!("connections are accepted again");
        }
    }
}

fn is_its_own(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    )
}
