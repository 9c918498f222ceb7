//! Fourth stage, when an attempt failed: again, elsewhere, or give up.
//!
//! | what happened | is sent again |
//! |---|---|
//! | no connection | always: nothing was sent |
//! | the head could not be written | always: no whole request arrived |
//! | hung up later, before the first byte of its answer | if the method is idempotent (RFC 9110, section 9.2.2): it may have been acted on |
//! | too slow, or broke the protocol | never |
//!
//! Nothing is sent again once a byte of an answer went to the client, or when more of the body was read than the 64 KiB
//! that Pingora keeps, or when the upstream's `retry.attempts` are used up.

use pingora::{Error, ErrorSource, ErrorType};

use super::respond::classify;
use super::{Exchange, learn};
use crate::error::{Failure, Fault};

/// What the client's side knows about a failed attempt.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// RFC 9110, section 9.2.2.
    pub idempotent: bool,
    /// The part of the body that was read can be sent again.
    pub body_kept: bool,
    /// Nothing of an answer went to the client.
    pub unanswered: bool,
}

/// No connection: the server counts as tried.
pub fn after_connect_failure(error: &mut Error, exchange: &mut Exchange) {
    leave(exchange);
    let failure = classify(error, exchange);
    if failure.fault() == Fault::Upstream {
        learn::failed(exchange);
    }
    exchange.failure = Some(failure);
    error.set_retry(has_attempts_left(exchange));
}

/// The connection stood, the exchange over it failed.
pub fn after_exchange_failure(error: &mut Error, sent: Sent, exchange: &mut Exchange) {
    if *error.esource() != ErrorSource::Upstream {
        if classify(error, exchange) == Failure::ClientGone {
            learn::left(exchange);
        }
        error.set_retry(false);
        return;
    }
    let failure = classify(error, exchange);
    exchange.failure = Some(failure);
    let again = !matches!(failure, Failure::UpstreamTimeout | Failure::BodyTimeout)
        && sent.unanswered
        && sent.body_kept
        && has_attempts_left(exchange)
        && (exchange.is_held() || may_repeat(error.etype(), sent.idempotent, exchange.head_sent));
    // A connection that the server closed while it lay in the pool says nothing against the server itself.
    let reused = exchange
        .attempt
        .as_ref()
        .is_some_and(|attempt| attempt.reused);
    exchange.went_stale |= reused;
    let is_stale = reused && failure == Failure::UpstreamClosed && exchange.first_byte.is_none();
    if failure.fault() == Fault::Upstream && !is_stale {
        learn::failed(exchange);
    }
    if again && !reused {
        leave(exchange);
    }
    error.set_retry(again);
}

/// A write also fails within the body; by then the server has the head and may have acted on it.
fn may_repeat(failure: &ErrorType, idempotent: bool, head_sent: bool) -> bool {
    match failure {
        ErrorType::WriteError => idempotent || !head_sent,
        ErrorType::ConnectionClosed | ErrorType::ReadError => idempotent,
        _ => false,
    }
}

fn leave(exchange: &mut Exchange) {
    if let Some(server) = exchange.server() {
        exchange.tried.add(server);
    }
}

fn has_attempts_left(exchange: &Exchange) -> bool {
    exchange
        .target()
        .is_some_and(|target| exchange.attempts < target.upstream.spec().attempts)
}
