//! What waits to be written. The head of an answer and a small body come in two pieces and should leave in one system call;
//! of a large body nothing is copied. Empty, it holds no memory: most connections are idle.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;
use tokio::net::TcpStream;

/// Up to this much waits for the flush that follows; what does not fit is written at once, together with what waited.
const HOLD: usize = 4096;

/// Room for the head of an answer, so that it is found once.
const FIRST: usize = 1024;

/// Pieces that are written in one call, the held one included.
const PIECES: usize = 4;

/// Bytes that were taken and not written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    held: Vec<u8>,
    /// The part of them that is written.
    sent: usize,
}

impl Outgoing {
    /// What was taken and not written.
    pub(super) fn waiting(&self) -> &[u8] {
        self.held.get(self.sent..).unwrap_or_default()
    }

    /// Takes the pieces if they fit.
    fn holds(&mut self, pieces: &[IoSlice<'_>], length: usize) -> bool {
        let fits = self.held.len() + length <= HOLD;
        if fits {
            if self.held.capacity() == 0 {
                self.held.reserve(length.max(FIRST));
            }
            for piece in pieces {
                self.held.extend_from_slice(piece);
            }
        }
        fits
    }

    /// So much is written, of what waited first; returns how much of what came after that.
    fn written(&mut self, count: usize) -> usize {
        let waited = self.waiting().len();
        if count < waited {
            self.sent += count;
            return 0;
        }
        *self = Self::default();
        count - waited
    }

    /// Takes pieces, or writes them.
    pub(super) fn poll_write(
        &mut self,
        socket: &mut TcpStream,
        pieces: &[IoSlice<'_>],
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        if self.holds(pieces, length) {
            return Poll::Ready(Ok(length));
        }
        loop {
            let mut all = [IoSlice::new(&[]); PIECES];
            let waiting = IoSlice::new(self.waiting());
            let pieces = std::iter::once(&waiting).chain(pieces);
            let mut count = 0;
            for (place, piece) in all.iter_mut().zip(pieces.filter(|piece| !piece.is_empty())) {
                *place = *piece;
                count += 1;
            }
            let all = all.get(..count).unwrap_or_default();
            let written = ready!(Pin::new(&mut *socket).poll_write_vectored(cx, all))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let beyond = self.written(written);
            if beyond > 0 {
                return Poll::Ready(Ok(beyond));
            }
        }
    }

    /// Writes everything.
    pub(super) fn poll_flush(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while !self.waiting().is_empty() {
            let written = ready!(Pin::new(&mut *socket).poll_write(cx, self.waiting()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written(written);
        }
        Poll::Ready(Ok(()))
    }

    /// Writes everything and says that nothing follows.
    pub(super) fn poll_shutdown(
        &mut self,
        socket: &mut TcpStream,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(socket, cx))?;
        Pin::new(socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (near.unwrap(), far.unwrap().0)
    }

    #[tokio::test]
    async fn what_is_small_waits_for_the_flush_and_leaves_no_memory_behind() {
        let (mut near, mut far) = pair().await;
        let mut outgoing = Outgoing::default();
        for piece in ["head ", "body"] {
            let pieces = [IoSlice::new(piece.as_bytes())];
            let taken = poll_fn(|cx| outgoing.poll_write(&mut near, &pieces, cx)).await;
            assert_eq!(taken.unwrap(), piece.len());
        }
        assert!(far.try_read(&mut [0]).is_err());
        poll_fn(|cx| outgoing.poll_flush(&mut near, cx))
            .await
            .unwrap();
        assert_eq!(outgoing.held.capacity(), 0);
        let mut read = [0; 9];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"head body");
    }

    #[tokio::test]
    async fn whatever_the_sizes_every_byte_comes_once_and_in_order() {
        let (mut near, mut far) = pair().await;
        let sizes = [1, 4000, 95, 1, 4096, 5, 70_000, 3, 300_000, 0, 9];
        let whole: Vec<u8> = (0..sizes.iter().sum::<usize>())
            .map(|number| (number % 251) as u8)
            .collect();
        let reading = tokio::spawn(async move {
            let mut read = Vec::new();
            far.read_to_end(&mut read).await.unwrap();
            read
        });
        let mut outgoing = Outgoing::default();
        let mut rest = whole.as_slice();
        for size in sizes {
            let (mut piece, after) = rest.split_at(size);
            rest = after;
            while !piece.is_empty() {
                let (first, second) = piece.split_at(piece.len() / 3);
                let pieces = [IoSlice::new(first), IoSlice::new(second)];
                let taken = poll_fn(|cx| outgoing.poll_write(&mut near, &pieces, cx));
                piece = &piece[taken.await.unwrap()..];
            }
        }
        poll_fn(|cx| outgoing.poll_shutdown(&mut near, cx))
            .await
            .unwrap();
        assert!(reading.await.unwrap() == whole);
    }
}
