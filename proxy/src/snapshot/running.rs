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
        for upstream in &first.upstreams {
            upstream.take_effect();
        }
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

    /// From now on every new request sees `next`. Upstreams that it does not go on with retire.
    pub fn swap(&self, next: Snapshot) {
        let next = Arc::new(next);
        if next.reload.remember == 0 {
            self.recent.clear();
        }
        let before = self.snapshot.swap(Arc::clone(&next));
        let left = before.upstreams.iter().filter(|upstream| {
            let mut kept = next.upstreams.iter();
            !kept.any(|kept| Arc::ptr_eq(kept, upstream))
        });
        let left: Vec<&Arc<Upstream>> = left.collect();
        for upstream in &left {
            upstream.step_back();
        }
        // What was wanted of a server while these settled was said to those before them.
        for upstream in &next.upstreams {
            upstream.take_effect();
        }
        for upstream in left {
            upstream.retire();
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
