//! Where the route ends in an answer of the proxy's own: its head, and its body unless the client asked for the head alone.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::onward::Step;
use super::receive::{REQUEST_ID, host_as_sent};
use super::{Exchange, forward, onward, respond};
use crate::end::Reply;
use crate::end::redirect::{Place, Redirect};
use crate::error::Failure;
use crate::route::path::normalise;
use crate::snapshot::End;

/// An answer's head, and its body unless the client asked for the head alone.
pub type Written = (Box<ResponseHeader>, Option<Bytes>);

/// What follows the way through the filters: the answer, if it is ours to give; none if a server is to be asked.
///
/// # Errors
/// Why the request cannot be served, or, within, that the head cannot be built, which is a mistake of ours.
pub fn after(
    step: Step,
    request: &RequestHeader,
    exchange: &mut Exchange,
) -> Result<Option<pingora::Result<Written>>, Failure> {
    Ok(match step {
        Step::Answer(reply) => Some(written(&reply, request, exchange)),
        Step::Refused(failure, fields) => {
            exchange.failure = Some(failure);
            Some(respond::page(failure, fields, request, exchange))
        }
        Step::On | Step::Later(_) => {
            forward::check_length(request, exchange)?;
            reply(request, exchange).map(|reply| written(&reply, request, exchange))
        }
    })
}

/// The answer where the route ends, if that is here.
fn reply(request: &RequestHeader, exchange: &Exchange) -> Option<Arc<Reply>> {
    match &exchange.route()?.end {
        End::Redirect(redirect) => Some(Arc::new(elsewhere(redirect, request, exchange))),
        End::Respond(reply) => Some(Arc::clone(reply)),
        End::Upstream(_) | End::Split(..) => None,
    }
}

/// An answer's head as it is sent, and its body unless the client asked for the head alone.
///
/// # Errors
/// Only if the head cannot be built, which is a mistake of ours.
fn written(
    reply: &Reply,
    request: &RequestHeader,
    exchange: &mut Exchange,
) -> pingora::Result<Written> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.headers.len() + 2))?;
    for (name, value) in &reply.headers {
        head.append_header(name.clone(), value.clone())?;
    }
    // RFC 9110, section 8.6.
    if !matches!(
        reply.status,
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        head.insert_header(CONTENT_LENGTH, reply.body.len())?;
    }
    let body = onward::of_ours(&request.method, &mut head, reply.body.clone(), exchange);
    if let Some(id) = &exchange.id {
        head.insert_header(REQUEST_ID, id.clone())?;
    }
    let has_body = request.method != Method::HEAD && !body.is_empty();
    Ok((Box::new(head), has_body.then_some(body)))
}

/// Filters may have changed the target, but where the client is it knows as it asked.
fn elsewhere(redirect: &Redirect, request: &RequestHeader, exchange: &Exchange) -> Reply {
    let path = exchange.original_path();
    let path = path.unwrap_or(request.uri.path());
    // It was found by this form, so there is one.
    let normal = normalise(path).unwrap_or_default();
    redirect.reply(&Place {
        host: host_as_sent(request),
        path,
        normal: &normal,
        query: request.uri.query(),
    })
}
