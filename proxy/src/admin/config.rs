//! `/config`: what runs, what ran, and edits to it.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::edits::{Verdict, Will};
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
    Path(number): Path<u64>,
) -> Response {
    let mut all = operator.edits.generations().into_iter();
    match all.find(|one| one.number == number) {
        Some(generation) => Json(generation).into_response(),
        None => {
            Problem::new(format!("generation {number} is not kept")).with(StatusCode::NOT_FOUND)
        }
    }
}

pub(super) async fn check(State(operator): State<Operator>, text: String) -> Response {
    answer(operator.edits.check(text).await)
}

/// How an edit is applied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Applying {
    /// Also one that was taken back before.
    #[serde(default)]
    force: bool,
}

pub(super) async fn apply(
    State(operator): State<Operator>,
    Query(applying): Query<Applying>,
    text: String,
) -> Response {
    let edits = operator.edits;
    let will = if applying.force {
        Will::Insisted
    } else {
        Will::Wanted
    };
    to_its_end(async move { edits.apply(text, will).await }).await
}

/// How far back.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Back {
    /// To this generation; to the last good one before this if none is named.
    to: Option<u64>,
}

pub(super) async fn roll_back(
    State(operator): State<Operator>,
    Query(back): Query<Back>,
) -> Response {
    let edits = operator.edits;
    to_its_end(async move { edits.roll_back(back.to).await }).await
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
