//! A second server beside the first: the same bytes go to both, and whichever answers first is heard. The other connection is
//! closed, which tells its server that nobody waits any more.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use http::StatusCode;
use pingora::ErrorType;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use super::link::dial;
use crate::error::Failure;
use crate::flow::hedge::{Hedge, Lost};
use crate::upstream::Endpoint;
use crate::upstream::kept::Wire;
use crate::upstream::limits::Pass;

/// Where the status begins in the first line of an answer.
const STATUS_AT: usize = "HTTP/1.1 ".len();
/// So much of an answer says what it is worth.
const ENOUGH: usize = STATUS_AT + "200".len();

/// What the second server said is worth more than what the first one may say, or less, or will only be heard if the first one ends.
enum Worth {
    More,
    Less,
    Later,
}

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
    /// With what it has said so far.
    Reading(Arc<Endpoint>, Box<Wire>, Vec<u8>),
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

    /// How the first server went out of it, if it did, and the second one says nothing.
    pub(super) fn end(&mut self) -> Option<io::Result<()>> {
        self.first.take()
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
                    Poll::Ready(Err(error)) => self.lose(Lost::Failed(match error.etype() {
                        ErrorType::ConnectTimedout => Failure::ConnectTimeout,
                        _ => Failure::ConnectFailed,
                    })),
                },
                Stage::Writing(server, mut wire, written) => {
                    let Some(rest) = self.sent.get(written..).filter(|rest| !rest.is_empty())
                    else {
                        self.stage = Stage::Reading(server, wire, Vec::new());
                        continue;
                    };
                    match Pin::new(&mut wire.socket).poll_write(cx, rest) {
                        Poll::Pending => {
                            self.stage = Stage::Writing(server, wire, written);
                            return Poll::Pending;
                        }
                        Poll::Ready(Ok(more @ 1..)) => Stage::Writing(server, wire, written + more),
                        Poll::Ready(_) => self.lose(Lost::Closed),
                    }
                }
                Stage::Reading(server, mut wire, mut said) => {
                    if !says_enough(&said) {
                        let mut more = [0; ENOUGH];
                        let room = ENOUGH - said.len();
                        let mut more = ReadBuf::new(more.get_mut(..room).unwrap_or_default());
                        match Pin::new(&mut wire.socket).poll_read(cx, &mut more) {
                            Poll::Pending => {
                                self.stage = Stage::Reading(server, wire, said);
                                return Poll::Pending;
                            }
                            Poll::Ready(Ok(())) if !more.filled().is_empty() => {
                                said.extend_from_slice(more.filled());
                                self.stage = Stage::Reading(server, wire, said);
                                continue;
                            }
                            Poll::Ready(_) if said.is_empty() || self.has_first() => {
                                self.stage = self.lose(match said.is_empty() {
                                    true => Lost::Closed,
                                    false => Lost::Failed(Failure::UpstreamClosed),
                                });
                                continue;
                            }
                            // It is all that there is.
                            Poll::Ready(_) => {}
                        }
                    }
                    match self.judge(&said) {
                        Worth::More => {
                            buf.put_slice(&said);
                            self.hedge.won();
                            let pass = self.pass.take();
                            return Poll::Ready(Ok(Second { server, wire, pass }));
                        }
                        Worth::Less => self.lose(match status(&said) {
                            Some(status) => Lost::Answered(status),
                            None => Lost::Failed(Failure::BadAnswer),
                        }),
                        Worth::Later => {
                            self.stage = Stage::Reading(server, wire, said);
                            return Poll::Pending;
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

    /// What the second server said, beside what the first one may still say.
    fn judge(&self, said: &[u8]) -> Worth {
        match status(said) {
            _ if !self.has_first() => Worth::More,
            // Nothing is answered by it yet, and what follows is unknown.
            Some(status) if status.is_informational() => Worth::Later,
            Some(status) if status.as_u16() < 500 => Worth::More,
            _ => Worth::Less,
        }
    }

    fn lose(&mut self, how: Lost) -> Stage {
        self.pass = None;
        self.hedge.lost(how);
        Stage::Over
    }
}

/// Whether more of it would not change what it is worth.
fn says_enough(said: &[u8]) -> bool {
    said.len() >= ENOUGH || !is_http(said)
}

/// Whether it is the beginning of an answer, as far as it goes.
fn is_http(said: &[u8]) -> bool {
    said.iter().zip(b"HTTP/1.").all(|(one, other)| one == other)
}

/// The status of an answer that begins with this.
fn status(said: &[u8]) -> Option<StatusCode> {
    let digits = said.get(STATUS_AT..ENOUGH).filter(|_| is_http(said))?;
    StatusCode::from_bytes(digits).ok()
}
