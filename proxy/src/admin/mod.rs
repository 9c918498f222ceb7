//! The operator's side: is it alive, is it ready, and how do its upstreams do. On an address of its own, in plain axum.
//!
//! | path | answers |
//! |---|---|
//! | `/live` | 200 while the process runs |
//! | `/ready` | 200 while it serves, 503 before and after; JSON either way |
//! | `/config` | what runs, and how the file on disk stands to it |
//! | `/config/generations`, `/config/generations/N` | what ran, the latest last |
//! | `POST /config/check` | what the file in the body would change |
//! | `POST /config/apply` | puts the file in the body into effect (`?force=true`: also one that was taken back) |
//! | `POST /config/rollback` | goes back to the last good generation (`?to=N`: to that one) |
//! | `POST /explain` | what would become of a request now, and why |
//! | `/replay` | the requests that are remembered, and where each goes now |
//! | `/upstreams` | upstreams and servers, how each is, and what happened to them lately |
//! | `POST /upstreams/{name}/servers/{address}` | drains, disables or re-weights a server (`?state=drain&for=10m`); `DELETE` takes that back |
//! | `/routes` | the routes, and what became of the copies of their requests |

mod config;
mod edits;
mod explain;
mod orders;
mod origin;
mod query;
mod ready;
mod replay;
mod routes;
mod upstreams;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tracing::error;

pub use self::edits::{Disk, Edits, State, Verdict, Will};
use crate::snapshot::Running;

/// The largest file that is taken: as large as one on disk may be.
const BODY_MAX: usize = 16 << 20;

/// What the operator's side has to do with.
#[derive(Clone)]
struct Operator {
    running: Arc<Running>,
    edits: Arc<dyn Edits>,
}

/// Serves until the process ends.
pub async fn serve(listener: TcpListener, running: Arc<Running>, edits: Arc<dyn Edits>) {
    if let Err(error) = axum::serve(listener, router(Operator { running, edits })).await {
        error!("the operator's side ended: {error}");
    }
}

fn router(operator: Operator) -> Router {
    let for_operators = Router::new()
        .route("/config", get(config::state))
        .route("/config/generations", get(config::generations))
        .route("/config/generations/{number}", get(config::generation))
        .route("/config/check", post(config::check))
        .route("/config/apply", post(config::apply))
        .route("/config/rollback", post(config::roll_back))
        .route("/upstreams", get(upstreams::all))
        .route(
            "/upstreams/{name}/servers/{address}",
            post(orders::order).delete(orders::take_back),
        )
        .route("/routes", get(routes::answer))
        .route("/replay", get(replay::answer))
        .route("/explain", post(explain::answer))
        .method_not_allowed_fallback(not_this_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(from_fn(origin::only_operators));
    Router::new()
        .route("/live", get(live))
        .route("/ready", get(ready::answer))
        .merge(for_operators)
        .method_not_allowed_fallback(not_this_method)
        .fallback(nothing)
        .with_state(operator)
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

async fn nothing(uri: Uri) -> Response {
    Problem::new(format!("there is no `{}` here", uri.path())).with(StatusCode::NOT_FOUND)
}

/// Which ones can be is in `Allow`.
async fn not_this_method(method: Method, uri: Uri) -> Response {
    let why = format!("`{}` cannot be asked for by `{method}`", uri.path());
    Problem::new(why).with(StatusCode::METHOD_NOT_ALLOWED)
}

async fn live() -> &'static str {
    "alive\n"
}
