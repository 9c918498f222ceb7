//! Second stage: picks a server and counts the request in flight to it. Where there are limits, the request may have to wait for
//! that. Comes again for every attempt.

use std::time::Instant;

use pingora::http::RequestHeader;

use super::{Attempt, Exchange, retry};
use crate::error::Failure;
use crate::upstream::balance::{Asked, Request};
use crate::upstream::kept::Wire;
use crate::upstream::limits::{Answer, Grant, Refused, Waiting};
use crate::upstream::{Unavailable, Upstream};

/// Where an attempt stands.
pub enum Step {
    /// It has its server; and a connection to it, if one is at hand.
    Picked(Option<Box<Wire>>),
    /// All servers have as much to do as they may: its turn will come.
    Waits(Box<Waiting>),
}

/// Picks the server for this attempt. Gives a connection to it if one is at hand, unless `new` says to make one.
///
/// # Errors
/// Why there is no server. After an attempt that failed, it is that attempt's failure: it says more than "nobody is left".
pub fn select(
    request: &RequestHeader,
    exchange: &mut Exchange,
    new: bool,
) -> Result<Step, Failure> {
    if exchange.under_way.is_none() {
        exchange.under_way = exchange
            .target()
            .map(|target| target.upstream.tally().enter());
        exchange.deadline = deadline(exchange);
    }
    if exchange.is_overdue() {
        return Err(exchange.failure.unwrap_or(Failure::RequestTimeout));
    }
    if let Some(attempt) = &mut exchange.attempt {
        // It may be the only place there is.
        attempt.spot = None;
    }
    match attempt(request, exchange, new) {
        Err(No::Server(Unavailable::AllTried)) if retry::forgive(exchange) => {
            attempt(request, exchange, new)
        }
        picked => picked,
    }
    .map_err(|reason| unserved(reason.into(), exchange))
}

/// Without a server, a request fails for what failed its last attempt; if there was none, for this, which is counted.
fn unserved(reason: Failure, exchange: &Exchange) -> Failure {
    if let Some(failure) = exchange.failure {
        return failure;
    }
    if let Some(target) = exchange.target() {
        let tally = target.upstream.tally();
        match reason {
            Failure::AllDown => tally.all_down.note(),
            Failure::NoServers => tally.no_servers.note(),
            _ => {}
        }
    }
    reason
}

/// The file's, for the whole request.
fn deadline(exchange: &Exchange) -> Option<Instant> {
    let span = exchange.target()?.timeouts.request?;
    exchange.started.checked_add(span)
}

/// Why there is no attempt.
enum No {
    /// There is nobody.
    Server(Unavailable),
    /// There is no room, nor any to wait.
    Room,
}

impl From<No> for Failure {
    fn from(reason: No) -> Self {
        match reason {
            No::Server(reason) => reason.into(),
            No::Room => Self::Overloaded,
        }
    }
}

fn attempt(request: &RequestHeader, exchange: &mut Exchange, new: bool) -> Result<Step, No> {
    let target = exchange.target().ok_or(No::Server(Unavailable::Empty))?;
    let upstream = &target.upstream;
    let follows_at_once = exchange.attempts == 0 && !exchange.was_delayed;
    let now = match follows_at_once {
        true => exchange.started,
        false => Instant::now(),
    };
    let asked = asked(upstream, request, exchange, now);
    let key = asked.key;
    if let Some(gate) = upstream.gate() {
        let answer = gate.ask(upstream, &asked, exchange.place.is_none());
        exchange.key = key;
        return admit(answer, exchange, now, new);
    }
    let pool = upstream.pool();
    let server = pool.pick(&asked).map_err(No::Server)?;
    let mut attempt = Attempt::new(server, now);
    attempt.in_panic = pool.in_panic();
    exchange.key = key;
    Ok(Step::Picked(begin(attempt, exchange, new)))
}

/// Waits until it is this request's turn.
///
/// # Errors
/// As `select`.
pub async fn wait(
    mut waiting: Box<Waiting>,
    exchange: &mut Exchange,
    new: bool,
) -> Result<Option<Box<Wire>>, Failure> {
    // Also of a client that leaves meanwhile.
    let queued = exchange
        .target()
        .map(|target| target.upstream.tally().queue());
    let turn = waiting.turn(exchange.deadline).await;
    drop(queued);
    match turn {
        Ok(grant) => Ok(take_up(grant, exchange, Instant::now(), new)),
        Err(Refused::Late) if exchange.is_overdue() => {
            Err(exchange.failure.unwrap_or(Failure::RequestTimeout))
        }
        Err(reason) => {
            if reason == Refused::Late
                && let Some(target) = exchange.target()
            {
                target.upstream.tally().queue_timeouts.note();
            }
            Err(unserved(reason.into(), exchange))
        }
    }
}

fn admit(answer: Answer, exchange: &mut Exchange, now: Instant, new: bool) -> Result<Step, No> {
    match answer {
        Answer::Granted(grant) => Ok(Step::Picked(take_up(grant, exchange, now, new))),
        Answer::Waits(waiting) => Ok(Step::Waits(waiting)),
        Answer::Unavailable(reason) => Err(No::Server(reason)),
        Answer::Shed => {
            if let Some(target) = exchange.target() {
                target.upstream.tally().shed.note();
            }
            Err(No::Room)
        }
    }
}

fn take_up(
    mut grant: Grant,
    exchange: &mut Exchange,
    now: Instant,
    new: bool,
) -> Option<Box<Wire>> {
    exchange.place = exchange.place.take().or(grant.place.take());
    begin(Attempt::granted(grant, now), exchange, new)
}

fn begin(mut attempt: Attempt, exchange: &mut Exchange, new: bool) -> Option<Box<Wire>> {
    // Where one kept connection went stale the others likely did, and each would cost an attempt.
    let at_hand = (!new && !exchange.went_stale)
        .then(|| attempt.server.kept().take(attempt.picked))
        .flatten();
    attempt.reused = at_hand.is_some();
    exchange.attempts = exchange.attempts.saturating_add(1);
    if exchange.attempts > 1
        && let Some(target) = exchange.target()
    {
        let tally = target.upstream.tally();
        tally.retries.note();
        tally.retries_after.note(exchange.sent_again_after);
    }
    exchange.attempt = Some(attempt);
    exchange.head_sent = false;
    exchange.was_heard = false;
    exchange.body_ended = false;
    exchange.body_received = 0;
    exchange.failure = None;
    at_hand
}

/// What a server of this upstream is picked by.
pub fn asked<'e>(
    upstream: &Upstream,
    request: &RequestHeader,
    exchange: &'e Exchange,
    now: Instant,
) -> Asked<'e> {
    Asked {
        tried: &exchange.tried,
        purpose: exchange.purpose,
        key: key(upstream, request, exchange),
        now,
    }
}

/// What of a request decides on its server, if anything does.
pub fn key(upstream: &Upstream, request: &RequestHeader, exchange: &Exchange) -> Option<u64> {
    let passage = exchange.passage.as_ref();
    upstream.spec().policy.key(&Request {
        headers: &request.headers,
        path: exchange.original_path().unwrap_or(request.uri.path()),
        query: passage.map_or(request.uri.query(), |passage| passage.query()),
        client: exchange.client.as_ref().map(|client| client.ip),
    })
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::Empty => Self::NoServers,
            Unavailable::AllDown => Self::AllDown,
            Unavailable::AllTried => Self::ConnectFailed,
        }
    }
}

impl From<Refused> for Failure {
    fn from(reason: Refused) -> Self {
        match reason {
            Refused::Late => Self::QueueTimeout,
            Refused::Unavailable(reason) => reason.into(),
        }
    }
}
