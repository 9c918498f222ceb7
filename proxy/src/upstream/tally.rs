//! What an upstream and its servers were asked and how that ended: counters for the operator's side, and the number of requests
//! under way. They go by name and address and outlive reloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use super::hedge::Latencies;
use super::ongoing::{Ongoing, Stage};
use super::retry::{Budget, EARN_ONE};
use crate::config::RetryWhen;

/// One thing that happens again and again.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Once more.
    pub fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So many at once.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// How often so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Attempts that failed, by what became of them.
#[derive(Debug, Default)]
pub struct Failures {
    /// No connection.
    pub connect_failed: Count,
    /// None in time.
    pub connect_timeout: Count,
    /// No answer in time, or no more of it.
    pub upstream_timeout: Count,
    /// The time of the whole request was over.
    pub request_timeout: Count,
    /// The server hung up.
    pub upstream_closed: Count,
    /// The answer was no HTTP.
    pub bad_answer: Count,
    /// The answer was one of 500 and above.
    pub status_5xx: Count,
}

/// Requests that are sent again, by what happened before.
#[derive(Debug, Default)]
pub struct Retries {
    /// They were not sent.
    pub not_sent: Count,
    /// The server says that it did nothing.
    pub refused: Count,
    /// It hung up.
    pub perhaps_processed: Count,
    /// It did not answer in time.
    pub timeout: Count,
    /// Its answer has a status of the list.
    pub statuses: Count,
}

impl Retries {
    /// One more; without a failure it is by its status.
    pub fn note(&self, after: Option<RetryWhen>) {
        match after {
            Some(RetryWhen::NotSent) => self.not_sent.note(),
            Some(RetryWhen::Refused) => self.refused.note(),
            Some(RetryWhen::PerhapsProcessed) => self.perhaps_processed.note(),
            Some(RetryWhen::Timeout) => self.timeout.note(),
            None => self.statuses.note(),
        }
    }
}

/// The requests for an upstream.
#[derive(Debug, Default)]
pub struct Tally {
    under_way: Ongoing,
    /// Requests that were sent again, those on the reserve included.
    retrying: AtomicUsize,
    on_reserve: AtomicUsize,
    /// What was saved, in requests of which [`EARN_ONE`] make one retry.
    saved: AtomicUsize,
    /// Requests that asked for a server.
    pub requests: Count,
    /// Attempts after the first one.
    pub retries: Count,
    /// Requests that were answered in the end, after more than one attempt, and neither with 500 or above nor with what would be
    /// sent again.
    pub retries_succeeded: Count,
    /// Times that the budget was used up.
    pub retries_denied: Count,
    /// What they came after.
    pub retries_after: Retries,
    /// Attempts that failed.
    pub failures: Failures,
    /// Requests for which no server could be picked: all are down, or none is known.
    pub all_down: Count,
    /// As `all_down`.
    pub no_servers: Count,
    /// Requests that were sent to a second server beside the first.
    pub hedges: Count,
    /// Those that the second server answered.
    pub hedges_won: Count,
    /// How long answers take, if anybody wants to know.
    pub latencies: Latencies,
    /// Times that so few servers were up that all were asked.
    pub panics: Count,
    /// Requests that were turned away at once: there was no place and no room to wait.
    pub shed: Count,
    /// Requests that waited for a place in vain.
    pub queue_timeouts: Count,
    /// Requests that waited for a place, and for how many microseconds in all.
    pub queued: Count,
    /// As `queued`.
    pub queued_micros: Count,
    /// Times that a server was put out for what became of its requests.
    pub ejections: Count,
    /// Times that one was not because too many were out already.
    pub ejections_spared: Count,
}

impl Tally {
    /// Requests that have asked for a server and are not answered to the end.
    pub fn under_way(&self) -> usize {
        self.under_way.all()
    }

    /// Requests under way that were sent again, on the budget or its reserve.
    pub fn retrying(&self) -> usize {
        self.retrying.load(Ordering::Relaxed)
    }

    /// How many more may be sent again once, whatever the share is.
    pub fn reserve(&self, budget: Budget) -> usize {
        let saved = self.saved.load(Ordering::Relaxed) / EARN_ONE;
        saved.min(budget.reserve.into())
    }

    /// A request went well at once.
    pub fn save(&self, budget: Budget) {
        if self.saved.load(Ordering::Relaxed) < usize::from(budget.reserve) * EARN_ONE {
            self.saved.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Requests under way whose answer has not begun: a tunnel that stays for hours asks for nothing.
    pub fn awaiting(&self) -> usize {
        self.under_way.awaiting()
    }

    /// How many may be under way on the budget now.
    pub fn allows(&self, budget: Budget) -> usize {
        budget.allows(self.first_attempts(self.retrying()))
    }

    fn first_attempts(&self, retrying: usize) -> usize {
        self.awaiting().saturating_sub(retrying)
    }

    /// Takes a place in the budget until the returned value is dropped, or one of the reserve for good; none if both are used up.
    pub fn retry(self: &Arc<Self>, budget: Budget) -> Option<Retrying> {
        self.within_share(budget)
            .or_else(|| self.on_reserve(budget))
            .or_else(|| {
                self.retries_denied.note();
                None
            })
    }

    /// The same for a request that nobody failed: the reserve is not for it.
    pub fn hedge(self: &Arc<Self>, budget: Budget) -> Option<Retrying> {
        self.within_share(budget).or_else(|| {
            self.retries_denied.note();
            None
        })
    }

    fn within_share(self: &Arc<Self>, budget: Budget) -> Option<Retrying> {
        let one_more = |retrying: usize| {
            let places = retrying.saturating_sub(self.on_reserve.load(Ordering::Relaxed));
            (places < budget.allows(self.first_attempts(retrying))).then_some(retrying + 1)
        };
        let order = Ordering::Relaxed;
        let taken = self.retrying.fetch_update(order, order, one_more);
        taken.ok().map(|_| Retrying {
            tally: Arc::clone(self),
            is_on_reserve: false,
        })
    }

    fn on_reserve(self: &Arc<Self>, budget: Budget) -> Option<Retrying> {
        let most = usize::from(budget.reserve) * EARN_ONE;
        let one_less = |saved: usize| saved.min(most).checked_sub(EARN_ONE);
        let order = Ordering::Relaxed;
        self.saved.fetch_update(order, order, one_less).ok()?;
        self.retrying.fetch_add(1, Ordering::Relaxed);
        self.on_reserve.fetch_add(1, Ordering::Relaxed);
        Some(Retrying {
            tally: Arc::clone(self),
            is_on_reserve: true,
        })
    }

    /// Counts a request that waits for a place, until the returned value is dropped.
    pub fn queue(self: &Arc<Self>) -> Queued {
        self.queued.note();
        Queued(Arc::clone(self), Instant::now())
    }

    /// Counts a request until the returned value is dropped.
    pub fn enter(self: &Arc<Self>) -> UnderWay {
        self.requests.note();
        self.under_way.begin();
        UnderWay {
            tally: Arc::clone(self),
            stage: Stage::default(),
        }
    }
}

/// A request under way, with all its attempts.
#[derive(Debug)]
pub struct UnderWay {
    tally: Arc<Tally>,
    stage: Stage,
}

impl UnderWay {
    /// Its answer has begun.
    pub fn answered(&mut self) {
        self.tally.under_way.answer(&mut self.stage);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.tally.under_way.end(self.stage);
    }
}

/// A request that waits for a place.
#[derive(Debug)]
pub struct Queued(Arc<Tally>, Instant);

impl Drop for Queued {
    fn drop(&mut self) {
        let micros = self.1.elapsed().as_micros();
        self.0
            .queued_micros
            .add(micros.try_into().unwrap_or(u64::MAX));
    }
}

/// A request that was sent again, in the budget of its upstream.
#[derive(Debug)]
pub struct Retrying {
    tally: Arc<Tally>,
    is_on_reserve: bool,
}

impl Drop for Retrying {
    fn drop(&mut self) {
        if self.is_on_reserve {
            self.tally.on_reserve.fetch_sub(1, Ordering::Relaxed);
        }
        self.tally.retrying.fetch_sub(1, Ordering::Relaxed);
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

    fn budget(share: &str, min: u16) -> Budget {
        let share = share.parse().unwrap();
        Budget {
            share,
            min,
            reserve: 0,
        }
    }

    #[test]
    fn the_budget_is_a_share_of_those_that_wait_for_the_first_time() {
        let tally = Arc::new(Tally::default());
        let requests: Vec<UnderWay> = (0..24).map(|_| tally.enter()).collect();
        let mut retries = Vec::new();
        while let Some(retry) = tally.retry(budget("20%", 3)) {
            retries.push(retry);
        }
        // 20 % of the other 20.
        assert_eq!((retries.len(), tally.retrying()), (4, 4));
        assert_eq!(tally.retries_denied.get(), 1);
        retries.pop();
        assert!(tally.retry(budget("20%", 3)).is_some(), "it was released");
        drop((retries, requests));
        assert_eq!(tally.retrying(), 0);
        assert!(tally.retry(budget("20%", 0)).is_none());
        assert!(tally.retry(budget("0%", 1)).is_some());
    }

    /// A server dies with all the requests that it has.
    #[test]
    fn what_breaks_at_once_is_sent_again_on_what_was_saved_before() {
        let tally = Arc::new(Tally::default());
        let _requests: Vec<UnderWay> = (0..50).map(|_| tally.enter()).collect();
        let budget = Budget {
            reserve: 20,
            ..budget("20%", 3)
        };
        (0..150).for_each(|_| tally.save(budget));
        assert_eq!(tally.reserve(budget), 15);
        let retries: Vec<Retrying> = std::iter::from_fn(|| tally.retry(budget)).collect();
        // 20 % of the first attempts that are left, and 15.
        assert_eq!((retries.len(), tally.retrying()), (8 + 15, 8 + 15));
        assert_eq!(tally.reserve(budget), 0);
        drop(retries);
        // What lasts has the share, and what goes well beside it.
        let lasts: Vec<Retrying> = std::iter::from_fn(|| tally.retry(budget)).collect();
        assert_eq!(lasts.len(), 8);
        drop(lasts);
        (0..100_000).for_each(|_| tally.save(budget));
        assert_eq!(tally.reserve(budget), 20);
        let hedges: Vec<Retrying> = std::iter::from_fn(|| tally.hedge(budget)).collect();
        assert_eq!((hedges.len(), tally.reserve(budget)), (8, 20));
        let less = Budget {
            reserve: 2,
            ..budget
        };
        assert_eq!(std::iter::from_fn(|| tally.retry(less)).count(), 2);
    }

    #[test]
    fn whoever_has_an_answer_adds_nothing_to_the_budget() {
        let tally = Arc::new(Tally::default());
        let mut tunnels: Vec<UnderWay> = (0..1000).map(|_| tally.enter()).collect();
        assert_eq!(tally.allows(budget("20%", 3)), 200);
        tunnels.iter_mut().for_each(UnderWay::answered);
        tunnels.iter_mut().for_each(UnderWay::answered);
        assert_eq!((tally.under_way(), tally.awaiting()), (1000, 0));
        assert_eq!(tally.allows(budget("20%", 3)), 3);
        drop(tunnels);
        let _one = tally.enter();
        assert_eq!((tally.under_way(), tally.awaiting()), (1, 1));
    }

    #[test]
    fn the_budget_holds_however_many_ask_at_once() {
        let tally = Arc::new(Tally::default());
        let _requests: Vec<UnderWay> = (0..120).map(|_| tally.enter()).collect();
        let most = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..5000 {
                        let _retry = tally.retry(budget("20%", 3));
                        most.fetch_max(tally.retrying(), Ordering::Relaxed);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 20);
        assert_eq!(tally.retrying(), 0);
    }
}
