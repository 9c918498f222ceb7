//! Requests that wait for a place, first come, first served. Whoever gives a place back picks the server for the first of them and hands
//! both over: nobody is woken in vain, and nobody who comes later is faster.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::{Gate, Grant};
use crate::upstream::balance::Tried;
use crate::upstream::{Endpoint, Pool, Unavailable, Upstream};

/// Where somebody stands: attempts after the first one come before those that have not been anywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket {
    is_first: bool,
    number: u64,
}

/// Somebody who waits.
pub(super) struct Waiter {
    pub(super) upstream: Arc<Upstream>,
    pub(super) key: Option<u64>,
    pub(super) tried: Tried,
    pub(super) is_first: bool,
    /// What it waits for, if not any server will do.
    pub(super) wants: Option<Wanted>,
    pub(super) turn: oneshot::Sender<Result<Grant, Unavailable>>,
}

/// A server that is full, as long as the servers are these.
pub(super) struct Wanted {
    pub(super) server: Option<Arc<Endpoint>>,
    pub(super) among: Arc<Pool>,
}

/// All who wait.
#[derive(Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Ticket, Waiter>,
    /// So many of them that any server would do for.
    plain: usize,
    next: u64,
    longest: usize,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The most that ever waited at once.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// Whether any server would do for one of them: then nobody who comes finds a place.
    pub(super) fn has_plain(&self) -> bool {
        self.plain > 0
    }

    pub(super) fn push(&mut self, waiter: Waiter) -> Ticket {
        self.next += 1;
        let ticket = Ticket {
            is_first: waiter.is_first,
            number: self.next,
        };
        self.plain += usize::from(waiter.wants.is_none());
        self.waiting.insert(ticket, waiter);
        self.longest = self.longest.max(self.waiting.len());
        ticket
    }

    /// Who comes after this one, or first of all.
    pub(super) fn after(&self, last: Option<Ticket>) -> Option<(Ticket, &Waiter)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let begin = last.map_or(Unbounded, Excluded);
        let (ticket, waiter) = self.waiting.range((begin, Unbounded)).next()?;
        Some((*ticket, waiter))
    }

    /// From now on it waits for this.
    pub(super) fn wants(&mut self, ticket: Ticket, wants: Option<Wanted>) {
        if let Some(waiter) = self.waiting.get_mut(&ticket) {
            self.plain += usize::from(wants.is_none());
            self.plain -= usize::from(waiter.wants.is_none());
            waiter.wants = wants;
        }
    }

    /// Those that wait for an upstream as it was wait for it as it is. Returns what they had, to be dropped with the lock free.
    pub(super) fn move_to(&mut self, upstream: &Arc<Upstream>) -> Vec<Arc<Upstream>> {
        let same = |other: &Arc<Upstream>| Arc::ptr_eq(other, upstream);
        let old = self.waiting.values_mut().filter(|it| !same(&it.upstream));
        old.map(|waiter| {
            if !waiter.upstream.has_policy_of(upstream) {
                waiter.key = None;
            }
            std::mem::replace(&mut waiter.upstream, Arc::clone(upstream))
        })
        .collect()
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.waiting.remove(&ticket)?;
        self.plain -= usize::from(waiter.wants.is_none());
        Some(waiter)
    }
}

/// A request's turn to come. Whoever drops it has left the queue, and what it was given meanwhile goes to the next.
pub struct Waiting {
    pub(super) gate: Arc<Gate>,
    pub(super) ticket: Ticket,
    pub(super) turn: oneshot::Receiver<Result<Grant, Unavailable>>,
    /// It has waited long enough.
    pub(super) until: Instant,
}

/// Why a request that waited gets no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There was none in time.
    Late,
    /// There is no server any more.
    Unavailable(Unavailable),
}

impl Waiting {
    /// Waits for the turn, as long as the queue allows, and until then at the longest.
    ///
    /// # Errors
    /// Why it does not come.
    pub async fn turn(&mut self, until: Option<Instant>) -> Result<Grant, Refused> {
        let until = until.map_or(self.until, |until| until.min(self.until));
        let turn = tokio::time::timeout_at(until.into(), &mut self.turn).await;
        match turn {
            Ok(Ok(Ok(grant))) => Ok(grant),
            Ok(Ok(Err(reason))) => Err(Refused::Unavailable(reason)),
            // Nobody drops the other half without having said something.
            Ok(Err(_)) => Err(Refused::Late),
            Err(_) => self.last_look(),
        }
    }

    /// Some room comes by the clock, and nobody says so.
    fn last_look(&mut self) -> Result<Grant, Refused> {
        self.gate.serve();
        match self.turn.try_recv() {
            Ok(Ok(grant)) => Ok(grant),
            Ok(Err(reason)) => Err(Refused::Unavailable(reason)),
            Err(_) => Err(Refused::Late),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate.leave(self.ticket);
    }
}
