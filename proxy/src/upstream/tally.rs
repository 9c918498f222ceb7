//! What an upstream and its servers were asked and how that ended: counters for the operator's side, and the number of requests
//! under way. They go by name and address and outlive reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// One thing that happens again and again.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Once more.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The requests for an upstream.
#[derive(Debug, Default)]
pub struct Tally {
    under_way: AtomicUsize,
    /// Requests that asked for a server.
    pub requests: Count,
    /// Attempts after the first one.
    pub retries: Count,
    /// Times that so few servers were up that all were asked.
    pub panics: Count,
    /// Times that a server was put out for what became of its requests.
    pub ejections: Count,
    /// Times that one was not because too many were out already.
    pub ejections_spared: Count,
}

impl Tally {
    /// Requests that have asked for a server and are not answered to the end.
    pub fn under_way(&self) -> usize {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Counts a request until the returned value is dropped.
    pub fn enter(self: &Arc<Self>) -> UnderWay {
        self.requests.note();
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }
}

/// A request under way, with all its attempts.
#[derive(Debug)]
pub struct UnderWay(Arc<Tally>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The attempts with one server of an upstream.
#[derive(Debug, Default)]
pub struct Attempts {
    /// All of them.
    pub all: Count,
    /// Those that ended by the server's fault: without an answer, or with one of 500 and above.
    pub failed: Count,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_under_way_until_it_is_dropped_and_counted_once() {
        let tally = Arc::new(Tally::default());
        let (one, other) = (tally.enter(), tally.enter());
        assert_eq!(tally.under_way(), 2);
        drop(one);
        drop(other);
        assert_eq!((tally.under_way(), tally.requests.get()), (0, 2));
    }
}
