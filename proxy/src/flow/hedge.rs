//! Beside the third stage: a request that waits for its answer is sent to a second server, and the first answer is taken.
//!
//! Only what is idempotent and has no body, once, and on the budget of retries; the connection to the first server does it
//! (`server::race`), for the request itself waits in Pingora. A second server that answers 500 or above does not win over one
//! that may still do better, and one that fails leaves the request with the first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use pingora::http::RequestHeader;

use super::{Attempt, Exchange, learn, retry, select};
use crate::error::Failure;
use crate::turns::Purpose;
use crate::upstream::balance::{Asked, Tried};
use crate::upstream::kept::Wire;
use crate::upstream::limits::{Pass, Place};
use crate::upstream::tally::Retrying;
use crate::upstream::{Endpoint, Upstream};

/// What a second server may be asked, and what became of that.
pub struct Hedge {
    upstream: Arc<Upstream>,
    tried: Tried,
    key: Option<u64>,
    /// How long the first server is waited for.
    pub after: Duration,
    second: Mutex<Second>,
}

#[derive(Default)]
struct Second {
    attempt: Option<Attempt>,
    place: Option<Place>,
    budget: Option<Retrying>,
    was_sent: bool,
    has_won: bool,
    /// When the first server hung up, if it did.
    first_has_failed: Option<Instant>,
    /// The second server, if it failed the request.
    failed: Option<SocketAddr>,
}

/// If the upstream wants it, and this request can be sent twice: what is needed for that.
pub fn hedge(request: &RequestHeader, exchange: &mut Exchange) -> Option<Arc<Hedge>> {
    exchange.hedge = None;
    let target = exchange.target()?;
    let upstream = &target.upstream;
    let spec = upstream.spec();
    let after = upstream.tally().latencies.delay(spec.hedge?)?;
    let has_key = || spec.retry.idempotency_key && retry::has_key(&request.headers);
    if !request.method.is_idempotent() && !has_key() {
        return None;
    }
    let server = &exchange.attempt.as_ref()?.server;
    let key = select::key(upstream, request, exchange);
    if key.is_some() && spec.policy.keeps(server) == key {
        // What it has there it has nowhere else.
        return None;
    }
    let mut tried = exchange.tried.clone();
    tried.add(server.address());
    if !upstream.pool().has_other(&tried) {
        return None;
    }
    let hedge = Arc::new(Hedge {
        upstream: Arc::clone(upstream),
        tried,
        key,
        after,
        second: Mutex::default(),
    });
    exchange.hedge = Some(Arc::clone(&hedge));
    Some(hedge)
}

/// The answer has begun, or the attempt has failed: takes in which server that was.
pub fn settle(has_answer: bool, exchange: &mut Exchange) {
    let Some(hedge) = exchange.hedge.take() else {
        return;
    };
    let mut second = std::mem::take(&mut *hedge.lock());
    if !second.was_sent {
        return;
    }
    exchange.hedged = exchange.hedged.saturating_add(1);
    if let Some(server) = second.failed {
        exchange.tried.add(server);
    }
    let attempt = second.attempt.take();
    if !second.has_won {
        if let Some(waiting) = attempt {
            learn::second_left(&hedge.upstream, &waiting);
            if !has_answer {
                exchange.tried.add(waiting.server.address());
            }
        }
        return;
    }
    hedge.upstream.tally().hedges_won.note();
    let first = exchange.attempt.as_ref();
    match second.first_has_failed {
        // It may have closed the connection while that was kept.
        Some(at) if first.is_some_and(|first| first.may_be_stale(at)) => {}
        Some(_) => {
            learn::count(Failure::UpstreamClosed, &hedge.upstream.tally().failures);
            learn::failed(exchange);
        }
        // It said nothing for so long.
        None => learn::left(exchange),
    }
    if second.first_has_failed.is_some()
        && let Some(first) = exchange.server()
    {
        exchange.tried.add(first);
    }
    exchange.attempt = attempt;
}

/// A second server.
pub struct Chosen {
    /// It.
    pub server: Arc<Endpoint>,
    /// A connection to it, if one is at hand.
    pub wire: Option<Box<Wire>>,
    /// Leave for a connection, if they are counted.
    pub pass: Option<Box<Pass>>,
}

/// How a second server went out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// Its connection was closed before it said anything.
    Closed,
    /// It failed otherwise.
    Failed(Failure),
    /// Its answer is worth less than what the first one may say.
    Answered(StatusCode),
}

impl Hedge {
    /// Picks the second server, if there is one with room and the budget allows it.
    pub fn begin(&self) -> Option<Chosen> {
        let now = Instant::now();
        let upstream = &self.upstream;
        let asked = Asked {
            tried: &self.tried,
            purpose: Purpose::Serve,
            key: self.key,
            now,
        };
        let budget = upstream.tally().hedge(upstream.spec().retry.budget)?;
        let (mut attempt, place) = self.pick(&asked)?;
        upstream.tally().hedges.note();
        let server = Arc::clone(&attempt.server);
        let wire = server.kept().take(now);
        attempt.reused = wire.is_some();
        let pass = attempt.pass.take();
        let mut second = self.lock();
        second.attempt = Some(attempt);
        second.place = place;
        second.budget = Some(budget);
        second.was_sent = true;
        Some(Chosen { server, wire, pass })
    }

    /// With a place of its own, if there are limits: both servers work at the same time.
    fn pick(&self, asked: &Asked<'_>) -> Option<(Attempt, Option<Place>)> {
        let Some(gate) = self.upstream.gate() else {
            let pool = self.upstream.pool();
            let mut attempt = Attempt::new(pool.pick(asked).ok()?, asked.now);
            attempt.in_panic = pool.in_panic();
            return Some((attempt, None));
        };
        let mut grant = gate.ask_beside(&self.upstream, asked)?;
        let place = grant.place.take();
        Some((Attempt::granted(grant, asked.now), place))
    }

    /// The connection to the second server stands.
    pub fn connected(&self) {
        if let Some(attempt) = &mut self.lock().attempt {
            attempt.connect = Some(attempt.picked.elapsed());
        }
    }

    /// The first server hung up.
    pub fn first_failed(&self) {
        self.lock().first_has_failed = Some(Instant::now());
    }

    /// The second server answers first.
    pub fn won(&self) {
        self.lock().has_won = true;
    }

    /// The second server is out of it: the first one is waited for alone.
    pub fn lost(&self, how: Lost) {
        let mut second = self.lock();
        (second.place, second.budget) = (None, None);
        let Some(attempt) = second.attempt.take() else {
            return;
        };
        // As with the first one.
        if how != Lost::Closed || !attempt.may_be_stale(Instant::now()) {
            second.failed = Some(attempt.server.address());
            learn::second_failed(how, &self.upstream, &attempt);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Second> {
        self.second.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
