//! What runs: the snapshot of this moment, and how the process is doing. The server writes it, the operator's side reads it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;

use super::Snapshot;
use crate::observe::recent::Recent;
use crate::upstream::Upstream;

/// Where the process stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not yet serving.
    Starting = 0,
    /// Serving.
    Ready = 1,
    /// Told to end: serving what is in flight.
    Draining = 2,
}

/// A file that was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// When.
    pub since: SystemTime,
    /// Everything that is wrong with it, as printed.
    pub report: String,
}

/// Shared by everything in the process.
pub struct Running {
    /// The routing file.
    pub path: PathBuf,
    snapshot: ArcSwap<Snapshot>,
    phase: AtomicU8,
    recent: Recent,
    refusal: Mutex<Option<Refusal>>,
    restart_required: Mutex<Vec<String>>,
}

impl Running {
    /// Runs `first`, not yet serving.
    pub fn new(path: PathBuf, first: Snapshot) -> Self {
        first.upstreams.iter().for_each(|it| it.step_forward(None));
        first.upstreams.iter().for_each(Upstream::take_effect);
        Self {
            path,
            snapshot: ArcSwap::from_pointee(first),
            phase: AtomicU8::new(Phase::Starting as u8),
            recent: Recent::default(),
            refusal: Mutex::default(),
            restart_required: Mutex::default(),
        }
    }

    /// The snapshot of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }

    /// From now on every new request sees `next`. Upstreams that it does not go on with retire. One caller at a time.
    pub fn swap(&self, next: Snapshot) {
        let next = Arc::new(next);
        if next.reload.remember == 0 {
            self.recent.clear();
        }
        let before = self.snapshot();
        let is_kept = |one: &Arc<Upstream>, all: &Snapshot| {
            let mut all = all.upstreams.iter();
            all.any(|other| Arc::ptr_eq(one, other))
        };
        let left = || before.upstreams.iter().filter(|one| !is_kept(one, &next));
        left().for_each(|upstream| upstream.step_back());
        let came = || next.upstreams.iter().filter(|one| !is_kept(one, &before));
        for upstream in came() {
            let mut others = left();
            let earlier = others.find(|other| other.name() == upstream.name());
            upstream.step_forward(earlier.map(Arc::as_ref));
        }
        self.snapshot.store(Arc::clone(&next));
        came().for_each(Upstream::take_effect);
        for upstream in left() {
            upstream.retire();
            let mut others = next.upstreams.iter();
            if !others.any(|other| other.name() == upstream.name()) {
                upstream.leave();
            }
        }
    }

    /// The heads of the latest requests, if the file says that they are kept.
    pub fn recent(&self) -> &Recent {
        &self.recent
    }

    /// Where the process stands.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            1 => Phase::Ready,
            2 => Phase::Draining,
            _ => Phase::Starting,
        }
    }

    /// Moves on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// The file on disk, if it was refused.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusal
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes that the file on disk was refused, or that it no longer is.
    pub fn note_refusal(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }

    /// What the file asks for that only a restart can give.
    pub fn restart_required(&self) -> Vec<String> {
        self.restart_required
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Notes what only a restart can give.
    pub fn note_restart_required(&self, what: Vec<String>) {
        *self
            .restart_required
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = what;
    }
}
