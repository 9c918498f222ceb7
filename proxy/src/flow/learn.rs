//! What became of an attempt, told to the upstream's policy if that picks by it, and to its limit if that goes by it; of others nothing is found out, and no clock
//! is read.
//!
//! What a client takes is not its server's: the time counts from the end of the request's body, if it has one, and an answer that
//! came before that end says nothing.

use std::time::{Duration, Instant};

use super::{Attempt, Exchange};
use crate::upstream::Upstream;
use crate::upstream::balance::{End, Outcome};

/// The whole request was read: from here on the server has no excuse.
pub fn body_ended(exchange: &mut Exchange) {
    if exchange.body_received == 0 {
        return;
    }
    let upstream = exchange.target().map(|target| &target.upstream);
    if upstream.is_some_and(|upstream| upstream.learns())
        && let Some(attempt) = &mut exchange.attempt
    {
        attempt.asked = Some(Instant::now());
    }
}

/// The head of an answer came, and is the server's own failure or not.
pub fn answered(is_failure: bool, exchange: &Exchange) {
    let at = || Some(exchange.started + exchange.first_byte?);
    let end = match is_failure {
        true => End::Failed,
        false => End::Answered,
    };
    if is_failure {
        count_failure(exchange);
    }
    note(exchange, |attempt| {
        let at = at().filter(|_| exchange.body_ended)?;
        let took = at.checked_duration_since(begin(attempt))?;
        Some(Outcome { end, took, at })
    });
}

/// It failed by the server's fault.
pub fn failed(exchange: &Exchange) {
    count_failure(exchange);
    note(exchange, |attempt| {
        let at = Instant::now();
        let is_connected = attempt.reused || attempt.connect.is_some();
        let is_the_clients = is_connected && !exchange.body_ended;
        let took = match is_the_clients || exchange.first_byte.is_some() {
            true => Duration::ZERO,
            false => at.saturating_duration_since(begin(attempt)),
        };
        let end = End::Failed;
        Some(Outcome { end, took, at })
    });
}

/// A second server, asked beside the first, failed.
pub fn second_failed(upstream: &Upstream, attempt: &Attempt) {
    attempt.server.standing().attempts().failed.note();
    upstream.note(&attempt.server, || {
        let (at, end) = (Instant::now(), End::Failed);
        let took = at.saturating_duration_since(attempt.picked);
        Some(Outcome { end, took, at })
    });
}

/// The client left. Who waited for an answer says that there was none for so long.
pub fn left(exchange: &Exchange) {
    note(exchange, |attempt| {
        let is_waiting = exchange.body_ended && exchange.first_byte.is_none();
        let at = is_waiting.then(Instant::now)?;
        let took = at.saturating_duration_since(begin(attempt));
        let end = End::Left;
        Some(Outcome { end, took, at })
    });
}

fn count_failure(exchange: &Exchange) {
    if let Some(attempt) = &exchange.attempt {
        attempt.server.standing().attempts().failed.note();
    }
}

fn begin(attempt: &Attempt) -> Instant {
    attempt.asked.unwrap_or(attempt.picked)
}

fn note(exchange: &Exchange, outcome: impl FnOnce(&Attempt) -> Option<Outcome>) {
    let (Some(target), Some(attempt)) = (exchange.target(), &exchange.attempt) else {
        return;
    };
    let upstream = &target.upstream;
    let gate = upstream.gate().filter(|_| upstream.adapts());
    match gate {
        None => upstream.note(&attempt.server, || outcome(attempt)),
        Some(gate) => {
            let outcome = outcome(attempt);
            if let Some(outcome) = &outcome {
                gate.learn(outcome);
            }
            upstream.note(&attempt.server, || outcome);
        }
    }
}
