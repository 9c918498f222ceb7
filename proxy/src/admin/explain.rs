//! `POST /explain`: what would become of a request now, and why.

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::{Operator, Problem};
use crate::trial::{Question, explain};

pub(super) async fn answer(
    State(operator): State<Operator>,
    question: Result<Json<Question>, JsonRejection>,
) -> Response {
    let question = match question {
        Ok(Json(question)) => question,
        Err(why) => return Problem::new(why.body_text()).with(why.status()),
    };
    // A password takes its time.
    let explained =
        tokio::task::spawn_blocking(move || explain(&operator.running.snapshot(), &question)).await;
    match explained {
        Ok(Ok(explanation)) => Json(explanation).into_response(),
        Ok(Err(why)) => Problem::new(why).with(StatusCode::BAD_REQUEST),
        Err(why) => Problem::new(why).with(StatusCode::INTERNAL_SERVER_ERROR),
    }
}
