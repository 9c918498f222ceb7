//! `/config`: what runs, what ran, and edits to it.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::edits::{Verdict, Will};
use super::query::Parameters;
use super::{Operator, Problem};
use crate::generation::Generation;

pub(super) async fn state(State(operator): State<Operator>) -> impl IntoResponse {
    Json(operator.edits.state().await)
}

/// A generation without its text.
#[derive(Debug, Serialize)]
struct Line {
    generation: u64,
    since: String,
    trigger: String,
    changes: Vec<String>,
    refused: Option<String>,
}

pub(super) async fn generations(State(operator): State<Operator>) -> impl IntoResponse {
    let all = operator.edits.generations();
    let lines: Vec<Line> = all.into_iter().map(Line::from).collect();
    Json(lines)
}

impl From<Generation> for Line {
    fn from(generation: Generation) -> Self {
        Self {
            generation: generation.number,
            since: humantime::format_rfc3339_seconds(generation.since).to_string(),
            trigger: generation.trigger,
            changes: generation.changes,
            refused: generation.refused,
        }
    }
}

pub(super) async fn generation(
    State(operator): State<Operator>,
    Path(number): Path<String>,
) -> Response {
    let mut all = operator.edits.generations().into_iter();
    match all.find(|one| number.parse() == Ok(one.number)) {
        Some(generation) => Json(generation).into_response(),
        None => {
            let number = number.escape_debug();
            Problem::new(format!("generation {number} is not kept")).with(StatusCode::NOT_FOUND)
        }
    }
}

pub(super) async fn check(State(operator): State<Operator>, text: String) -> Response {
    answer(operator.edits.check(text).await)
}

/// `force`: also a file that was taken back before.
pub(super) async fn apply(State(operator): State<Operator>, uri: Uri, text: String) -> Response {
    let edits = operator.edits;
    let mut given = Parameters::of(&uri);
    let force = given.take("force", "`true` or `false`", |text| text.parse().ok());
    let will = match force.and_then(|force| given.end().map(|()| force)) {
        Ok(Some(true)) => Will::Insisted,
        Ok(_) => Will::Wanted,
        Err(why) => return Problem::new(why).with(StatusCode::BAD_REQUEST),
    };
    to_its_end(async move { edits.apply(text, will).await }).await
}

/// `to` this generation; to the last good one before this if none is named.
pub(super) async fn roll_back(State(operator): State<Operator>, uri: Uri) -> Response {
    let edits = operator.edits;
    let mut given = Parameters::of(&uri);
    let to = given.take("to", "the number of a generation", |text| text.parse().ok());
    match to.and_then(|to| given.end().map(|()| to)) {
        Ok(to) => to_its_end(async move { edits.roll_back(to).await }).await,
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

/// Whoever asked may leave: what was begun is not left half done.
async fn to_its_end(edit: impl Future<Output = Verdict> + Send + 'static) -> Response {
    match tokio::spawn(edit).await {
        Ok(verdict) => answer(verdict),
        Err(why) => Problem::new(why).with(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

fn answer(verdict: Verdict) -> Response {
    let status = if verdict.ok {
        StatusCode::OK
    } else {
        StatusCode::UNPROCESSABLE_ENTITY
    };
    (status, Json(verdict)).into_response()
}
