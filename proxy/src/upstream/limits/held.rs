//! What a request holds while it is under way, and an attempt: dropped, it is given to whoever waits.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Gate, Open};
use crate::upstream::Upstream;
use crate::upstream::standing::Standing;

/// A request's place with an upstream, for all its attempts.
pub struct Place {
    gate: Arc<Gate>,
    is_answered: bool,
}

impl Place {
    pub(super) fn new(gate: &Arc<Gate>) -> Self {
        Self {
            gate: Arc::clone(gate),
            is_answered: false,
        }
    }

    /// Its answer has begun, which a limit that is found out goes by.
    pub fn answered(&mut self, adapts: bool) {
        if !std::mem::replace(&mut self.is_answered, true) {
            self.gate.answered.fetch_add(1, Ordering::Relaxed);
            if adapts {
                self.gate.serve();
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.requests = state.requests.saturating_sub(1);
        if self.is_answered {
            self.gate.answered.fetch_sub(1, Ordering::Relaxed);
        }
        self.gate.serve_all(state);
    }
}

/// An attempt's place with a server.
pub struct Spot {
    pub(super) gate: Arc<Gate>,
    pub(super) standing: Arc<Standing>,
}

impl Drop for Spot {
    fn drop(&mut self) {
        let taken = self.standing.taken();
        taken.requests.fetch_sub(1, Ordering::Relaxed);
        self.gate.serve();
    }
}

/// Leave for one connection to be in use, until it is closed or waits for its next request.
pub struct Pass {
    pub(super) upstream: Arc<Upstream>,
    pub(super) gate: Arc<Gate>,
    pub(super) standing: Arc<Standing>,
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pass")
    }
}

impl Pass {
    /// A new connection is about to be opened; another one may have to be closed for it.
    pub fn open(&self) -> Open {
        let state = self.gate.lock();
        let taken = self.standing.taken();
        self.gate.make_room(state.rule, 1, taken, &self.upstream);
        Open::new(&self.gate, &self.standing)
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        let taken = self.standing.taken();
        taken.busy.fetch_sub(1, Ordering::Relaxed);
        state.busy = state.busy.saturating_sub(1);
        // An edit may have left more than may be kept.
        self.gate.make_room(state.rule, 0, taken, &self.upstream);
        self.gate.serve_all(state);
    }
}
