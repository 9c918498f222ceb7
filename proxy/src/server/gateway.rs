//! `ProxyHttp`, as a table of contents: each callback hands over to the stage of that name in `flow/`.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::protocols::http::ServerSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use pingora_proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};

use super::front::{client, client_leaves, expect_no_other, head_is_complete};
use super::link::{self, Bounds, Carries};
use crate::error::Failure;
use crate::flow::answer::Asked;
use crate::flow::onward::Step;
use crate::flow::retry::Sent;
use crate::flow::select::Step as Picked;
use crate::flow::{
    Exchange, answer, finish, forward, hedge, learn, mirror, onward, receive, remember, reply,
    respond, retry, select,
};
use crate::observe::access_log::AccessLog;
use crate::snapshot::{Phase, Running};
use crate::upstream::kept::Wire;
use crate::upstream::limits::Waiting;

/// The proxy.
pub(super) struct Gateway {
    running: Arc<Running>,
    log: Arc<AccessLog>,
}

impl Gateway {
    pub(super) fn new(running: Arc<Running>, log: Arc<AccessLog>) -> Self {
        Self { running, log }
    }

    fn remember(&self, request: &RequestHeader, exchange: &Exchange) {
        if let Some(head) = remember::remembered(request, exchange) {
            let most = exchange.snapshot.reload.remember;
            self.running.recent().note(head, most);
        }
    }
}

/// Notes the failure where `respond` finds it and gives Pingora an error that says not to go on.
fn give_up(failure: Failure, exchange: &mut Exchange) -> Box<Error> {
    exchange.failure = Some(failure);
    Error::explain(ErrorType::HTTPStatus(failure.status()), failure.label())
}

/// The size of an HTTP/1 head as it came; HTTP/2 heads come compressed.
fn head_size(session: &Session) -> Option<u64> {
    session
        .as_downstream()
        .as_http1()
        .map(|http1| http1.get_headers_raw_bytes().len() as u64)
}

/// The handshake of RFC 6455, section 4.1. Any other `Upgrade` is an offer that nobody takes up.
fn is_websocket(request: &RequestHeader) -> bool {
    let is = |name: HeaderName, word: &str| {
        let mut values = request.headers.get_all(name).iter();
        values.any(|value| {
            let words = value.as_bytes().split(|byte| *byte == b',');
            words
                .map(<[u8]>::trim_ascii)
                .any(|found| found.eq_ignore_ascii_case(word.as_bytes()))
        })
    };
    request.version == Version::HTTP_11
        && request.method == Method::GET
        && request.headers.contains_key(SEC_WEBSOCKET_KEY)
        && is(UPGRADE, "websocket")
        && is(CONNECTION, "upgrade")
}

fn sent(session: &Session) -> Sent {
    let request = session.req_header();
    Sent {
        idempotent: request.method.is_idempotent(),
        has_key: retry::has_key(&request.headers),
        body_kept: !session.as_ref().retry_buffer_truncated(),
        unanswered: session.response_written().is_none(),
    }
}

/// Sees to it that a client that takes its answer slowly does not outlast the request's deadline.
fn hurry(session: &mut Session, exchange: &Exchange) -> Result<()> {
    let Some(deadline) = exchange.deadline.filter(|_| !session.was_upgraded()) else {
        return Ok(());
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::new_up(ErrorType::ReadTimedout));
    }
    let usual = session.get_write_timeout();
    session.set_write_timeout(Some(usual.map_or(left, |usual| usual.min(left))));
    Ok(())
}

/// Waits until the request may be sent again, as long as the client does.
async fn pause(client: &mut ServerSession, exchange: &mut Exchange) -> Result<(), Failure> {
    tokio::select! {
        biased;
        () = client_leaves(client) => Err(Failure::ClientGone),
        () = retry::pause(exchange) => Ok(()),
    }
}

/// Waits for a place with a server, as long as the client does.
async fn turn(
    waiting: Box<Waiting>,
    client: &mut ServerSession,
    exchange: &mut Exchange,
    new: bool,
) -> Result<Option<Box<Wire>>, Failure> {
    tokio::select! {
        biased;
        () = client_leaves(client) => Err(Failure::ClientGone),
        wire = select::wait(waiting, exchange, new) => wire,
    }
}

/// Sends the answer to a failure; whether the connection can take another request after it.
async fn send_failure(
    failure: Failure,
    session: &mut Session,
    exchange: &mut Exchange,
) -> Result<bool> {
    // Once a request was routed, Pingora ends the connection of one that failed. So does an unfinished body. And who broke
    // the protocol once may mean something else with what follows.
    let is_reusable =
        exchange.found.is_none() && session.is_body_done() && failure != Failure::BadRequest;
    if !is_reusable {
        session.set_keepalive(None);
    }
    let (head, body) = respond::page(failure, HeaderMap::new(), session.req_header(), exchange)?;
    deliver(head, body, session).await?;
    Ok(is_reusable)
}

/// Sends an answer of our own.
async fn deliver(
    head: Box<ResponseHeader>,
    body: Option<Bytes>,
    session: &mut Session,
) -> Result<()> {
    let is_whole = body.is_none();
    session.write_response_header(head, is_whole).await?;
    session.write_response_body(body, true).await?;
    if !session.is_body_done() && !respond::awaits_continue(session.req_header()) {
        // A client that still sends would be reset before it reads the answer. It ends by itself after a while.
        let _ = session.drain_request_body().await;
    }
    Ok(())
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Box<Exchange>;

    fn new_ctx(&self) -> Box<Exchange> {
        Box::new(Exchange::new(self.running.snapshot()))
    }

    /// None: compression is a filter's business.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(
        &self,
        session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> Result<bool> {
        head_is_complete(session.as_downstream_mut());
        exchange.client = client(session.as_downstream());
        if session.is_upgrade_req() {
            expect_no_other(session.as_downstream_mut());
        }
        if session.req_header().version <= Version::HTTP_10 {
            // It does not know interim answers (RFC 9110, section 15.2).
            session.as_downstream_mut().set_ignore_info_resp(true);
        }
        match receive::receive(session.req_header(), head_size(session), exchange) {
            Ok(()) => {}
            Err(failure) => return Err(give_up(failure, exchange)),
        }
        self.remember(session.req_header(), exchange);
        let step = match onward::way_in(session.req_header_mut(), exchange)? {
            Step::Later(later) => onward::wait(later, session.req_header_mut(), exchange).await?,
            step => step,
        };
        let (head, body) = match reply::after(step, session.req_header(), exchange) {
            Ok(Some(written)) => written?,
            Ok(None) => return Ok(false),
            Err(failure) => return Err(give_up(failure, exchange)),
        };
        if !session.is_body_done() || self.running.phase() == Phase::Draining {
            session.set_keepalive(None);
        }
        deliver(head, body, session).await?;
        Ok(true)
    }

    async fn upstream_peer(
        &self,
        session: &mut Session,
        exchange: &mut Box<Exchange>,
    ) -> Result<Box<HttpPeer>> {
        if exchange.has_pause() {
            // In a place of its own, as below.
            Box::pin(pause(session.as_downstream_mut(), exchange))
                .await
                .map_err(|failure| give_up(failure, exchange))?;
        }
        // One with a body is none, and would spoil the order that `link` goes by.
        let carries = if session.is_body_empty() {
            match is_websocket(session.req_header()) {
                true => Carries::Handshake,
                false => Carries::Request,
            }
        } else {
            match forward::held(session.req_header(), exchange) {
                Some(go) => Carries::Held(go),
                None => Carries::Request,
            }
        };
        // What is held back for a while would find a kept connection closed.
        let new = !matches!(carries, Carries::Request);
        let wire = match select::select(session.req_header(), exchange, new) {
            Ok(Picked::Picked(wire)) => Ok(wire),
            // In a place of its own: a request that does not wait does not carry what this takes.
            Ok(Picked::Waits(waiting)) => {
                Box::pin(turn(waiting, session.as_downstream_mut(), exchange, new)).await
            }
            Err(failure) => Err(failure),
        };
        let wire = wire.map_err(|failure| give_up(failure, exchange))?;
        let whole = forward::whole(!session.is_body_empty(), exchange);
        let hedge = match carries {
            Carries::Request if session.is_body_empty() => {
                hedge::hedge(session.req_header(), exchange)
            }
            _ => None,
        };
        let timeouts = exchange.target().map(|target| target.timeouts);
        match (&mut exchange.attempt, timeouts) {
            (Some(attempt), Some(timeouts)) => {
                let bounds = Bounds {
                    timeouts,
                    deadline: exchange.deadline,
                    whole,
                };
                let pass = attempt.pass.take();
                Ok(link::way(
                    &attempt.server,
                    wire,
                    pass,
                    bounds,
                    carries,
                    hedge,
                ))
            }
            _ => Err(Error::new(ErrorType::InternalError)),
        }
    }

    async fn connected_to_upstream(
        &self,
        _session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        _fd: RawFd,
        _digest: Option<&Digest>,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        if let Some(attempt) = exchange.attempt.as_mut().filter(|attempt| !attempt.reused) {
            attempt.connect = Some(attempt.picked.elapsed());
        }
        Ok(())
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        forward::forward(request, session.req_header().version)?;
        mirror::begin(request, session.is_upgrade_req(), exchange);
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        exchange.body_ended = end;
        if session.was_upgraded() {
            // What goes through a tunnel is no body.
            return Ok(());
        }
        forward::count_body(piece.as_ref(), exchange)
            .map_err(|failure| give_up(failure, exchange))?;
        if end {
            learn::body_ended(exchange);
        }
        mirror::note(piece.as_ref(), end, exchange);
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        exchange: &mut Box<Exchange>,
        mut error: Box<Error>,
    ) -> Box<Error> {
        retry::after_connect_failure(&mut error, exchange);
        error
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Box<Exchange>,
        _reused: bool,
    ) -> Box<Error> {
        retry::after_exchange_failure(&mut error, sent(session), exchange);
        error
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Box<Exchange>,
    ) -> Result<()> {
        hedge::settle(true, exchange);
        if response.status.as_u16() >= 400 && retry::drops(response, sent(session), exchange) {
            return Err(retry::dropped());
        }
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            // A tunnel may be silent for longer than a body.
            session.set_read_timeout(exchange.tunnel_timeout());
        } else if self.running.phase() == Phase::Draining {
            // A client that is promised another request on this connection would find it closed.
            session.set_keepalive(None);
        }
        if response.status != StatusCode::SWITCHING_PROTOCOLS {
            hurry(session, exchange)?;
        }
        let request = session.req_header();
        let asked = Asked {
            version: request.version,
            method: &request.method,
        };
        answer::answer(response, asked, exchange)
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        piece: &mut Option<Bytes>,
        end: bool,
        exchange: &mut Box<Exchange>,
    ) -> Result<Option<Duration>> {
        hurry(session, exchange)?;
        answer::change_body(piece, end, exchange);
        Ok(None)
    }

    async fn fail_to_proxy(
        &self,
        session: &mut Session,
        error: &Error,
        exchange: &mut Box<Exchange>,
    ) -> FailToProxy {
        let failure = respond::classify(error, exchange);
        exchange.failure = Some(failure);
        let is_answered = session
            .response_written()
            .is_some_and(|head| !head.status.is_informational());
        if is_answered || failure == Failure::ClientGone {
            return FailToProxy {
                error_code: 0,
                can_reuse_downstream: false,
            };
        }
        if let Some(attempt) = &mut exchange.attempt {
            attempt.leave();
        }
        let can_reuse_downstream = send_failure(failure, session, exchange)
            .await
            .unwrap_or(false);
        FailToProxy {
            error_code: failure.status(),
            can_reuse_downstream,
        }
    }

    async fn logging(
        &self,
        session: &mut Session,
        _error: Option<&Error>,
        exchange: &mut Box<Exchange>,
    ) {
        let status = session.response_written().map(|head| head.status.as_u16());
        finish::finish(
            session.req_header(),
            status,
            session.body_bytes_sent(),
            exchange,
            &self.log,
        );
    }

    /// Every failure is in the access log: a line of Pingora's own for each would only be a way to fill a disk.
    fn suppress_error_log(
        &self,
        _session: &Session,
        _exchange: &Box<Exchange>,
        _error: &Error,
    ) -> bool {
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _exchange: &Box<Exchange>,
        _error: &Error,
        _context: ProxyWarnLogContext,
    ) -> bool {
        true
    }
}
