//! Last stage: one line in the access log, whatever became of the request.

use pingora::http::RequestHeader;

use super::receive::host_as_sent;
use super::{Exchange, learn};
use crate::error::{Failure, Fault};
use crate::observe::access_log::{AccessLog, Durations, Entry};

/// Writes the line. `status` is what the client was sent, if anything.
pub fn finish(
    request: &RequestHeader,
    status: Option<u16>,
    bytes: usize,
    exchange: &Exchange,
    log: &AccessLog,
) {
    learn::ended(exchange);
    let route = exchange.route();
    if let Some(route) = route {
        route.answers.note(failed(status, exchange));
    }
    if !log.is_on() {
        return;
    }
    let target = exchange.target();
    let attempt = exchange.attempt.as_ref();
    log.write(&Entry {
        time: std::time::SystemTime::now(),
        request_id: exchange.id(),
        client: exchange.client.as_ref().map(|client| client.ip),
        method: request.method.as_str(),
        host: host_as_sent(request),
        path: exchange.original_path().unwrap_or(request.uri.path()),
        status: status
            .or(exchange.failure.map(|failure| failure.status()))
            .unwrap_or(0),
        bytes,
        route: route.map(|route| route.name.as_str()),
        upstream: target.map(|target| target.upstream.name()),
        server: exchange.server(),
        attempts: exchange.attempts.saturating_add(exchange.hedged),
        durations: Durations {
            total: exchange.started.elapsed(),
            connect: attempt.and_then(|attempt| attempt.connect),
            first_byte: exchange.first_byte,
        },
        failure: exchange.failure.map(|failure| failure.label()),
    });
}

/// By our fault or a server's. Who is turned away on purpose is not.
fn failed(status: Option<u16>, exchange: &Exchange) -> bool {
    match exchange.failure {
        Some(Failure::Maintenance) => false,
        Some(failure) => failure.fault() != Fault::Client,
        None => exchange.first_byte.is_some() && status.is_some_and(|status| status >= 500),
    }
}
