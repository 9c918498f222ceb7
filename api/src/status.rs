//! `ANY /api/status/{code}`: an answer of that status, 200 to 599.
//!
//! Errors have the JSON body of all errors, other answers `{"status": 201}`; 204, 205 and 304 have none, as HTTP
//! demands (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5). Informational statuses are not final answers: 400.

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

use crate::error::ApiError;

/// Answers as told.
pub async fn status(code: Result<Path<String>, PathRejection>) -> Response {
    // What is not even text is not a number either.
    match code.ok().and_then(|Path(code)| final_status(&code)) {
        Some(status) => answer(status),
        None => {
            ApiError::bad_request("the status must be a number from 200 to 599").into_response()
        }
    }
}

fn final_status(text: &str) -> Option<StatusCode> {
    let code: u16 = text.parse().ok()?;
    (200..=599)
        .contains(&code)
        .then(|| StatusCode::from_u16(code).ok())?
}

fn answer(status: StatusCode) -> Response {
    match status {
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::NOT_MODIFIED => {
            status.into_response()
        }
        _ if status.is_client_error() || status.is_server_error() => {
            ApiError::new(status, status.canonical_reason().unwrap_or("as requested"))
                .into_response()
        }
        _ => (status, Json(json!({ "status": status.as_u16() }))).into_response(),
    }
}
