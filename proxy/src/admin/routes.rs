//! `/routes`: the routes, and what became of the copies of their requests.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;

use super::Operator;
use crate::snapshot::Route;

pub(super) async fn answer(State(operator): State<Operator>) -> impl IntoResponse {
    let snapshot = operator.running.snapshot();
    Json(
        snapshot
            .routes
            .iter()
            .map(RouteState::of)
            .collect::<Vec<_>>(),
    )
}

/// One of the answer of `/routes`.
#[derive(Debug, Serialize)]
struct RouteState {
    name: String,
    mirror: Option<MirrorState>,
}

/// What became of copies.
#[derive(Debug, Serialize)]
struct MirrorState {
    upstream: String,
    /// By the class of the status.
    answered: BTreeMap<&'static str, u64>,
    /// Nobody answered, or not in time.
    failed: u64,
    /// Not sent: the body is larger than `body_size`.
    too_large: u64,
    /// Not sent: too many others were under way.
    busy: u64,
}

impl RouteState {
    fn of(route: &Route) -> Self {
        let mirror = route.mirror.as_ref();
        Self {
            name: route.name.clone(),
            mirror: mirror.map(|mirror| MirrorState {
                upstream: mirror.upstream().name().to_owned(),
                answered: ["1xx", "2xx", "3xx", "4xx", "5xx"]
                    .into_iter()
                    .zip(mirror.outcomes.answered())
                    .collect(),
                failed: mirror.outcomes.failed(),
                too_large: mirror.outcomes.too_large(),
                busy: mirror.outcomes.busy(),
            }),
        }
    }
}
