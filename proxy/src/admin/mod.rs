//! The operator's side: is it alive, is it ready, and how do its upstreams do. On an address of its own, in plain axum.
//!
//! | path | answers |
//! |---|---|
//! | `/live` | 200 while the process runs |
//! | `/ready` | 200 while it serves, 503 before and after; JSON either way |
//! | `POST /explain` | what would become of a request now, and why |
//! | `/routes` | the routes, and what became of the copies of their requests |

mod explain;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::error;

use crate::snapshot::{Phase, Route, Running};
use crate::upstream::Upstream;

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, running: Arc<Running>) {
    if let Err(error) = axum::serve(listener, routes(running)).await {
        error!("the operator's side ended: {error}");
    }
}

fn routes(running: Arc<Running>) -> Router {
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready))
        .route("/routes", get(routes_of))
        .route("/explain", post(explain::answer))
        .with_state(running)
}

/// Why something could not be done.
#[derive(Debug, Serialize, Deserialize)]
pub struct Problem {
    /// In words.
    pub error: String,
}

impl Problem {
    fn new(why: impl std::fmt::Display) -> Self {
        Self {
            error: why.to_string(),
        }
    }

    fn with(self, status: StatusCode) -> Response {
        (status, Json(self)).into_response()
    }
}

async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(running): State<Arc<Running>>) -> impl IntoResponse {
    let readiness = Readiness::of(&running);
    let status = if readiness.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(readiness))
}

async fn routes_of(State(running): State<Arc<Running>>) -> impl IntoResponse {
    let snapshot = running.snapshot();
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
                upstream: mirror.upstream().to_owned(),
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
                    in_flight: server.in_flight(),
                })
                .collect(),
        }
    }
}
