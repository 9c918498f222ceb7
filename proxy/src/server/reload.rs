//! From a changed file to the next snapshot: read, check, plan, bind, start, settle, swap. Whatever fails before the swap
//! leaves everything as it was.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tracing::{error, info, warn};

use super::listener::Listeners;
use crate::config::{Inputs, Report};
use crate::filter::Catalogue;
use crate::snapshot::{Plan, Refusal, Running, Snapshot};
use crate::upstream::Live;

/// How long new names and new servers have to answer for the first time before they are used.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// Takes the file, again and again.
pub(super) struct Reloader {
    pub(super) path: PathBuf,
    /// What a file may name.
    pub(super) filters: Arc<Catalogue>,
    pub(super) running: Arc<Running>,
    pub(super) live: Arc<Live>,
    pub(super) listeners: Arc<Listeners>,
    /// Where the operator's side listens since the start.
    pub(super) admin: Option<SocketAddr>,
    /// One at a time.
    pub(super) turn: Mutex<()>,
}

/// Reads a file and makes its plan. What was read is told also of one that is refused: any of it may be mended.
///
/// # Errors
/// Everything that is wrong with it, as it is printed.
pub(super) fn read(path: &Path, filters: &Catalogue) -> (Inputs, Result<Plan, String>) {
    let loaded = match Plan::load(path, filters) {
        Ok(loaded) => loaded,
        Err(report) => {
            let printed = report.to_string();
            return (report.inputs, Err(printed));
        }
    };
    if !loaded.warnings.is_empty() {
        warn!("{}", Report::new(loaded.source, loaded.warnings));
    }
    (loaded.inputs, Ok(loaded.made))
}

impl Reloader {
    /// Takes the file as it is now. Returns what was read; nothing if not even that went well.
    pub(super) async fn reload(&self, cause: &str) -> Option<Inputs> {
        let _turn = self.turn.lock().await;
        let (path, filters) = (self.path.clone(), Arc::clone(&self.filters));
        // A large file takes a while, and probes, signals and the operator's side go on meanwhile.
        let reading = tokio::task::spawn_blocking(move || read(&path, &filters));
        let (inputs, plan) = match reading.await {
            Ok((inputs, plan)) => (Some(inputs), plan),
            Err(error) => (None, Err(error.to_string())),
        };
        let taken = match plan {
            Ok(plan) => self.take(&plan).await,
            Err(report) => Err(report),
        };
        match taken {
            Ok(generation) => info!(generation, cause, "routing file taken"),
            Err(report) => {
                error!(
                    cause,
                    "routing file refused, the running one stays\n{report}"
                );
                self.running.note_refusal(Some(Refusal {
                    since: SystemTime::now(),
                    report,
                }));
            }
        }
        inputs
    }

    async fn take(&self, plan: &Plan) -> Result<u64, String> {
        let prepared = self
            .listeners
            .prepare(&plan.listeners)
            .map_err(|error| error.to_string())?;
        let mut restart_required = prepared.restart_required();
        let before = self.running.snapshot();
        let next = Snapshot::start(plan, before.generation + 1, &self.live, Some(&before));
        next.settle(SETTLE).await;
        let generation = next.generation;
        self.running.swap(next);
        self.listeners.apply(prepared);
        self.running.note_refusal(None);
        restart_required.extend(self.admin_that_moved(plan));
        for change in &restart_required {
            warn!("applies after a restart only: {change}");
        }
        self.running.note_restart_required(restart_required);
        Ok(generation)
    }

    /// The operator's side stays where it is: whoever watches it must not lose it to an edit.
    fn admin_that_moved(&self, plan: &Plan) -> Option<String> {
        let text = |address: Option<SocketAddr>| {
            address.map_or_else(|| "none".to_owned(), |address| address.to_string())
        };
        (plan.admin != self.admin).then(|| {
            format!(
                "admin.address: {} -> {}",
                text(self.admin),
                text(plan.admin)
            )
        })
    }
}
