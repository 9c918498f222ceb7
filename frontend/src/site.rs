//! The layers around the files, put together; the order is the list in the crate's documentation.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::sync::watch;
use tower_http::services::ServeDir;

use crate::contained::Root;
use crate::security::{ApiOrigin, SecurityHeaders};
use crate::{caching, charset, compression, if_range, not_found, security};

/// Everything this service answers: the files under `root`, and `/health`.
pub fn site(root: &Root, api_origins: &[ApiOrigin], stopping: watch::Receiver<bool>) -> Router {
    let files = ServeDir::with_backend(root.path(), root.clone()).ignore_multi_range_requests(true);
    let security = Arc::new(SecurityHeaders::new(api_origins));
    Router::new()
        .fallback_service(files)
        .layer(from_fn(if_range::honour))
        .layer(from_fn_with_state(root.clone(), not_found::page))
        .layer(map_response(charset::complete))
        .layer(from_fn(caching::label))
        .layer(compression::layer())
        .layer(map_response(compression::weaken_validator))
        .route("/health", get(health).with_state(stopping))
        .layer(from_fn(only_get_and_head))
        .layer(from_fn_with_state(security, security::apply))
}

/// 200 while the service takes requests, 503 from the moment it is told to stop.
async fn health(State(stopping): State<watch::Receiver<bool>>) -> Response {
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let (status, text) = if *stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ok\n")
    };
    (status, no_store, text).into_response()
}

/// Files are read, nothing else: other methods are refused before anything looks at the path.
async fn only_get_and_head(request: Request, next: axum::middleware::Next) -> Response {
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let allow = [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))];
    (
        StatusCode::METHOD_NOT_ALLOWED,
        allow,
        "Only GET and HEAD are answered here.\n",
    )
        .into_response()
}
