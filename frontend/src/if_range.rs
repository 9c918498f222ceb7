//! `If-Range` (RFC 9110, section 13.1.5), which `ServeDir` does not know: a range is only worth having of the file that
//! the client has the other part of. If the validator is another one, the answer is the whole file.
//!
//! The answer to the range request names the current validators, so it is made first, and again without the range when
//! they differ. That costs a second look at the file, only for clients that resume a download of a changed file.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// Lets a range through only if its condition holds.
pub async fn honour(mut request: Request, next: Next) -> Response {
    let condition = request.headers_mut().remove(header::IF_RANGE);
    let Some(condition) = condition.filter(|_| request.headers().contains_key(header::RANGE))
    else {
        return next.run(request).await;
    };
    let mut whole = Request::new(axum::body::Body::empty());
    *whole.method_mut() = request.method().clone();
    *whole.uri_mut() = request.uri().clone();
    *whole.headers_mut() = request.headers().clone();
    whole.headers_mut().remove(header::RANGE);

    let answer = next.clone().run(request).await;
    let about_a_range = matches!(
        answer.status(),
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE
    );
    if about_a_range && !is_current(&condition, answer.headers()) {
        return next.run(whole).await;
    }
    answer
}

/// The comparison is the strong one: a weak validator never matches, a date only if it is the very same.
fn is_current(condition: &HeaderValue, answer: &HeaderMap) -> bool {
    let is_weak = condition.as_bytes().starts_with(b"W/");
    !is_weak
        && [header::ETAG, header::LAST_MODIFIED]
            .iter()
            .any(|name| answer.get(name) == Some(condition))
}
