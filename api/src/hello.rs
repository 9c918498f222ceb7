//! `GET /api/hello`: the greeting that becomes the page's heading.

use http::{HeaderName, HeaderValue, header};

/// The whole body.
pub const GREETING: &str = "Hello, World!";

/// Says hello.
pub async fn hello() -> ([(HeaderName, HeaderValue); 1], &'static str) {
    // Any instance gives the same answer, but a cached one would hide that none is left.
    (
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        GREETING,
    )
}
