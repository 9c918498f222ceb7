//! `/replay`: the requests that are remembered, and where each goes now.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Operator, Problem};
use crate::trial::came;

pub(super) async fn answer(State(operator): State<Operator>) -> Response {
    let running = operator.running;
    let snapshot = running.snapshot();
    if snapshot.reload.remember == 0 {
        let why =
            "no requests are remembered: the file that runs has no `reload: { remember: ... }`";
        return Problem::new(why).with(StatusCode::NOT_FOUND);
    }
    let asked = tokio::task::spawn_blocking(move || came(running.recent().all(), &snapshot));
    match asked.await {
        Ok(came) => Json(came).into_response(),
        Err(why) => Problem::new(why).with(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
