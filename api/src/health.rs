//! `GET /api/health`: 200 while the process takes work, 503 from the moment it is told to stop.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use crate::error::ApiError;
use crate::state::Instance;

/// Says whether this instance wants requests.
pub async fn health(State(instance): State<Instance>) -> Response {
    if instance.drain().is_leaving() {
        return ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "draining: this instance is about to stop",
        )
        .into_response();
    }
    let headers = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    (
        headers,
        Json(json!({ "status": "ok", "instance": instance.name() })),
    )
        .into_response()
}
