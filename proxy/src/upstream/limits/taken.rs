//! What an upstream with limits has at one of its servers: requests, connections that are in use, and connections at all. Counted by
//! the upstream's name and the server's address, over reloads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::Gate;
use crate::upstream::kept::{Kept, Wire};
use crate::upstream::standing::Standing;

/// What is held at one server. Requests and busy connections rise only with the gate's lock held, so that nobody goes over a limit.
#[derive(Debug, Default)]
pub struct Taken {
    pub(super) requests: AtomicUsize,
    pub(super) busy: AtomicUsize,
    open: AtomicUsize,
    /// The upstream's own connections to it that wait for their next request: what others opened is not counted here.
    kept: OnceLock<Kept>,
}

impl Taken {
    /// Requests under way to it.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Connections to it that are in use, or about to be.
    pub(super) fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }

    /// Connections that are open to it.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Those that wait for their next request.
    pub fn kept(&self) -> &Kept {
        self.kept.get_or_init(Kept::default)
    }

    /// The same, if there ever were any.
    pub fn kept_so_far(&self) -> Option<&Kept> {
        self.kept.get()
    }

    /// Closes one that waits, if there is one.
    pub(super) fn close_one(&self) -> bool {
        let oldest: Option<Box<Wire>> = self.kept.get().and_then(Kept::oldest);
        oldest.is_some()
    }
}

/// A connection that is open, or about to be, until this is dropped with it.
pub struct Open {
    gate: Arc<Gate>,
    standing: Arc<Standing>,
}

impl std::fmt::Debug for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Open")
    }
}

impl Open {
    pub(super) fn new(gate: &Arc<Gate>, standing: &Arc<Standing>) -> Self {
        standing.taken().open.fetch_add(1, Ordering::Relaxed);
        gate.open.fetch_add(1, Ordering::Relaxed);
        Self {
            gate: Arc::clone(gate),
            standing: Arc::clone(standing),
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.standing.taken().open.fetch_sub(1, Ordering::Relaxed);
        self.gate.open.fetch_sub(1, Ordering::Relaxed);
    }
}
