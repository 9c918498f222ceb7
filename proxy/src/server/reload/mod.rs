//! From an edit to the next snapshot: read, check, prove, plan, bind, start, settle, swap. Whatever fails before the swap
//! leaves everything as it was. What came into effect is a generation, and can be gone back to.
//!
//! | file | holds |
//! |---|---|
//! | `candidate` | a file that may come into effect |
//! | `edits` | what an operator asks for: check, apply, roll back |
//! | `probation` | a new generation is watched, and taken back if it fails |
//! | `start` | the first generation of the process |

mod candidate;
mod edits;
mod probation;
mod start;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex as Turn;
use tracing::{error, info, warn};

pub(super) use self::candidate::Candidate;
use self::candidate::Origin;
pub(super) use self::probation::watch;
pub(super) use self::start::{First, first};
use super::listener::Listeners;
use crate::admin::Will;
use crate::config::{Inputs, Report};
use crate::filter::Catalogue;
use crate::generation::{Generation, History};
use crate::snapshot::{Phase, Plan, Refusal, Running, Snapshot};
use crate::upstream::Live;

/// How long new names and new servers have to answer for the first time before they are used.
pub(super) const SETTLE: Duration = Duration::from_secs(1);

/// Takes files, one after the other.
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
    pub(super) turn: Turn<()>,
    pub(super) history: Mutex<History>,
    /// What runs.
    pub(super) current: Mutex<Arc<Candidate>>,
}

/// What becomes of a file that is what runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Same {
    TakenAgain,
    LeftAlone,
}

/// Why an edit did not come into effect.
#[derive(Debug, Clone)]
pub(super) struct Refused(pub(super) String);

/// A file that is wrong, and what was read of it: any of that may be mended.
pub(super) struct Unreadable {
    inputs: Option<Inputs>,
    report: String,
}

impl From<Report> for Unreadable {
    fn from(report: Report) -> Self {
        Self {
            report: report.to_string(),
            inputs: Some(report.inputs),
        }
    }
}

impl From<Unreadable> for Refused {
    fn from(unreadable: Unreadable) -> Self {
        Self(unreadable.report)
    }
}

impl Reloader {
    /// Takes the file as it is now: somebody asks for it.
    pub(super) async fn reload(&self, cause: &str) {
        self.take_anew(cause, Same::TakenAgain).await;
    }

    /// Takes the file as it is now, unless it is what runs. Returns what was read; nothing if not even that went well.
    pub(super) async fn notice(&self, cause: &str) -> Option<Inputs> {
        self.take_anew(cause, Same::LeftAlone).await
    }

    async fn take_anew(&self, cause: &str, same: Same) -> Option<Inputs> {
        let _turn = self.turn.lock().await;
        let read = self.read(Origin::Disk).await;
        let (inputs, taken) = match read {
            Ok(candidate) => {
                let inputs = candidate.inputs();
                let taken = self.take_from_disk(candidate, cause, same);
                (Some(inputs), taken.await)
            }
            Err(Unreadable { inputs, report }) => (inputs, Err(Refused(report))),
        };
        if let Err(Refused(report)) = taken {
            error!(
                cause,
                "routing file refused, the running one stays\n{report}"
            );
            self.running.note_refusal(Some(Refusal {
                since: SystemTime::now(),
                report,
            }));
        }
        inputs
    }

    async fn take_from_disk(
        &self,
        candidate: Candidate,
        cause: &str,
        same: Same,
    ) -> Result<(), Refused> {
        self.not_taken_back(&candidate)?;
        if same == Same::LeftAlone && self.current().is_same(&candidate) {
            info!(cause, "what runs is what it says");
        } else {
            self.take(Arc::new(candidate), cause, Will::Wanted).await?;
        }
        self.running.note_refusal(None);
        Ok(())
    }

    /// A large file takes a while, and probes, signals and the operator's side go on meanwhile.
    async fn read(&self, origin: Origin) -> Result<Candidate, Unreadable> {
        let (path, filters) = (self.path.clone(), Arc::clone(&self.filters));
        let reading =
            tokio::task::spawn_blocking(move || Candidate::read(&path, &origin, &filters));
        match reading.await {
            Ok(read) => read.map_err(Unreadable::from),
            Err(error) => Err(Unreadable {
                inputs: None,
                report: error.to_string(),
            }),
        }
    }

    /// What failed does not come back because somebody asks for a reload.
    fn not_taken_back(&self, candidate: &Candidate) -> Result<(), Refused> {
        let history = self.history();
        match history.refused(&candidate.files) {
            None => Ok(()),
            Some(one) => Err(Refused(format!(
                "generation {} was this file, and was taken back: {}\nedit it, or apply it with `force`",
                one.number,
                one.refused.as_deref().unwrap_or_default()
            ))),
        }
    }

    /// Puts it into effect. Whoever calls has the turn. One that somebody insists on stays.
    async fn take(
        &self,
        candidate: Arc<Candidate>,
        trigger: &str,
        will: Will,
    ) -> Result<Generation, Refused> {
        if self.running.phase() == Phase::Draining {
            return Err(Refused("the process is ending".to_owned()));
        }
        candidate.warn();
        let plan = candidate.plan();
        let prepared = self
            .listeners
            .prepare(&plan.listeners)
            .map_err(|error| Refused(error.to_string()))?;
        let mut restart_required = prepared.restart_required();
        let before = self.running.snapshot();
        let number = self.history().next();
        let mut next = Snapshot::start(plan, number, &self.live, Some(&before));
        next.is_insisted_on = will == Will::Insisted;
        next.settle(SETTLE).await;
        self.running.swap(next);
        self.listeners.apply(prepared);
        restart_required.extend(self.admin_that_moved(plan));
        for change in &restart_required {
            warn!("applies after a restart only: {change}");
        }
        self.running.note_restart_required(restart_required);
        let changes = self.changes(&candidate).await;
        let generation = candidate.generation(number, trigger, changes);
        info!(
            generation = number,
            cause = trigger,
            changes = ?generation.changes,
            "routing file taken"
        );
        self.keep(generation.clone());
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = candidate;
        Ok(generation)
    }

    /// What it changes. Of large files that takes a while.
    async fn changes(&self, candidate: &Arc<Candidate>) -> Vec<String> {
        let (current, candidate) = (self.current(), Arc::clone(candidate));
        let changes = tokio::task::spawn_blocking(move || current.changes_to(&candidate));
        changes.await.unwrap_or_default()
    }

    fn keep(&self, generation: Generation) {
        if let Err(error) = self.history().add(generation) {
            warn!("this generation is not on disk: {error}");
        }
    }

    /// It was taken back.
    fn refuse(&self, number: u64, why: &str) {
        if let Err(error) = self.history().refuse(number, why) {
            warn!("that it was taken back is not on disk: {error}");
        }
    }

    fn history(&self) -> std::sync::MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What runs.
    fn current(&self) -> Arc<Candidate> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
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
