//! Where the route ends in an answer of the proxy's own: its head, and its body unless the client asked for the head alone.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};

use super::Exchange;
use super::receive::{REQUEST_ID, host_as_sent};
use crate::end::Reply;
use crate::end::redirect::{Place, Redirect};
use crate::route::path::normalise;
use crate::snapshot::End;

/// The answer, if the proxy is to give one.
///
/// # Errors
/// Only if the head cannot be built, which is a mistake of ours.
pub fn reply(
    request: &RequestHeader,
    exchange: &Exchange,
) -> pingora::Result<Option<(Box<ResponseHeader>, Option<Bytes>)>> {
    let answer = match exchange.route().map(|route| &route.end) {
        Some(End::Redirect(redirect)) => head(&elsewhere(redirect, request), exchange)?,
        Some(End::Respond(reply)) => head(reply, exchange)?,
        _ => return Ok(None),
    };
    let (head, body) = answer;
    let body = Some(body).filter(|body| request.method != Method::HEAD && !body.is_empty());
    Ok(Some((head, body)))
}

fn head(reply: &Reply, exchange: &Exchange) -> pingora::Result<(Box<ResponseHeader>, Bytes)> {
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
    if let Some(id) = &exchange.id {
        head.insert_header(REQUEST_ID, id.clone())?;
    }
    Ok((Box::new(head), reply.body.clone()))
}

fn elsewhere(redirect: &Redirect, request: &RequestHeader) -> Reply {
    let path = request.uri.path();
    // It was found by this form, so there is one.
    let normal = normalise(path).unwrap_or_default();
    redirect.reply(&Place {
        host: host_as_sent(request),
        path,
        normal: &normal,
        query: request.uri.query(),
    })
}
