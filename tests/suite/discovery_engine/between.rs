//! Somebody between the proxy and a service: the line can be cut, and what would not end can be kept silent.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// Hands everything on, until it is dropped.
pub(crate) struct Between {
    task: JoinHandle<()>,
    /// Streams that are kept silent.
    silenced: Arc<AtomicUsize>,
}

/// Whom to hand it to.
#[derive(Debug, Clone)]
pub(crate) enum Behind {
    Unix(PathBuf),
    Tcp(SocketAddr),
}

impl Drop for Between {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Between {
    /// On a socket of its own; what is left of an earlier one is removed.
    pub(crate) fn on_socket(path: &Path, behind: Behind) -> Self {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).unwrap();
        let silenced = Arc::default();
        let serve = async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                lines.spawn(hand_on(near, behind.clone(), None, Arc::default()));
            }
        };
        Self {
            task: tokio::spawn(serve),
            silenced,
        }
    }

    /// On this port; requests whose line has `silent` in it get the beginning of an answer and nothing more.
    pub(crate) async fn on_port(at: SocketAddr, behind: Behind, silent: &'static str) -> Self {
        let listener = TcpListener::bind(at).await.unwrap();
        let silenced: Arc<AtomicUsize> = Arc::default();
        let count = Arc::clone(&silenced);
        let serve = async move {
            let mut lines = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                let count = Arc::clone(&count);
                lines.spawn(hand_on(near, behind.clone(), Some(silent), count));
            }
        };
        Self {
            task: tokio::spawn(serve),
            silenced,
        }
    }

    pub(crate) fn silenced(&self) -> usize {
        self.silenced.load(Ordering::Relaxed)
    }
}

async fn hand_on<S: AsyncRead + AsyncWrite + Unpin>(
    mut near: S,
    behind: Behind,
    silent: Option<&str>,
    silenced: Arc<AtomicUsize>,
) {
    let mut begin = vec![0; 4096];
    let Ok(length) = near.read(&mut begin).await else {
        return;
    };
    begin.truncate(length);
    let line = String::from_utf8_lossy(&begin);
    let line = line.lines().next().unwrap_or_default();
    if silent.is_some_and(|silent| line.contains(silent)) {
        silenced.fetch_add(1, Ordering::Relaxed);
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let _ = near.write_all(head).await;
        // Until the proxy hangs up.
        let _ = near.read(&mut [0; 1]).await;
        return;
    }
    match behind {
        Behind::Unix(path) => join(near, &begin, UnixStream::connect(path).await).await,
        Behind::Tcp(address) => join(near, &begin, TcpStream::connect(address).await).await,
    }
}

async fn join<N, F>(mut near: N, begin: &[u8], far: std::io::Result<F>)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    if let Ok(mut far) = far
        && far.write_all(begin).await.is_ok()
    {
        let _ = copy_bidirectional(&mut near, &mut far).await;
    }
}
