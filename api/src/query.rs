//! Query strings, decoded into a type of the endpoint's own; what does not fit is a JSON error.

use axum::extract::FromRequestParts;
use http::request::Parts;
use serde::de::DeserializeOwned;

use crate::error::ApiError;

/// As axum's extractor of that name, except that a rejection is an [`ApiError`].
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|rejection| ApiError::bad_request(rejection.body_text()))
    }
}

/// `value` if it is at most `limit`; otherwise an error that names both.
pub(crate) fn at_most(name: &str, value: u64, limit: u64) -> Result<u64, ApiError> {
    if value <= limit {
        return Ok(value);
    }
    Err(ApiError::bad_request(format!(
        "`{name}` is {value}, and {limit} is the most this endpoint does"
    )))
}
