//! Compression, as negotiated: zstd, brotli or gzip, for what gets smaller by it. Never on a range, whose offsets count
//! bytes of the file.

use axum::response::Response;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, Version, header};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

/// Below this many bytes the answer fits one packet anyway.
const WORTH_IT: u64 = 256;

/// Decides from an answer's head.
type Predicate = fn(StatusCode, Version, &HeaderMap, &Extensions) -> bool;

/// The layer. Each answer is compressed anew, so quick levels: the strong ones cost far more time than they save.
pub fn layer() -> CompressionLayer<Predicate> {
    CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(gets_smaller)
}

fn gets_smaller(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    let is_small = text(header::CONTENT_LENGTH)
        .and_then(|n| n.parse().ok())
        .is_some_and(|n: u64| n < WORTH_IT);
    !is_small && text(header::CONTENT_TYPE).is_some_and(is_text)
}

/// Pictures, fonts and films are compressed already; SVG is text, whatever its type begins with.
fn is_text(content_type: &str) -> bool {
    content_type.starts_with("text/")
        || ["json", "javascript", "xml", "wasm"]
            .iter()
            .any(|kind| content_type.contains(kind))
}

/// What compression does to the other headers, and does not do itself: a compressed answer is not byte for byte what the
/// strong validator stands for (RFC 9110, section 8.8.1), and every answer that could have been compressed varies, the
/// 304 and the range included.
pub async fn weaken_validator(mut answer: Response) -> Response {
    let status = answer.status();
    let headers = answer.headers_mut();
    if headers.contains_key(header::CONTENT_ENCODING) {
        weaken(headers);
    }
    let is_file = matches!(
        status,
        StatusCode::NOT_MODIFIED | StatusCode::PARTIAL_CONTENT
    );
    if is_file && !headers.contains_key(header::VARY) {
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    answer
}

fn weaken(headers: &mut HeaderMap) {
    let Some(strong) = headers
        .get(header::ETAG)
        .filter(|tag| !tag.as_bytes().starts_with(b"W/"))
    else {
        return;
    };
    if let Ok(weak) = HeaderValue::from_bytes(&[b"W/", strong.as_bytes()].concat()) {
        headers.insert(header::ETAG, weak);
    }
}
