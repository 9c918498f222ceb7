//! From what was written to what runs: a plan is made from the file, with every mistake in it collected, and only a
//! whole plan becomes the next snapshot. A request sees one snapshot from start to end.

pub mod effective;
mod places;
mod plan;
mod route;
mod running;
mod schema;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

pub use self::effective::Effective;
pub use self::plan::{ClientTimeouts, FilterSpec, Limits, ListenerSpec, Plan, Reload, Shutdown};
pub use self::route::{Answers, End, Mirror, Route, Target};
pub use self::running::{Phase, Refusal, Running};
pub use self::schema::{schema, schema_text};
use crate::config::Secrets;
use crate::route::Table;
use crate::upstream::{Live, Upstream};

/// Everything that a request needs to know, as it stood when the request came.
pub struct Snapshot {
    /// Counts the files that were taken, from 1.
    pub generation: u64,
    /// When this one was taken.
    pub since: SystemTime,
    /// Which route takes a request.
    pub table: Arc<Table>,
    /// The routes, as the table numbers them.
    pub routes: Vec<Route>,
    /// Every upstream of the file, in its order.
    pub upstreams: Vec<Arc<Upstream>>,
    /// Bounds on a request.
    pub limits: Limits,
    /// How the process ends.
    pub shutdown: Shutdown,
    /// How edits are taken.
    pub reload: Reload,
    /// What is not shown of the file.
    pub secrets: Secrets,
    /// Somebody insisted on it: it is not taken back.
    pub is_insisted_on: bool,
}

impl Snapshot {
    /// Starts what the plan describes. An upstream that `before` already runs and that did not change goes on as it is.
    /// Must be called within a tokio runtime.
    pub fn start(plan: &Plan, generation: u64, live: &Arc<Live>, before: Option<&Self>) -> Self {
        let upstreams: Vec<Arc<Upstream>> = plan
            .upstreams
            .iter()
            .map(|spec| {
                let running = before.and_then(|before| {
                    before
                        .upstreams
                        .iter()
                        .find(|upstream| upstream.spec().same(spec))
                });
                running.map_or_else(|| Upstream::start(spec.clone(), live), Arc::clone)
            })
            .collect();
        let known: HashMap<&str, &Route> = before
            .iter()
            .flat_map(|before| &before.routes)
            .map(|route| (route.name.as_str(), route))
            .collect();
        let routes: Option<Vec<Route>> = plan
            .routes
            .iter()
            .map(|spec| {
                Route::new(
                    spec,
                    &upstreams,
                    Some(live),
                    known.get(spec.name.as_str()).copied(),
                )
            })
            .collect();
        go_on(&known, routes.iter().flatten());
        Self::of(plan, generation, upstreams, routes)
    }

    /// What the plan describes, for requests that are only asked about: nobody is asked for an address or for its health.
    pub fn still(plan: &Plan) -> Self {
        let live = Arc::new(Live::default());
        let upstreams: Vec<Arc<Upstream>> = plan
            .upstreams
            .iter()
            .map(|spec| Upstream::still(spec.clone(), &live))
            .collect();
        let routes: Option<Vec<Route>> = plan
            .routes
            .iter()
            .map(|spec| Route::new(spec, &upstreams, None, None))
            .collect();
        Self::of(plan, 0, upstreams, routes)
    }

    fn of(
        plan: &Plan,
        generation: u64,
        upstreams: Vec<Arc<Upstream>>,
        routes: Option<Vec<Route>>,
    ) -> Self {
        Self {
            generation,
            since: SystemTime::now(),
            table: Arc::clone(&plan.table),
            // All of them: a plan names no upstream that it does not have, and the table counts on their positions.
            routes: routes.unwrap_or_default(),
            upstreams,
            limits: plan.limits.clone(),
            shutdown: plan.shutdown.clone(),
            reload: plan.reload,
            secrets: plan.secrets().clone(),
            is_insisted_on: false,
        }
    }

    /// Waits until every name was looked up and every server probed once, but not for longer than `patience`.
    pub async fn settle(&self, patience: Duration) {
        const GLANCE: Duration = Duration::from_millis(5);
        let settled = async {
            while !self.upstreams.iter().all(|upstream| upstream.is_settled()) {
                tokio::time::sleep(GLANCE).await;
            }
        };
        // Whoever is not settled by then will be used as far as it is known.
        let _ = tokio::time::timeout(patience, settled).await;
    }
}

/// What the filters of the routes until now counted goes on in those that have their names.
fn go_on<'r>(before: &HashMap<&str, &Route>, routes: impl Iterator<Item = &'r Route>) {
    let before = before.values().flat_map(|route| &route.filters);
    let before: HashMap<&str, &FilterSpec> = before.map(|spec| (&*spec.identity, spec)).collect();
    let mut done = HashSet::new();
    for spec in routes.flat_map(|route| &route.filters) {
        if let Some(known) = before.get(&*spec.identity)
            && done.insert(&*spec.identity)
        {
            spec.filter.go_on_from(&*known.filter);
        }
    }
}
