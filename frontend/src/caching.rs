//! `Cache-Control`. Pages are asked for again each time (a 304 is cheap); what they load may be kept for a while, since
//! its names do not change with its content, and is asked for again after that.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

/// Keep it, but ask before each use.
const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
/// Five minutes: long enough to make a visit quick, short enough that a new release is soon everywhere.
const ASSET: HeaderValue = HeaderValue::from_static("public, max-age=300, must-revalidate");

/// Says how long the answer may be kept.
pub async fn label(request: Request, next: Next) -> Response {
    let is_asset = is_asset(request.uri().path());
    let mut answer = next.run(request).await;
    let value = if is_asset && is_content(answer.status()) {
        ASSET
    } else {
        REVALIDATE
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, value);
    answer
}

/// A 304 renews what the cache has, so it must say the same as the 200 did.
fn is_content(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::OK | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    )
}

/// By name rather than by content type, which a 304 does not have.
fn is_asset(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.')
        .is_some_and(|(_, extension)| !matches!(extension, "html" | "htm"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_and_assets_are_told_apart_by_name() {
        for page in [
            "/",
            "/index.html",
            "/about/",
            "/about",
            "/v1.2/",
            "/a.b/page.htm",
        ] {
            assert!(!is_asset(page), "{page}");
        }
        for asset in [
            "/app.js",
            "/assets/style.css",
            "/favicon.svg",
            "/a.html.txt",
        ] {
            assert!(is_asset(asset), "{asset}");
        }
    }
}
