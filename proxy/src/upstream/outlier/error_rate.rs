//! `error_rate: { above: 50%, requests: 20, over: 10s }`: such a share of its requests failed, and twice as much as of the other
//! servers': where all fail alike, nobody is an outlier.

use std::time::{Duration, Instant};

use super::window::Window;
use super::{Other, middle};
use crate::config::Share;

/// An outlier fails so often as often as the others.
const CLEARLY: f64 = 2.0;

/// From where on a share is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorRate {
    /// The share of the requests that may fail.
    pub above: Share,
    /// How many it takes to say anything.
    pub requests: u32,
    /// How far back they count.
    pub over: Duration,
}

/// The attempts with a server, of the last time.
#[derive(Debug, Default)]
pub(super) struct Ended(Window<(u32, u32)>);

impl Ended {
    pub(super) fn count(&mut self, has_failed: bool, now: Instant, bounds: &ErrorRate) {
        if let Some((all, failed)) = self.0.at(now, bounds.over) {
            *all += 1;
            *failed += u32::from(has_failed);
        }
    }

    /// One that was counted did not go well after all.
    pub(super) fn take_back(&mut self, now: Instant, bounds: &ErrorRate) {
        if let Some((all, failed)) = self.0.at(now, bounds.over) {
            *failed += 1;
            *all = (*all).max(*failed);
        }
    }

    /// The share that failed, if that says anything.
    pub(super) fn share(&self, now: Instant, bounds: &ErrorRate) -> Option<f64> {
        let sums = self.0.sums(now);
        let (all, failed) = sums.fold((0, 0), |sum: (u32, u32), part| {
            (sum.0.saturating_add(part.0), sum.1.saturating_add(part.1))
        });
        (all >= bounds.requests).then(|| f64::from(failed) / f64::from(all))
    }
}

/// Whether it is too much, if the others do better.
pub(super) fn is_suspicious(share: f64, bounds: &ErrorRate) -> bool {
    share > bounds.above.fraction()
}

/// Whether the others do better, and what they have. Of those that had no requests nothing bad is known.
pub(super) fn is_worse(share: f64, others: &[Other]) -> Option<f64> {
    let usual = middle(others.iter().filter_map(|other| other.failed)).unwrap_or(0.0);
    is_above(share, usual).then_some(usual)
}

/// Whether it is more than what is usual.
pub(super) fn is_above(share: f64, usual: f64) -> bool {
    share >= CLEARLY * usual
}
