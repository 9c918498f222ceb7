//! Fifth stage: what the client is sent. The server's hop-by-hop headers end here (RFC 9110, section 7.6.1); how the body
//! is framed towards the client is Pingora's business.

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, SET_COOKIE, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE, VIA,
};
use http::{HeaderValue, StatusCode, Version};
use pingora::http::ResponseHeader;

use super::forward::VIA_HTTP1;
use super::receive::REQUEST_ID;
use super::{Exchange, learn, onward, retry};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
/// The upstream whose servers are asked whatever their probes say.
const PANIC: HeaderName = HeaderName::from_static("x-tidegate-panic");

const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");

/// Headers that concern one connection only.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    TE,
    TRAILER,
    UPGRADE,
];

/// What was asked, as far as the answer depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'r> {
    /// The version of the request.
    pub version: Version,
    /// Its method.
    pub method: &'r http::Method,
}

/// Notes when the answer came and takes out what concerns the server's connection only.
///
/// # Errors
/// Only if a header cannot be added, which is a mistake of ours.
pub fn answer(
    response: &mut ResponseHeader,
    asked: Asked<'_>,
    exchange: &mut Exchange,
) -> pingora::Result<()> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        exchange
            .first_byte
            .get_or_insert_with(|| exchange.started.elapsed());
        learn::answered(response.status, exchange);
        retry::answered(response, exchange);
        exchange.begin_answer();
    } else if response.status.is_informational() {
        exchange.was_heard = true;
        return Ok(());
    } else {
        exchange
            .first_byte
            .get_or_insert_with(|| exchange.started.elapsed());
        learn::answered(response.status, exchange);
        retry::answered(response, exchange);
        exchange.begin_answer();
        strip_hop_by_hop(response);
        if asked.version <= Version::HTTP_10 {
            // It does not know chunks (RFC 9112, section 6.1): the end of the connection is the end of the body.
            response.remove_header(&TRANSFER_ENCODING);
        }
    }
    onward::way_out(asked.method, response, exchange);
    if exchange
        .passage
        .as_ref()
        .is_some_and(|passage| passage.changes_body())
    {
        // How long it becomes nobody knows yet.
        response.remove_header(&CONTENT_LENGTH);
        if asked.version > Version::HTTP_10 {
            // Whatever its server speaks: HTTP/1.0 has no chunks.
            response.set_version(Version::HTTP_11);
            response.insert_header(TRANSFER_ENCODING, "chunked")?;
        }
    }
    if let Some(id) = &exchange.id {
        response.insert_header(REQUEST_ID, id.clone())?;
    }
    for cookie in [exchange.cookie.take(), kept(exchange)]
        .into_iter()
        .flatten()
    {
        response.append_header(SET_COOKIE, cookie)?;
    }
    note_panic(response, exchange)?;
    response.append_header(VIA, VIA_HTTP1)?;
    Ok(())
}

/// Names the upstream, if so few of its servers are up that all are asked.
///
/// # Errors
/// Only if the field cannot be added, which is a mistake of ours.
pub fn note_panic(response: &mut ResponseHeader, exchange: &Exchange) -> pingora::Result<()> {
    let Some(target) = exchange.target() else {
        return Ok(());
    };
    let in_panic = match &exchange.attempt {
        Some(attempt) => attempt.in_panic,
        None => target.upstream.pool().in_panic(),
    };
    if in_panic {
        response.insert_header(PANIC, target.upstream.name())?;
    }
    Ok(())
}

/// What keeps the client with the server that answered, if its upstream does that and it is not there already.
fn kept(exchange: &Exchange) -> Option<HeaderValue> {
    let server = &exchange.attempt.as_ref()?.server;
    let policy = &exchange.target()?.upstream.spec().policy;
    policy.cookie(exchange.key, server)
}

/// A piece of the body, through what filters want it to go through.
pub fn change_body(piece: &mut Option<Bytes>, is_last: bool, exchange: &mut Exchange) {
    let Some(passage) = exchange
        .passage
        .as_mut()
        .filter(|passage| passage.changes_body())
    else {
        return;
    };
    let changed = passage.change(piece.take().unwrap_or_default(), is_last);
    *piece = Some(changed).filter(|piece| !piece.is_empty());
}

fn strip_hop_by_hop(response: &mut ResponseHeader) {
    // Most answers have one of them or none: what is there is looked for, not what could be.
    let mut doomed: Vec<HeaderName> = Vec::new();
    for (name, value) in &response.headers {
        if HOP_BY_HOP.contains(name) {
            doomed.push(name.clone());
        }
        if name == CONNECTION {
            doomed.extend(nominated(value));
        }
    }
    for name in &doomed {
        response.remove_header(name);
    }
}

/// The fields that a `Connection` field names.
fn nominated(connection: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let names = connection.to_str().unwrap_or_default().split(',');
    names
        .map(str::trim)
        .filter(|name| !name.eq_ignore_ascii_case("keep-alive"))
        .filter_map(|name| name.parse().ok())
        .filter(is_free_to_go)
}

/// A server cannot nominate what frames its body, or what the client needs to read it.
fn is_free_to_go(name: &HeaderName) -> bool {
    use http::header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING,
    };
    ![
        CACHE_CONTROL,
        CONTENT_ENCODING,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        SET_COOKIE,
        TRANSFER_ENCODING,
    ]
    .contains(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_the_servers_connection_stays_behind() {
        let mut response = ResponseHeader::build(200, None).unwrap();
        for (name, value) in [
            ("Connection", "close, X-Hop, content-length"),
            ("X-Hop", "1"),
            ("Keep-Alive", "timeout=5"),
            ("Upgrade", "h2c"),
            ("Content-Length", "3"),
            ("X-End", "1"),
        ] {
            response.append_header(name, value).unwrap();
        }
        strip_hop_by_hop(&mut response);
        let mut left: Vec<&str> = response.headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["content-length", "x-end"]);
    }
}
