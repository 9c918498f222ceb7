//! `GET /api/slow?ms=`: answers after that many milliseconds (1000 unless told), 60 seconds at most.

use std::time::Duration;

use axum::Json;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::query::{Query, at_most};

/// Longer than any timeout a proxy test waits for, short enough that nobody parks requests here.
const LONGEST_MS: u64 = 60_000;

/// What may follow the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Params {
    #[serde(default = "one_second")]
    ms: u64,
}

fn one_second() -> u64 {
    1000
}

/// Waits, then says how long it waited.
pub async fn slow(Query(params): Query<Params>) -> Result<Json<Value>, ApiError> {
    let ms = at_most("ms", params.ms, LONGEST_MS)?;
    tokio::time::sleep(Duration::from_millis(ms)).await;
    Ok(Json(json!({ "ms": ms })))
}
