//! What is known of a server within its upstream, and outlives a reload: since when it may be picked, and what an operator
//! wants of it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crossbeam_utils::atomic::AtomicCell;

use super::health::Health;

/// Whether a server gets requests, its health aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duty {
    /// It does.
    #[default]
    Serving,
    /// No new ones, but from clients that a cookie keeps with it.
    Draining,
    /// None.
    Disabled,
}

impl Duty {
    /// As it is written in the file, the log and the operator's answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// What an operator wants, in place of what the file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// Whether it gets requests.
    pub duty: Option<Duty>,
    /// Its share.
    pub weight: Option<u16>,
    /// For how long; nothing means until it is taken back.
    pub until: Option<Instant>,
}

/// What decides whether a server may be picked, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What its probes say.
    pub health: Health,
    /// What the file or an operator says.
    pub duty: Duty,
    /// Its share.
    pub weight: u16,
}

/// What is known of a server within its upstream.
#[derive(Debug, Default)]
pub struct Standing {
    ready_since: AtomicCell<Option<Instant>>,
    is_cold: AtomicCell<bool>,
    seen: AtomicCell<Option<Seen>>,
    order: Mutex<Option<Order>>,
}

impl Standing {
    /// Since when it may be picked.
    pub fn ready_since(&self) -> Option<Instant> {
        self.ready_since.load()
    }

    /// When it may be picked, it has to warm up: it was down, or came to others that serve already.
    pub fn note_cold(&self) {
        self.is_cold.store(true);
    }

    /// Since when it warms up, if it has to.
    pub fn warms_since(&self) -> Option<Instant> {
        self.ready_since().filter(|_| self.is_cold.load())
    }

    /// It may be picked from now on, or not any more. One that could be already is left as it is.
    pub fn note_ready(&self, is_ready: bool, now: Instant) {
        match (is_ready, self.ready_since.load()) {
            (true, None) => self.ready_since.store(Some(now)),
            (false, Some(_)) => self.ready_since.store(None),
            _ => {}
        }
    }

    /// How it is seen from now on. Returns how it was seen before, if that was otherwise.
    pub fn note_seen(&self, seen: Option<Seen>) -> Option<Option<Seen>> {
        let before = self.seen.swap(seen);
        (before != seen).then_some(before)
    }

    /// What an operator wants, if that still holds.
    pub fn order(&self, now: Instant) -> Option<Order> {
        let mut order = self.lock();
        *order = order.filter(|order| order.until.is_none_or(|until| now < until));
        *order
    }

    /// What an operator wants from now on.
    pub fn give(&self, order: Option<Order>) {
        *self.lock() = order;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Order>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_order_ends_by_itself() {
        let standing = Standing::default();
        let now = Instant::now();
        let order = Order {
            weight: Some(3),
            until: Some(now + Duration::from_secs(1)),
            ..Order::default()
        };
        standing.give(Some(order));
        assert_eq!(standing.order(now), Some(order));
        assert_eq!(standing.order(now + Duration::from_secs(1)), None);
        assert_eq!(standing.order(now), None, "it does not come back");
    }

    #[test]
    fn a_server_that_stays_ready_is_so_since_it_came() {
        let standing = Standing::default();
        let now = Instant::now();
        standing.note_ready(true, now);
        standing.note_ready(true, now + Duration::from_secs(1));
        assert_eq!(standing.ready_since(), Some(now));
        standing.note_ready(false, now);
        assert_eq!(standing.ready_since(), None);
    }
}
