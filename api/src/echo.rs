//! `ANY /api/echo`: the request's body back, with its content type. Nothing is buffered, so the size has no limit and
//! the answer starts while the request still arrives.

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, header};

/// Answers with what was sent.
pub async fn echo(request: Request) -> Response {
    let (mut head, body) = request.into_parts();
    let mut response = Response::new(body);
    if let Some(content_type) = head.headers.remove(header::CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, content_type);
    }
    // The content type is the sender's choice: a browser must not guess another one.
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.map(Body::new)
}
