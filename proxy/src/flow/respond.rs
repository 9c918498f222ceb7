//! Sixth stage, when nobody answered: turns a failure into an answer, as JSON or as a page, whichever the client reads.

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorSource, ErrorType};

use super::receive::REQUEST_ID;
use super::{Exchange, answer, onward};
use crate::error::Failure;

/// Pingora's name for a chunk whose size cannot be read (`protocols/http/v1/body.rs`); the constant itself is not public.
const INVALID_CHUNK: &str = "InvalidChunk";

/// When a request that came at a busy moment may come again, in seconds: in less there may be a place.
const SOON: &str = "1";

/// What kind of failure an error of Pingora's is. One that a stage noted already stands.
pub fn classify(error: &Error, exchange: &Exchange) -> Failure {
    use ErrorType as E;
    if let (E::HTTPStatus(_), Some(failure)) = (error.etype(), exchange.failure) {
        return failure;
    }
    let failure = kind(error, exchange);
    let takes_too_long = match failure {
        Failure::ConnectTimeout | Failure::UpstreamTimeout => exchange.is_overdue(),
        // It takes its answer too slowly.
        Failure::ClientGone => *error.etype() == E::WriteTimedout && exchange.is_overdue(),
        _ => false,
    };
    match takes_too_long {
        true => Failure::RequestTimeout,
        false => failure,
    }
}

fn kind(error: &Error, exchange: &Exchange) -> Failure {
    use ErrorType as E;
    match (error.esource(), error.etype()) {
        (ErrorSource::Downstream, E::ReadTimedout) => Failure::BodyTimeout,
        (ErrorSource::Downstream, E::InvalidHTTPHeader) => Failure::BadRequest,
        (ErrorSource::Downstream, E::Custom(INVALID_CHUNK)) => Failure::BadRequest,
        (ErrorSource::Downstream, _) => Failure::ClientGone,
        (ErrorSource::Upstream, E::ConnectTimedout) => Failure::ConnectTimeout,
        (ErrorSource::Upstream, E::WriteTimedout | E::ReadTimedout) => Failure::UpstreamTimeout,
        (ErrorSource::Upstream, E::WriteError) if is_late(error) => Failure::UpstreamTimeout,
        // The server waits for the rest of the request: HTTP/2 clients have no timeout of their own here.
        (ErrorSource::Upstream, E::ReadError) if is_late(error) && !exchange.body_ended => {
            Failure::BodyTimeout
        }
        (ErrorSource::Upstream, E::ReadError) if is_late(error) => Failure::UpstreamTimeout,
        (ErrorSource::Upstream, E::ConnectionClosed | E::ReadError | E::WriteError) => {
            Failure::UpstreamClosed
        }
        (ErrorSource::Upstream, E::InvalidHTTPHeader | E::H1Error | E::H2Error | E::InvalidH2) => {
            Failure::BadAnswer
        }
        (ErrorSource::Upstream, _) => Failure::ConnectFailed,
        _ => Failure::Internal,
    }
}

/// A connection to a server keeps its own time (`server::link`). When the kernel says the same, with a number of its own,
/// it has lost the connection.
fn is_late(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<std::io::Error>();
    cause.is_some_and(|cause| {
        cause.kind() == std::io::ErrorKind::TimedOut && cause.raw_os_error().is_none()
    })
}

/// The answer to a request that failed, with `fields`: its head, and its body unless the client asked for the head alone.
///
/// # Errors
/// Only if the head cannot be built, which is a mistake of ours.
pub fn page(
    failure: Failure,
    fields: HeaderMap,
    request: &RequestHeader,
    exchange: &mut Exchange,
) -> pingora::Result<(Box<ResponseHeader>, Option<Bytes>)> {
    let (content_type, body) = if reads_html(request) {
        html(failure, exchange.id())
    } else {
        json(failure, exchange.id())
    };
    let mut head = ResponseHeader::build(failure.status(), Some(5))?;
    head.insert_header(CONTENT_TYPE, HeaderValue::from_static(content_type))?;
    head.insert_header(CONTENT_LENGTH, body.len())?;
    head.insert_header(CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
    if let Some(id) = &exchange.id {
        head.insert_header(REQUEST_ID, id.clone())?;
    }
    if matches!(failure, Failure::Overloaded | Failure::QueueTimeout) {
        head.insert_header(RETRY_AFTER, HeaderValue::from_static(SOON))?;
    }
    for (name, value) in &fields {
        head.insert_header(name.clone(), value.clone())?;
    }
    answer::note_panic(&mut head, exchange)?;
    let body = onward::of_ours(&request.method, &mut head, body.into(), exchange);
    let body = (request.method != Method::HEAD).then_some(body);
    Ok((Box::new(head), body))
}

/// The whole answer to a head that could not be read: what the client reads is unknown, and the connection ends.
pub fn refusal(failure: Failure, id: &str) -> Vec<u8> {
    let (content_type, body) = json(failure, id);
    let status = failure.status();
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    let length = body.len();
    format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
         Cache-Control: no-store\r\nX-Request-Id: {id}\r\nConnection: close\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Whether the client still waits for leave to send its body (RFC 9110, section 10.1.1): then there is none to read.
pub fn awaits_continue(request: &RequestHeader) -> bool {
    request
        .headers
        .get(EXPECT)
        .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Browsers name `text/html`; programs do not.
fn reads_html(request: &RequestHeader) -> bool {
    let mut accepted = request
        .headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok());
    accepted.any(|accept| accept.contains("text/html"))
}

fn json(failure: Failure, id: &str) -> (&'static str, String) {
    let body = serde_json::json!({
        "error": {
            "status": failure.status(),
            "reason": failure.label(),
            "message": failure.explanation(),
            "request_id": id,
        }
    });
    ("application/json", format!("{body}\n"))
}

fn html(failure: Failure, id: &str) -> (&'static str, String) {
    let status = failure.status();
    let title = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Error");
    let explanation = failure.explanation();
    let id = escape(id);
    let body = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{status} {title}</title>\n\
         <style>:root{{color-scheme:light dark}}body{{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}}\
         code{{overflow-wrap:anywhere}}</style>\n\
         <h1>{status} {title}</h1>\n<p>{explanation}</p>\n<p>Request <code>{id}</code></p>\n</html>\n"
    );
    ("text/html; charset=utf-8", body)
}

/// The id may be the client's own.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_cannot_bring_markup_into_the_page() {
        let (_, page) = html(Failure::NoRoute, "<script>\"&");
        assert!(page.contains("&lt;script&gt;&quot;&amp;"), "{page}");
    }
}
