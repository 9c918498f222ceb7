//! The routes, and what every answer has whichever route made it: `X-Instance`, CORS headers, JSON for errors.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{any, get, post};
use http::{HeaderName, StatusCode, Uri, header};
use std::time::Duration;
use tower_http::cors::{Any, CorsLayer};

use crate::error::ApiError;
use crate::state::Instance;
use crate::{bytes, echo, health, hello, sink, slow, status, stream, whoami, ws};

/// Who answered.
pub const X_INSTANCE: HeaderName = HeaderName::from_static("x-instance");
/// What a proxy in front may add, and a page may want to show.
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a browser may remember a preflight's answer; two hours is the most Chromium honours.
const PREFLIGHT_LIFETIME: Duration = Duration::from_secs(2 * 60 * 60);

/// The whole API of this instance.
pub fn app(instance: Instance) -> Router {
    routes()
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(cors())
        .layer(middleware::from_fn_with_state(instance.clone(), sign))
        .with_state(instance)
}

fn routes() -> Router<Instance> {
    Router::new()
        .route("/api/hello", get(hello::hello))
        .route("/api/whoami", get(whoami::whoami))
        .route("/api/health", get(health::health))
        .route("/api/echo", any(echo::echo))
        .route("/api/slow", get(slow::slow))
        .route("/api/status/{code}", any(status::status))
        .route("/api/stream", get(stream::events))
        .route("/api/ws", get(ws::ws))
        .route("/api/bytes", get(bytes::bytes))
        .route("/api/sink", post(sink::sink))
}

/// Any page may call, none with credentials: there is nothing here that belongs to a user.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(Any)
        .allow_headers(Any)
        .expose_headers([X_INSTANCE, X_REQUEST_ID, header::RETRY_AFTER])
        .max_age(PREFLIGHT_LIFETIME)
}

/// Counts the request, and puts this instance's name on the answer.
async fn sign(State(instance): State<Instance>, request: Request, next: Next) -> Response {
    instance.count_request();
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(X_INSTANCE, instance.name_header());
    response
}

async fn not_found(uri: Uri) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("there is nothing at {}", uri.path()),
    )
}

async fn method_not_allowed(request: Request) -> ApiError {
    let message = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
}
