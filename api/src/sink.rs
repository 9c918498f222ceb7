//! `POST /api/sink`: reads the body, however long, keeps none of it, and answers `{"bytes": 1024}`.

use axum::Json;
use axum::body::Body;
use futures_util::TryStreamExt as _;
use serde_json::{Value, json};

use crate::error::ApiError;

/// Counts what is sent.
pub async fn sink(body: Body) -> Result<Json<Value>, ApiError> {
    let count =
        |total: u64, chunk: axum::body::Bytes| async move { Ok(total + chunk.len() as u64) };
    let bytes = body.into_data_stream().try_fold(0, count).await;
    let bytes =
        bytes.map_err(|error| ApiError::bad_request(format!("the body broke off: {error}")))?;
    Ok(Json(json!({ "bytes": bytes })))
}
