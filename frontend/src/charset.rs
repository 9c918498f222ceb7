//! `; charset=utf-8` for text: files do not say how they are encoded, and a browser told nothing may guess wrong.

use axum::response::Response;
use http::{HeaderValue, header};

/// Completes the content type.
pub async fn complete(mut answer: Response) -> Response {
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    let bare = content_type
        .and_then(|value| value.to_str().ok())
        .filter(|value| value.starts_with("text/") && !value.contains(';'));
    if let Some(Ok(value)) =
        bare.map(|bare| HeaderValue::try_from(format!("{bare}; charset=utf-8")))
    {
        answer.headers_mut().insert(header::CONTENT_TYPE, value);
    }
    answer
}
