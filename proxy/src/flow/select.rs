//! Second stage: picks a server and counts the request in flight to it. Comes again for every attempt.

use std::time::Instant;

use pingora::http::RequestHeader;

use super::{Attempt, Exchange, retry};
use crate::error::Failure;
use crate::upstream::balance::{Asked, Request};
use crate::upstream::kept::Wire;
use crate::upstream::{Unavailable, Upstream};

/// Picks the server for this attempt. Returns a connection to it if one is at hand, unless `new` says to make one.
///
/// # Errors
/// Why there is no server. After an attempt that failed, it is that attempt's failure: it says more than "nobody is left".
pub fn select(
    request: &RequestHeader,
    exchange: &mut Exchange,
    new: bool,
) -> Result<Option<Box<Wire>>, Failure> {
    if exchange.under_way.is_none() {
        exchange.under_way = exchange
            .target()
            .map(|target| target.upstream.tally().enter());
        exchange.deadline = deadline(exchange);
    }
    if exchange.is_overdue() {
        return Err(exchange.failure.unwrap_or(Failure::RequestTimeout));
    }
    match attempt(request, exchange, new) {
        Err(Unavailable::AllTried) if retry::forgive(exchange) => attempt(request, exchange, new),
        picked => picked,
    }
    .map_err(|reason| exchange.failure.unwrap_or(reason.into()))
}

/// The file's, for the whole request.
fn deadline(exchange: &Exchange) -> Option<Instant> {
    let span = exchange.target()?.timeouts.request?;
    exchange.started.checked_add(span)
}

fn attempt(
    request: &RequestHeader,
    exchange: &mut Exchange,
    new: bool,
) -> Result<Option<Box<Wire>>, Unavailable> {
    let target = exchange.target().ok_or(Unavailable::Empty)?;
    let upstream = &target.upstream;
    // The first one follows the head at once.
    let now = match exchange.attempts {
        0 => exchange.started,
        _ => Instant::now(),
    };
    let asked = asked(upstream, request, exchange, now);
    let key = asked.key;
    let pool = upstream.pool();
    let server = pool.pick(&asked)?;
    let mut attempt = Attempt::new(server, now);
    // Where one kept connection went stale the others likely did, and each would cost an attempt.
    let at_hand = (!new && !exchange.went_stale)
        .then(|| attempt.server.kept().take(attempt.picked))
        .flatten();
    attempt.reused = at_hand.is_some();
    attempt.in_panic = pool.in_panic();
    exchange.attempts = exchange.attempts.saturating_add(1);
    if exchange.attempts > 1
        && let Some(target) = exchange.target()
    {
        target.upstream.tally().retries.note();
    }
    exchange.attempt = Some(attempt);
    exchange.key = key;
    exchange.head_sent = false;
    exchange.body_ended = false;
    exchange.body_received = 0;
    exchange.failure = None;
    Ok(at_hand)
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
