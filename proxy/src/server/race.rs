//! A second server beside the first: the same bytes go to both, and whichever answers first is heard. The other connection is
//! closed, which tells its server that nobody waits any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::link::dial;
use crate::flow::hedge::Hedge;
use crate::upstream::Endpoint;
use crate::upstream::kept::Wire;
use crate::upstream::limits::Pass;

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
    /// Leave for the second connection, if they are counted.
    pass: Option<Box<Pass>>,
    /// How the first server went out of it.
    first: Option<io::Result<()>>,
}

/// A connection that is being made.
type Dialling = Pin<Box<dyn Future<Output = pingora::Result<Box<Wire>>> + Send + Sync>>;

/// The server that answered in place of the first.
pub(super) struct Second {
    pub(super) server: Arc<Endpoint>,
    pub(super) wire: Box<Wire>,
    pub(super) pass: Option<Box<Pass>>,
}

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
            pass: None,
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
                    Poll::Ready(Ok(wire)) => {
                        self.hedge.connected();
                        Stage::Writing(server, wire, 0)
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
                            let pass = self.pass.take();
                            return Poll::Ready(Ok(Second { server, wire, pass }));
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

    fn begin(&mut self) -> Stage {
        let Some(chosen) = self.hedge.begin() else {
            return Stage::Over;
        };
        self.pass = chosen.pass;
        if let Some(wire) = chosen.wire {
            return Stage::Writing(chosen.server, wire, 0);
        }
        let open = self.pass.as_ref().map(|pass| pass.open());
        let dialling = dial(chosen.server.address(), self.connect, open);
        Stage::Dialling(chosen.server, Box::pin(dialling))
    }

    /// Whether what the second server said is worth more than what the first one may still say.
    fn is_better(&self, buf: &ReadBuf<'_>, before: usize) -> bool {
        match buf.filled().get(before..) {
            None | Some([]) => false,
            Some(said) => !(self.has_first() && said.get(STATUS_AT) == Some(&b'5')),
        }
    }

    fn lose(&mut self, is_its_fault: bool) -> Stage {
        self.pass = None;
        self.hedge.lost(is_its_fault);
        Stage::Over
    }
}
