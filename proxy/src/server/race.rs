//! A second server beside the first: the same bytes go to both, and whichever answers first is heard. The other connection is
//! closed, which tells its server that nobody waits any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use super::link::dial;
use crate::flow::hedge::Hedge;
use crate::upstream::Endpoint;
use crate::upstream::kept::Wire;

/// Where the status begins in the first line of an answer.
const STATUS_AT: usize = "HTTP/1.1 ".len();

/// One request that may be sent to a second server.
pub(super) struct Race {
    hedge: Arc<Hedge>,
    /// For the second connection to stand.
    connect: Duration,
    /// What the first server was sent.
    sent: Vec<u8>,
    stage: Stage,
    /// How the first server went out of it.
    first: Option<io::Result<()>>,
}

/// A connection that is being made.
type Dialling = Pin<Box<dyn Future<Output = pingora::Result<TcpStream>> + Send + Sync>>;

/// The server that answered in place of the first, and the connection to it.
type Second = (Arc<Endpoint>, Box<Wire>);

enum Stage {
    /// The first server is waited for alone.
    Waiting(Pin<Box<Sleep>>),
    Dialling(Arc<Endpoint>, Dialling),
    Writing(Arc<Endpoint>, Box<Wire>, usize),
    Reading(Arc<Endpoint>, Box<Wire>),
    /// There is no second server.
    Over,
}

impl std::fmt::Debug for Race {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Race").finish_non_exhaustive()
    }
}

impl Race {
    pub(super) fn new(hedge: Arc<Hedge>, connect: Duration) -> Self {
        Self {
            stage: Stage::Waiting(Box::pin(sleep(hedge.after))),
            hedge,
            connect,
            sent: Vec::new(),
            first: None,
        }
    }

    /// The first server was sent this.
    pub(super) fn note(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    /// Whether the first server may still answer.
    pub(super) fn has_first(&self) -> bool {
        self.first.is_none()
    }

    /// The first server will not answer. Gives back how it ended if it was alone.
    pub(super) fn first_ended(&mut self, end: io::Result<()>) -> Option<io::Result<()>> {
        if matches!(self.stage, Stage::Waiting(_) | Stage::Over) {
            return Some(end);
        }
        self.hedge.first_failed();
        self.first = Some(end);
        None
    }

    /// Ready with the second server once it has answered, and what it said is in `buf`; or with how the first one ended, if
    /// neither answers.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<Result<Second, io::Result<()>>> {
        loop {
            self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
                Stage::Waiting(mut timer) => {
                    if timer.poll_unpin(cx).is_pending() {
                        self.stage = Stage::Waiting(timer);
                        return Poll::Pending;
                    }
                    self.begin()
                }
                Stage::Dialling(server, mut dialling) => match dialling.poll_unpin(cx) {
                    Poll::Pending => {
                        self.stage = Stage::Dialling(server, dialling);
                        return Poll::Pending;
                    }
                    Poll::Ready(Ok(socket)) => {
                        self.hedge.connected();
                        Stage::Writing(server, Box::new(Wire::new(socket)), 0)
                    }
                    Poll::Ready(Err(_)) => self.lose(true),
                },
                Stage::Writing(server, mut wire, written) => {
                    let Some(rest) = self.sent.get(written..).filter(|rest| !rest.is_empty())
                    else {
                        self.stage = Stage::Reading(server, wire);
                        continue;
                    };
                    match Pin::new(&mut wire.socket).poll_write(cx, rest) {
                        Poll::Pending => {
                            self.stage = Stage::Writing(server, wire, written);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(more @ 1..)) => Stage::Writing(server, wire, written + more),
                        Poll::Ready(_) => self.lose(false),
                    }
                }
                Stage::Reading(server, mut wire) => {
                    let before = buf.filled().len();
                    match Pin::new(&mut wire.socket).poll_read(cx, buf) {
                        Poll::Pending => {
                            self.stage = Stage::Reading(server, wire);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(())) if self.is_better(buf, before) => {
                            self.hedge.won();
                            return Poll::Ready(Ok((server, wire)));
                        }
                        Poll::Ready(_) => {
                            let has_answered = buf.filled().len() > before;
                            buf.set_filled(before);
                            self.lose(has_answered)
                        }
                    }
                }
                Stage::Over => match self.first.take() {
                    Some(end) => return Poll::Ready(Err(end)),
                    None => return Poll::Pending,
                },
            };
        }
    }

    fn begin(&self) -> Stage {
        match self.hedge.begin() {
            None => Stage::Over,
            Some((server, Some(wire))) => Stage::Writing(server, wire, 0),
            Some((server, None)) => {
                let dialling = Box::pin(dial(server.address(), self.connect));
                Stage::Dialling(server, dialling)
            }
        }
    }

    /// Whether what the second server said is worth more than what the first one may still say.
    fn is_better(&self, buf: &ReadBuf<'_>, before: usize) -> bool {
        match buf.filled().get(before..) {
            None | Some([]) => false,
            Some(said) => !(self.has_first() && said.get(STATUS_AT) == Some(&b'5')),
        }
    }

    fn lose(&self, is_its_fault: bool) -> Stage {
        self.hedge.lost(is_its_fault);
        Stage::Over
    }
}
