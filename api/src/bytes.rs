//! `GET /api/bytes?size=`: that many bytes, with `Content-Length`, made while they are sent. 4 GiB at most.
//!
//! The content is the alphabet over and over, so that a test can check any part of it: byte `n` is `b'a' + n % 26`.

use axum::body::{Body, Bytes};
use axum::response::Response;
use futures_util::stream;
use http::{HeaderValue, header};
use serde::Deserialize;
use std::convert::Infallible;

use crate::error::ApiError;
use crate::query::{Query, at_most};

/// Past the 32-bit edge, where sizes go wrong.
const LARGEST: u64 = 4 * 1024 * 1024 * 1024;
/// One chunk, in bytes: a whole number of alphabets, near the 64 KiB a socket takes at once.
const CHUNK: usize = 26 * 2520;

/// What may follow the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    size: u64,
}

/// Sends that many bytes.
pub async fn bytes(Query(params): Query<Params>) -> Result<Response, ApiError> {
    let size = at_most("size", params.size, LARGEST)?;
    let mut response = Response::new(body(size));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn body(size: u64) -> Body {
    let chunk: Bytes = (b'a'..=b'z').cycle().take(CHUNK).collect();
    Body::from_stream(stream::unfold(size, move |left| {
        let take = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        // Every chunk but the last is whole, so each begins with an `a`.
        let part =
            (take > 0).then(|| (Ok::<_, Infallible>(chunk.slice(..take)), left - take as u64));
        std::future::ready(part)
    }))
}
