//! When a request is sent again: what the file says of it, with every default filled in. What happened is for `flow::retry` to say.
//!
//! The pause between two attempts is "full jitter": a random time up to a bound that doubles, so that those who failed together do
//! not come back together. Source: Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015; Envoy does the same.

use std::time::Duration;

use crate::config::{RetryWhen, Share};

/// When, how often and after how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Attempts in all.
    pub attempts: u8,
    /// After which failures.
    pub when: Vec<RetryWhen>,
    /// After which answers.
    pub statuses: Vec<u16>,
    /// Whether `Idempotency-Key` makes a request idempotent.
    pub idempotency_key: bool,
    /// How long to wait before.
    pub backoff: Backoff,
    /// How many at the same time.
    pub budget: Budget,
}

/// The pause before a request is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The bound of the first one.
    pub first: Duration,
    /// The bound of all.
    pub max: Duration,
}

/// How many requests may be sent again at the same time: the larger of the first two, and what was saved for what breaks all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Of those that are under way for the first time.
    pub share: Share,
    /// However few these are.
    pub min: u16,
    /// So many more are saved at the most: one for every [`EARN_ONE`] requests that went well at once.
    pub reserve: u16,
}

/// A tenth of the requests can be sent again on the reserve, whatever lasts.
pub const EARN_ONE: usize = 10;

impl Backoff {
    /// The next pause, after so many attempts.
    pub fn pause(self, attempts: u8) -> Duration {
        self.bound(attempts).mul_f64(fastrand::f64())
    }

    fn bound(self, attempts: u8) -> Duration {
        let doubled = 1u32.checked_shl(u32::from(attempts.saturating_sub(1)));
        let bound = doubled.and_then(|times| self.first.checked_mul(times));
        bound.unwrap_or(self.max).min(self.max)
    }
}

impl Budget {
    /// How many may be sent again while `first` are under way for the first time.
    pub fn allows(self, first: usize) -> usize {
        self.share.of(first).max(usize::from(self.min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_random_up_to_a_bound_that_doubles() {
        let millis = Duration::from_millis;
        let backoff = Backoff {
            first: millis(25),
            max: millis(250),
        };
        let bounds: Vec<u128> = (1..=6).map(|it| backoff.bound(it).as_millis()).collect();
        assert_eq!(bounds, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.bound(u8::MAX), millis(250));
        let pauses: Vec<Duration> = (0..100).map(|_| backoff.pause(4)).collect();
        assert!(pauses.iter().all(|pause| *pause < millis(200)));
        assert!(pauses.iter().any(|pause| *pause > millis(100)));
        assert!(pauses.iter().any(|pause| *pause < millis(100)));
        let none = Backoff {
            first: Duration::ZERO,
            max: millis(250),
        };
        assert_eq!(none.pause(5), Duration::ZERO);
    }

    #[test]
    fn a_budget_is_a_share_and_at_least_a_few() {
        let budget = Budget {
            share: "20%".parse().unwrap(),
            min: 3,
            reserve: 0,
        };
        let allowed = [0, 15, 19, 20, 100].map(|first| budget.allows(first));
        assert_eq!(allowed, [3, 3, 3, 4, 20]);
    }
}
