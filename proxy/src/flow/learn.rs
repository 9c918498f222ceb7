//! What became of an attempt, told to the upstream's policy if that picks by it, to its limit if that goes by it, and to who puts servers
//! out for it; of others nothing is found out, and no clock is read.
//!
//! What a client takes is not its server's: the time counts from the end of the request's body, if it has one, and an answer that
//! came before that end says nothing of it.

use std::time::{Duration, Instant};

use http::StatusCode;

use super::hedge::Lost;
use super::{Attempt, Exchange};
use crate::error::Failure;
use crate::upstream::Upstream;
use crate::upstream::balance::{End, Outcome};
use crate::upstream::tally::Failures;

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

/// The head of an answer came.
pub fn answered(status: StatusCode, exchange: &mut Exchange) {
    let end = end(status);
    if end != End::Answered {
        count_failure(exchange);
        if let Some(target) = exchange.target() {
            target.upstream.tally().failures.status_5xx.note();
        }
    }
    let head = exchange.first_byte.map(|took| exchange.started + took);
    let has_ended = exchange.body_ended;
    note(exchange, |attempt| {
        let at = head?;
        let took = at.checked_duration_since(begin(attempt))?;
        Some(outcome(end, Some(took).filter(|_| has_ended), at, attempt))
    });
    let is_tunnel = status == StatusCode::SWITCHING_PROTOCOLS;
    if is_tunnel {
        complete(exchange);
    }
    if let Some(attempt) = &mut exchange.attempt {
        // How a tunnel ends says nothing.
        attempt.goes_well = end == End::Answered && !is_tunnel;
    }
}

/// Some failures are the request's: a server may not know its method or its version (HAProxy's `observe layer7` has them, too).
fn end(status: StatusCode) -> End {
    match status {
        StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => End::Unable,
        status if status.is_server_error() => End::Failed,
        _ => End::Answered,
    }
}

/// It failed by the server's fault.
pub fn failed(exchange: &Exchange) {
    if has_failed_already(exchange) {
        return;
    }
    count_failure(exchange);
    note(exchange, |attempt| {
        let end = match exchange.first_byte {
            None => End::Failed,
            Some(_) => End::BrokeOff,
        };
        let at = Instant::now();
        let is_connected = attempt.reused || attempt.connect.is_some();
        let is_the_clients = is_connected && !exchange.body_ended;
        let took = match is_the_clients || end == End::BrokeOff {
            true => Duration::ZERO,
            false => at.saturating_duration_since(begin(attempt)),
        };
        Some(outcome(end, Some(took), at, attempt))
    });
}

/// Counts an attempt that failed. Failures of clients, and of ours, are not those of an upstream.
pub fn count(failure: Failure, failures: &Failures) {
    match failure {
        Failure::ConnectFailed => failures.connect_failed.note(),
        Failure::ConnectTimeout => failures.connect_timeout.note(),
        Failure::UpstreamTimeout => failures.upstream_timeout.note(),
        Failure::RequestTimeout => failures.request_timeout.note(),
        Failure::UpstreamClosed => failures.upstream_closed.note(),
        Failure::BadAnswer => failures.bad_answer.note(),
        _ => {}
    }
}

/// Whether the head of its answer said that it failed; or it became a tunnel, whose end says nothing.
pub fn has_failed_already(exchange: &Exchange) -> bool {
    let goes_well = exchange.attempt.as_ref().is_some_and(|it| it.goes_well);
    exchange.first_byte.is_some() && !goes_well
}

/// A second server, asked beside the first, failed.
pub fn second_failed(how: Lost, upstream: &Upstream, attempt: &Attempt) {
    let failures = &upstream.tally().failures;
    let end = match how {
        Lost::Answered(status) => {
            failures.status_5xx.note();
            end(status)
        }
        Lost::Failed(failure) => {
            count(failure, failures);
            End::Failed
        }
        Lost::Closed => {
            failures.upstream_closed.note();
            End::Failed
        }
    };
    attempt.server.standing().attempts().failed.note();
    upstream.note(&attempt.server, || {
        let at = Instant::now();
        let took = at.saturating_duration_since(attempt.picked);
        Some(outcome(end, Some(took), at, attempt))
    });
}

/// A second server, asked beside the first, was not waited for any longer.
pub fn second_left(upstream: &Upstream, attempt: &Attempt) {
    upstream.note(&attempt.server, || {
        let at = Instant::now();
        let took = at.saturating_duration_since(attempt.picked);
        Some(outcome(End::Left, Some(took), at, attempt))
    });
}

/// The client left. Who waited for an answer says that there was none for so long.
pub fn left(exchange: &Exchange) {
    note(exchange, |attempt| {
        let is_waiting = exchange.body_ended && exchange.first_byte.is_none();
        let at = is_waiting.then(Instant::now)?;
        let took = at.saturating_duration_since(begin(attempt));
        Some(outcome(End::Left, Some(took), at, attempt))
    });
}

/// Nothing more comes, whatever there was.
pub fn ended(exchange: &Exchange) {
    let goes_well = exchange.attempt.as_ref().is_some_and(|it| it.goes_well);
    let is_enough = match exchange.failure {
        None => true,
        // It has not seen the end.
        Some(Failure::ClientGone) => has_gone_on(exchange),
        Some(_) => false,
    };
    if goes_well && is_enough {
        complete(exchange);
    }
}

/// Whether more of its answer came than the head: a longer silence than this would have ended it.
fn has_gone_on(exchange: &Exchange) -> bool {
    let (Some(target), Some(head)) = (exchange.target(), exchange.first_byte) else {
        return false;
    };
    exchange.started.elapsed().saturating_sub(head) > target.timeouts.read
}

fn complete(exchange: &Exchange) {
    let Some(target) = exchange.target() else {
        return;
    };
    if target.upstream.spec().outlier_ejection.is_some() {
        note(exchange, |attempt| {
            Some(outcome(End::Complete, None, Instant::now(), attempt))
        });
    }
}

fn outcome(end: End, took: Option<Duration>, at: Instant, attempt: &Attempt) -> Outcome {
    Outcome {
        end,
        took,
        picked: attempt.picked,
        at,
    }
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
