//! A server that does what a test tells it to, byte by byte: for everything that a well-behaved server never does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::{PATIENCE, eventually, free_address};

/// An address where every connection is refused: nothing listens there.
pub fn refusing_address() -> SocketAddr {
    free_address()
}

/// A scripted TCP server. Dropped, it closes its port and its connections.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    counts: Arc<Counts>,
    accept: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicUsize,
    open: AtomicUsize,
}

/// One accepted connection.
#[derive(Debug)]
pub struct Connection {
    /// 0 for the first one that the origin accepted, 1 for the next, ...
    pub number: usize,
    /// The socket, for all that has no method here.
    pub stream: TcpStream,
}

impl Origin {
    /// Runs `script` for each connection; the connection ends with it.
    pub async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Connection) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        Self::start_at(free_address(), script).await
    }

    /// The same on a given address, for example one where another was before.
    pub async fn start_at<S, F>(address: SocketAddr, script: S) -> Self
    where
        S: Fn(Connection) -> F + Send + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        let bind = async || TcpListener::bind(address).await;
        let listener = eventually("the address is free", PATIENCE, bind).await;
        let counts = Arc::new(Counts::default());
        let accept = tokio::spawn(accept(listener, Arc::clone(&counts), script));
        Self {
            address,
            counts,
            accept,
        }
    }

    /// Answers every request with these bytes, status line and all, and keeps the connection.
    pub async fn answering(bytes: &[u8]) -> Self {
        let bytes: Arc<[u8]> = bytes.into();
        Self::start(move |mut connection| {
            let bytes = Arc::clone(&bytes);
            async move {
                while connection.read_head().await.is_some() && connection.write(&bytes).await {}
            }
        })
        .await
    }

    /// Takes the connection and throws it away with a reset.
    pub async fn resetting() -> Self {
        Self::start(|connection| async move { connection.reset() }).await
    }

    /// Reads the request and never answers, until the other side leaves.
    pub async fn hanging() -> Self {
        Self::start(|mut connection| async move { connection.read_until_closed().await }).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::Relaxed)
    }

    /// Connections whose script still runs.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Connection {
    /// Reads to the blank line that ends the request head and returns it. `None`: the other side closed first.
    ///
    /// A body, if there is one, is still to be read.
    pub async fn read_head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&head).into_owned())
    }

    /// Writes all of it. `false`: the other side is gone.
    pub async fn write(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).await.is_ok()
    }

    /// Reads and forgets until the other side closes.
    pub async fn read_until_closed(&mut self) {
        let mut buffer = [0; 4096];
        while matches!(self.stream.read(&mut buffer).await, Ok(1..)) {}
    }

    /// Closes with a TCP reset instead of an orderly end.
    pub fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

async fn accept<S, F>(listener: TcpListener, counts: Arc<Counts>, script: S)
where
    S: Fn(Connection) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    // Dropped with this task, and ends the connections then.
    let mut running = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let number = counts.accepted.fetch_add(1, Ordering::Relaxed);
        let open = Open::new(&counts);
        let conversation = script(Connection { number, stream });
        running.spawn(async move {
            conversation.await;
            drop(open);
        });
        while running.try_join_next().is_some() {}
    }
}

/// Counts a connection as open while it exists.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    async fn connect(origin: &Origin) -> TcpStream {
        TcpStream::connect(origin.address()).await.unwrap()
    }

    #[tokio::test]
    async fn a_script_sees_the_head_and_answers() {
        let origin = Origin::start(|mut connection| async move {
            let head = connection.read_head().await.unwrap();
            connection
                .write(format!("{} {head}", connection.number).as_bytes())
                .await;
        })
        .await;
        for number in 0..2 {
            let mut stream = connect(&origin).await;
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer, format!("{number} GET / HTTP/1.1\r\n\r\n"));
        }
    }

    #[tokio::test]
    async fn a_reset_is_a_reset_and_a_refusal_a_refusal() {
        let origin = Origin::resetting().await;
        let error = connect(&origin).await.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let error = TcpStream::connect(refusing_address()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }

    #[tokio::test]
    async fn counts_connections_and_ends_them_when_dropped() {
        let origin = Origin::hanging().await;
        let (one, mut two) = (connect(&origin).await, connect(&origin).await);
        eventually("two are open", PATIENCE, async || origin.open() == 2).await;
        drop(one);
        eventually("one is open", PATIENCE, async || origin.open() == 1).await;
        assert_eq!(origin.accepted(), 2);
        drop(origin);
        assert!(two.read_u8().await.is_err());
    }
}
