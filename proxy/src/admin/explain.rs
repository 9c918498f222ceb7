//! `POST /explain`: what would become of a request now, and why.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Problem;
use crate::snapshot::Running;
use crate::trial::{Question, explain};

pub(super) async fn answer(
    State(running): State<Arc<Running>>,
    Json(question): Json<Question>,
) -> Response {
    // A password takes its time.
    let explained =
        tokio::task::spawn_blocking(move || explain(&running.snapshot(), &question)).await;
    match explained {
        Ok(Ok(explanation)) => Json(explanation).into_response(),
        Ok(Err(why)) => Problem::new(why).with(StatusCode::BAD_REQUEST),
        Err(why) => Problem::new(why).with(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
