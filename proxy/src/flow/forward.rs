//! Third stage: what the server is sent. Pingora has taken out the hop-by-hop headers and those that `Connection` names
//! (RFC 9110, section 7.6.1); the Host stays what the client wrote.
//!
//! What a client says about where it came from is replaced, not believed: whoever reads these headers behind the proxy
//! takes them for the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_LENGTH, EXPECT, HOST, HeaderName, VIA};
use http::request::Parts;
use pingora::http::RequestHeader;

use super::Exchange;
use super::receive::REQUEST_ID;
use crate::error::Failure;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const ID: HeaderName = HeaderName::from_static(REQUEST_ID);

/// So much of a body is held back until it is known not to be too large.
const HELD_MAX: u64 = 64 * 1024;

/// As many are added.
const ADDED: usize = 5;

/// What a client may say about where it came from. We say it in the first three; the others mean the same to some servers.
pub const CLAIMS: [&str; 7] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "x-real-ip",
    "x-forwarded-port",
    "x-forwarded-prefix",
];

/// Our name in `Via` (RFC 9110, section 7.6.3).
pub const VIA_HTTP1: HeaderValue = HeaderValue::from_static("1.1 tidegate");
const VIA_HTTP2: HeaderValue = HeaderValue::from_static("2 tidegate");

/// Adds who asked, how, and for whom.
pub fn announce(request: &mut Parts, exchange: &Exchange) {
    let fields = &mut request.headers;
    if exchange.claims_origin {
        for name in CLAIMS {
            fields.remove(name);
        }
    }
    fields.reserve(ADDED);
    if let Some(client) = &exchange.client {
        fields.insert(FORWARDED_FOR, client.text.clone());
    }
    fields.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    // Where the target names a host, that is the one which is asked for.
    let authority = request.uri.authority().map(|authority| authority.as_str());
    let in_target = authority.and_then(|authority| HeaderValue::from_str(authority).ok());
    if let Some(host) = in_target.or_else(|| fields.get(HOST).cloned()) {
        fields.insert(FORWARDED_HOST, host);
    }
    if let Some(id) = &exchange.id {
        fields.insert(ID, id.clone());
    }
    let via = if request.version == http::Version::HTTP_2 {
        VIA_HTTP2
    } else {
        VIA_HTTP1
    };
    fields.append(VIA, via);
}

/// What is left to do for one attempt.
///
/// # Errors
/// Only if its target cannot be written again, which is a mistake of ours.
pub fn forward(request: &mut RequestHeader, received: http::Version) -> pingora::Result<()> {
    if received < http::Version::HTTP_2 {
        to_origin_form(request)?;
    }
    Ok(())
}

/// A whole URL is for proxies; a server is sent its path (RFC 9112, section 3.2.1). Pingora has seen to it that `Host` names
/// the same host, and keeps the path apart from what it sends.
fn to_origin_form(request: &mut RequestHeader) -> pingora::Result<()> {
    if matches!(request.raw_path().first(), Some(b'/' | b'*')) {
        return Ok(());
    }
    let path = request.uri.path_and_query();
    let path = path.map_or_else(|| "/".to_owned(), ToString::to_string);
    request.set_raw_path(path.as_bytes())
}

/// What is announced can be refused before a byte of it is sent; what is not announced is counted as it comes.
///
/// # Errors
/// The body is larger than the limit.
pub fn check_length(request: &RequestHeader, exchange: &Exchange) -> Result<(), Failure> {
    let Some(most) = exchange.body_limit() else {
        return Ok(());
    };
    let length = request.headers.get(CONTENT_LENGTH);
    let announced = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    match announced {
        Some(length) if length > most => Err(Failure::BodyTooLarge),
        _ => Ok(()),
    }
}

/// Counts a piece of the body. The first one comes, empty if there is no body, once the head is written.
///
/// # Errors
/// The body is larger than the limit.
pub fn count_body(piece: Option<&Bytes>, exchange: &mut Exchange) -> Result<(), Failure> {
    exchange.head_sent = true;
    exchange.body_received += piece.map_or(0, |piece| piece.len() as u64);
    match exchange.body_limit() {
        Some(most) if exchange.body_received > most => return Err(Failure::BodyTooLarge),
        _ => {}
    }
    if let Some(whole) = exchange.whole.as_ref().filter(|_| exchange.body_ended) {
        whole.store(true, Ordering::Release);
    }
    if let Some(go) = exchange.held.as_ref()
        && (exchange.body_ended || exchange.body_received > HELD_MAX)
    {
        go.store(true, Ordering::Release);
    }
    Ok(())
}

/// Who is told when all of the request is on its way: who waits for the first byte otherwise than for the others, if there is a body.
pub fn whole(has_body: bool, exchange: &mut Exchange) -> Option<Arc<AtomicBool>> {
    let timeouts = &exchange.target()?.timeouts;
    let wants_to_know = has_body && timeouts.first_byte() != timeouts.read;
    exchange.whole = wants_to_know.then(Arc::default);
    exchange.whole.clone()
}

/// If nothing may be sent yet because a filter bounds the body, and the client did not say how long it is: who is told when it
/// may.
pub fn held(request: &RequestHeader, exchange: &mut Exchange) -> Option<Arc<AtomicBool>> {
    let is_bounded = exchange
        .passage
        .as_ref()
        .is_some_and(|passage| passage.body_size.is_some());
    // A client that waits for leave waits for the server's.
    let is_asked = request.headers.contains_key(EXPECT);
    if !is_bounded || is_asked || request.headers.contains_key(CONTENT_LENGTH) {
        return None;
    }
    // The next attempt begins with what is there already.
    let go = exchange.held.get_or_insert_default();
    Some(Arc::clone(go)).filter(|go| !go.load(Ordering::Acquire))
}
