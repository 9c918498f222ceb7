//! `/ready`: whether it serves, what runs, and how its upstreams do.

use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;

use super::Operator;
use super::origin::is_of_an_operator;
use crate::snapshot::{Phase, Running};
use crate::upstream::Upstream;

/// Whoever asks may know how it is. What is wrong with the file quotes it: that is for operators.
pub(super) async fn answer(
    State(operator): State<Operator>,
    headers: HeaderMap,
) -> impl IntoResponse {
    let mut readiness = Readiness::of(&operator.running);
    if !is_of_an_operator(&headers)
        && let Some(refused) = &mut readiness.refused
    {
        refused.report = "see the log".to_owned();
    }
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

/// The answer of `/ready`.
#[derive(Debug, Serialize)]
struct Readiness {
    ready: bool,
    phase: &'static str,
    file: String,
    /// Counts the files that were taken, from 1.
    generation: u64,
    /// When the running one was taken.
    since: String,
    /// Why the file on disk is not the running one, if it was refused.
    refused: Option<Refused>,
    /// What the running file asks for that only a restart can give.
    restart_required: Vec<String>,
    upstreams: Vec<UpstreamState>,
}

#[derive(Debug, Serialize)]
struct Refused {
    since: String,
    report: String,
}

#[derive(Debug, Serialize)]
struct UpstreamState {
    name: String,
    /// Servers that may be picked.
    ready: usize,
    servers: Vec<ServerState>,
}

#[derive(Debug, Serialize)]
struct ServerState {
    address: String,
    weight: u16,
    health: &'static str,
    reason: Option<String>,
    /// Why it is out, whatever its probes say.
    ejected: Option<String>,
    in_flight: usize,
}

impl Readiness {
    fn of(running: &Running) -> Self {
        let snapshot = running.snapshot();
        let phase = running.phase();
        Self {
            ready: phase == Phase::Ready,
            phase: match phase {
                Phase::Starting => "starting",
                Phase::Ready => "ready",
                Phase::Draining => "draining",
            },
            file: running.path.display().to_string(),
            generation: snapshot.generation,
            since: humantime::format_rfc3339_seconds(snapshot.since).to_string(),
            refused: running.refusal().map(|refusal| Refused {
                since: humantime::format_rfc3339_seconds(refusal.since).to_string(),
                report: refusal.report,
            }),
            restart_required: running.restart_required(),
            upstreams: snapshot
                .upstreams
                .iter()
                .map(|upstream| UpstreamState::of(upstream))
                .collect(),
        }
    }
}

impl UpstreamState {
    fn of(upstream: &Upstream) -> Self {
        let pool = upstream.pool();
        let now = Instant::now();
        Self {
            name: upstream.name().to_owned(),
            ready: pool.ready().len(),
            servers: pool
                .all()
                .iter()
                .map(|server| ServerState {
                    address: server.address().to_string(),
                    weight: server.weight(),
                    health: server.health().as_str(),
                    reason: server.reason(),
                    ejected: upstream.ejected(server, now).map(|it| it.to_string()),
                    in_flight: server.in_flight(),
                })
                .collect(),
        }
    }
}
