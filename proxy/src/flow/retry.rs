//! Fourth stage, when an attempt failed: again, elsewhere, or give up.
//!
//! | what happened | is |
//! |---|---|
//! | no connection, or the head could not be written | not sent: no whole request arrived |
//! | 421, or at once 408 and the end of a kept connection | refused: the server says that it did nothing |
//! | hung up later, before the first byte of its answer | perhaps processed |
//! | no answer began in time | a timeout |
//! | an answer with a status that the file names | by status |
//! | broke the protocol, or anything once an answer has begun | for the client to hear |
//!
//! The first two are sent again whatever the method, the others if the request is idempotent (RFC 9110, section 9.2.2) or
//! has an `Idempotency-Key`. Nothing is sent again once a byte of an answer went to the client, or when more of the body was read
//! than the 64 KiB that Pingora keeps, or when the upstream's attempts or its budget are used up, or when the deadline comes before.
//!
//! Whoever failed a request is not asked again for it while it lasts, with one exception: if nobody else is ready and it refused
//! the connection, it may be starting, and after a pause it is asked again.
//!
//! What makes no server work twice is free: what was not sent, and what met a kept connection that the server had closed, of which
//! it hears at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use http::header::{CONNECTION, HeaderMap, HeaderName};
use pingora::http::ResponseHeader;
use pingora::{Error, ErrorSource, ErrorType};

use super::respond::classify;
use super::{Exchange, hedge, learn};
use crate::config::RetryWhen;
use crate::error::{Failure, Fault};
use crate::upstream::Upstream;
use crate::upstream::balance::Tried;
use crate::upstream::retry::Retry;

/// draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An answer that the client does not get.
const DROPPED: ErrorType = ErrorType::Custom("Dropped");

/// What the client's side knows about a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// RFC 9110, section 9.2.2.
    pub idempotent: bool,
    /// The servers know it again, it says.
    pub has_key: bool,
    /// The part of the body that was read can be sent again.
    pub body_kept: bool,
    /// Nothing of an answer went to the client.
    pub unanswered: bool,
}

/// Whether the request says that the servers know it again.
pub fn has_key(headers: &HeaderMap) -> bool {
    let key = headers.get(&IDEMPOTENCY_KEY);
    key.is_some_and(|key| !key.as_bytes().trim_ascii().is_empty())
}

/// Why a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Failure(RetryWhen),
    Status(u16),
}

/// How it can go on.
#[derive(Debug, Clone, Copy)]
struct Circumstances {
    /// No server has anything of it.
    is_free: bool,
    /// If nobody else is ready, whoever failed it may be asked again.
    may_come_back: bool,
}

/// No connection: the server counts as tried.
pub fn after_connect_failure(error: &mut Error, exchange: &mut Exchange) {
    leave(exchange);
    let failure = classify(error, exchange);
    exchange.failure = Some(failure);
    count(failure, exchange);
    if failure.fault() == Fault::Upstream && failure != Failure::RequestTimeout {
        learn::failed(exchange);
    }
    let nothing = Sent {
        idempotent: true,
        has_key: false,
        body_kept: true,
        unanswered: true,
    };
    let circumstances = Circumstances {
        is_free: true,
        // Who did not take a connection in time was asked several times, by the kernel.
        may_come_back: failure == Failure::ConnectFailed,
    };
    let cause = Cause::Failure(RetryWhen::NotSent);
    error.set_retry(again(cause, nothing, circumstances, exchange));
}

/// The connection stood, the exchange over it failed.
pub fn after_exchange_failure(error: &mut Error, sent: Sent, exchange: &mut Exchange) {
    if *error.etype() == DROPPED {
        return;
    }
    hedge::settle(false, exchange);
    let failure = classify(error, exchange);
    if *error.esource() != ErrorSource::Upstream {
        if failure == Failure::ClientGone {
            learn::left(exchange);
        }
        error.set_retry(false);
        return;
    }
    exchange.failure = Some(failure);
    let is_unheard = exchange.first_byte.is_none() && !exchange.was_heard;
    let is_stale = failure == Failure::UpstreamClosed && is_unheard && may_be_stale(exchange);
    exchange.went_stale |= is_stale;
    // A connection that the server closed while it lay in the pool says nothing against the server itself.
    if !is_stale {
        count(failure, exchange);
        if is_to_blame(failure, exchange) {
            learn::failed(exchange);
        }
        leave(exchange);
    }
    let cause = cause(failure, error.etype(), exchange);
    let circumstances = Circumstances {
        is_free: is_stale || cause == Some(Cause::Failure(RetryWhen::NotSent)),
        may_come_back: false,
    };
    let again = cause.is_some_and(|cause| again(cause, sent, circumstances, exchange));
    error.set_retry(again);
}

/// Whether the answer whose head has come is dropped, and the request sent again.
pub fn drops(answer: &ResponseHeader, sent: Sent, exchange: &mut Exchange) -> bool {
    let Some(upstream) = upstream(exchange) else {
        return false;
    };
    let rules = &upstream.spec().retry;
    let Some((cause, is_stale)) = unwanted(answer, rules, exchange) else {
        return false;
    };
    exchange.went_stale |= is_stale;
    if !is_stale {
        leave(exchange);
    }
    let circumstances = Circumstances {
        is_free: is_stale,
        may_come_back: false,
    };
    let drops = again(cause, sent, circumstances, exchange);
    if drops {
        exchange.first_byte = Some(exchange.started.elapsed());
        learn::answered(answer.status, exchange);
        exchange.first_byte = None;
        // Should nobody be left by then, after all.
        exchange.may_come_back = true;
    }
    drops
}

/// What tells Pingora to drop the answer: it closes the connection, on which the rest may still be on its way, and begins anew.
#[must_use]
pub fn dropped() -> Box<Error> {
    let mut error = Error::new_up(DROPPED);
    error.set_retry(true);
    error
}

/// The client gets this answer: what was sent again is so no more. One that would have been sent again, too, is no success.
pub fn answered(answer: &ResponseHeader, exchange: &mut Exchange) {
    exchange.retrying = None;
    let Some(target) = exchange.target() else {
        return;
    };
    let upstream = &target.upstream;
    let rules = &upstream.spec().retry;
    if answer.status.is_server_error() || unwanted(answer, rules, exchange).is_some() {
        return;
    }
    match exchange.attempts {
        0 | 1 => upstream.tally().save(rules.budget),
        _ => upstream.tally().retries_succeeded.note(),
    }
}

/// Before the next attempt.
pub async fn pause(exchange: &mut Exchange) {
    if let Some(pause) = exchange.pause.take() {
        tokio::time::sleep(pause).await;
    }
}

/// Why the rules would rather have another answer than this one, and whether it came because a kept connection was too old.
fn unwanted(answer: &ResponseHeader, rules: &Retry, exchange: &Exchange) -> Option<(Cause, bool)> {
    let status = answer.status;
    // It gave up waiting when ours was on its way (RFC 9110, section 15.5.9). Others say 408 when they gave up working on it.
    let is_late = status == StatusCode::REQUEST_TIMEOUT
        && may_be_stale(exchange)
        && !exchange.was_heard
        && says_close(&answer.headers);
    let is_refusal = is_late || status == StatusCode::MISDIRECTED_REQUEST;
    let refused = Cause::Failure(RetryWhen::Refused);
    if is_refusal && rules.takes(refused) {
        return Some((refused, is_late));
    }
    let by_status = Cause::Status(status.as_u16());
    rules.takes(by_status).then_some((by_status, false))
}

impl Retry {
    fn takes(&self, cause: Cause) -> bool {
        match cause {
            Cause::Failure(failure) => self.when.contains(&failure),
            Cause::Status(status) => self.statuses.contains(&status),
        }
    }
}

/// A write also fails within the body; by then the server has the head and may have acted on it.
fn cause(failure: Failure, error: &ErrorType, exchange: &Exchange) -> Option<Cause> {
    let failure = match failure {
        Failure::BodyTimeout | Failure::RequestTimeout => return None,
        _ if exchange.is_held() => RetryWhen::NotSent,
        Failure::UpstreamTimeout => RetryWhen::Timeout,
        Failure::UpstreamClosed if *error == ErrorType::WriteError && !exchange.head_sent => {
            RetryWhen::NotSent
        }
        Failure::UpstreamClosed => RetryWhen::PerhapsProcessed,
        _ => return None,
    };
    Some(Cause::Failure(failure))
}

/// Whether the request is sent again; if so, all is ready for that.
fn again(cause: Cause, sent: Sent, circumstances: Circumstances, exchange: &mut Exchange) -> bool {
    let Some(upstream) = upstream(exchange) else {
        return false;
    };
    let rules = &upstream.spec().retry;
    let may_repeat = match cause {
        Cause::Failure(RetryWhen::NotSent | RetryWhen::Refused) => true,
        _ => sent.idempotent || (rules.idempotency_key && sent.has_key),
    };
    let is_possible = sent.unanswered && sent.body_kept && exchange.attempts < rules.attempts;
    if !(may_repeat && is_possible && rules.takes(cause)) {
        return false;
    }
    let has_other = upstream.pool().has_other(&exchange.tried);
    if !has_other && !circumstances.may_come_back {
        return false;
    }
    let is_free = circumstances.is_free;
    let pause = match has_other && is_free {
        true => None,
        false => Some(rules.backoff.pause(exchange.attempts)),
    };
    if !exchange.has_time_for(pause.unwrap_or_default()) {
        return false;
    }
    if !is_free && exchange.retrying.is_none() {
        exchange.retrying = upstream.tally().retry(rules.budget);
        if exchange.retrying.is_none() {
            return false;
        }
    }
    exchange.sent_again_after = match cause {
        Cause::Failure(failure) => Some(failure),
        Cause::Status(_) => None,
    };
    exchange.may_come_back = circumstances.may_come_back;
    exchange.pause = pause;
    if let Some(attempt) = &mut exchange.attempt {
        attempt.leave();
    }
    true
}

/// Everybody that is ready was tried, and may be asked again.
pub fn forgive(exchange: &mut Exchange) -> bool {
    let may = std::mem::take(&mut exchange.may_come_back);
    if may {
        exchange.tried = Tried::default();
    }
    may
}

impl Exchange {
    /// As much of a wait as there is time for, before it has a server.
    pub fn within(&self, span: Duration) -> Duration {
        let all = self.target().and_then(|target| target.timeouts.request);
        let left = all.map(|all| all.saturating_sub(self.started.elapsed()));
        left.map_or(span, |left| span.min(left))
    }

    /// Whether it has to wait before it is sent again.
    pub fn has_pause(&self) -> bool {
        self.pause.is_some()
    }

    /// Whether its time is over.
    pub fn is_overdue(&self) -> bool {
        !self.has_time_for(Duration::ZERO)
    }

    /// Whether anything is left of its time after a pause.
    fn has_time_for(&self, pause: Duration) -> bool {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.is_none_or(|deadline| left(deadline) > pause)
    }
}

fn count(failure: Failure, exchange: &Exchange) {
    if let Some(target) = exchange
        .target()
        .filter(|_| !learn::has_failed_already(exchange))
    {
        learn::count(failure, &target.upstream.tally().failures);
    }
}

/// Who had less than all the time of a request is not to blame that it was too little, nor is anybody for a client that takes
/// its answer slowly.
fn is_to_blame(failure: Failure, exchange: &Exchange) -> bool {
    match failure {
        Failure::RequestTimeout => exchange.attempts == 1 && exchange.first_byte.is_none(),
        failure => failure.fault() == Fault::Upstream,
    }
}

fn may_be_stale(exchange: &Exchange) -> bool {
    let attempt = exchange.attempt.as_ref();
    attempt.is_some_and(|attempt| attempt.may_be_stale(Instant::now()))
}

fn says_close(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CONNECTION).iter();
    let mut words = values.flat_map(|value| value.to_str().unwrap_or_default().split(','));
    words.any(|word| word.trim().eq_ignore_ascii_case("close"))
}

fn leave(exchange: &mut Exchange) {
    if let Some(server) = exchange.server() {
        exchange.tried.add(server);
    }
}

fn upstream(exchange: &Exchange) -> Option<Arc<Upstream>> {
    Some(Arc::clone(&exchange.target()?.upstream))
}
