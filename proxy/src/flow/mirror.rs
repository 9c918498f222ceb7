//! Beside the stages: a share of the requests of a route is copied to another upstream. The copy is what the first server was
//! sent, and leaves when the last piece of the body has come; whatever becomes of it, nobody waits for it.

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Uri};
use http_body_util::Full;
use pingora::http::RequestHeader;
use tokio::sync::OwnedSemaphorePermit;

use super::{Exchange, select};
use crate::snapshot::Mirror;

/// A request that is being copied.
pub struct Copy {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: BytesMut,
    /// What of it decides who gets it.
    key: Option<u64>,
    place: OwnedSemaphorePermit,
}

/// Begins a copy of what the server is sent, if this request is one to be copied. Again for every attempt: the body is sent
/// again, too.
pub fn begin(request: &RequestHeader, is_upgrade: bool, exchange: &mut Exchange) {
    let is_first = exchange.attempts <= 1;
    let earlier = exchange.copy.take();
    let Some(mirror) = exchange.route().and_then(|route| route.mirror.as_ref()) else {
        return;
    };
    let place = match earlier {
        Some(earlier) => Some(earlier.place),
        None if !is_first || is_upgrade || !mirror.takes() => return,
        None if announced(request) > mirror.body_size => {
            mirror.outcomes.note_too_large();
            return;
        }
        None => mirror.place(),
    };
    let Some(place) = place else { return };
    let key = select::key(mirror.upstream(), request, exchange);
    let mut headers = request.headers.clone();
    for hop in [
        CONNECTION,
        CONTENT_LENGTH,
        EXPECT,
        TE,
        TRANSFER_ENCODING,
        UPGRADE,
    ] {
        headers.remove(hop);
    }
    exchange.copy = Some(Box::new(Copy {
        method: request.method.clone(),
        uri: request.uri.clone(),
        headers,
        body: BytesMut::new(),
        key,
        place,
    }));
}

/// Notes a piece of the body, and sends the copy with the last one.
pub fn note(piece: Option<&Bytes>, is_last: bool, exchange: &mut Exchange) {
    let Some(mut copy) = exchange.copy.take() else {
        return;
    };
    let Some(mirror) = exchange.route().and_then(|route| route.mirror.as_ref()) else {
        return;
    };
    if let Some(piece) = piece {
        copy.body.extend_from_slice(piece);
    }
    if copy.body.len() as u64 > mirror.body_size {
        mirror.outcomes.note_too_large();
    } else if is_last {
        send(*copy, mirror);
    } else {
        exchange.copy = Some(copy);
    }
}

/// The length that the request says it has.
fn announced(request: &RequestHeader) -> u64 {
    let length = request.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

fn send(copy: Copy, mirror: &Mirror) {
    let (mut parts, ()): (Parts, ()) = Request::new(()).into_parts();
    (parts.method, parts.uri, parts.headers) = (copy.method, copy.uri, copy.headers);
    let body = Full::new(copy.body.freeze());
    mirror.send(copy.place, copy.key, Request::from_parts(parts, body));
}
