//! `latency: { above: 300%, at_least: 20ms, requests: 20, over: 10s }`: its answers take so much longer than those of the others.
//!
//! The average is the geometric mean: one answer that takes long by design is no reason. It is compared with the one in the
//! middle of those of the other servers: where all are slow, nobody is an outlier. A client that left counts
//! unless it waited for less than half of the average; what clients take to send or to read is in no sample.

use std::time::{Duration, Instant};

use super::window::Window;
use super::{Other, middle};
use crate::config::Factor;

/// Who leaves earlier says nothing.
const LONG_ENOUGH: f64 = 0.5;

/// From where on a server is too slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// So much of what is usual.
    pub above: Factor,
    /// Below, nobody is slow.
    pub at_least: Duration,
    /// How many answers it takes to say anything.
    pub requests: u32,
    /// How far back they count.
    pub over: Duration,
}

/// What its answers of the last time took: how many, and the sum of the logarithms of the seconds.
#[derive(Debug, Default)]
pub(super) struct Took(Window<(u32, f64)>);

impl Took {
    pub(super) fn sample(&mut self, took: Duration, now: Instant, bounds: &Latency) {
        if let Some((all, sum)) = self.0.at(now, bounds.over) {
            *all += 1;
            *sum += seconds(took).ln();
        }
    }

    /// It has not answered yet: it is no faster than this.
    pub(super) fn at_least(&mut self, took: Duration, now: Instant, bounds: &Latency) {
        let (all, sum) = self.sums(now);
        let average = (sum / f64::from(all)).exp();
        if all == 0 || seconds(took) >= average * LONG_ENOUGH {
            self.sample(took, now, bounds);
        }
    }

    /// The average in seconds, if that says anything.
    pub(super) fn average(&self, now: Instant, bounds: &Latency) -> Option<f64> {
        let (all, sum) = self.sums(now);
        (all >= bounds.requests).then(|| (sum / f64::from(all)).exp())
    }

    fn sums(&self, now: Instant) -> (u32, f64) {
        let sums = self.0.sums(now);
        sums.fold((0, 0.0), |sum: (u32, f64), part| {
            (sum.0.saturating_add(part.0), sum.1 + part.1)
        })
    }
}

/// Nothing takes no time.
fn seconds(took: Duration) -> f64 {
    took.as_secs_f64().max(1e-6)
}

/// Whether it is too slow, if the others are not.
pub(super) fn is_suspicious(average: f64, bounds: &Latency) -> bool {
    average >= bounds.at_least.as_secs_f64()
}

/// Whether the others are so much faster, and what they take. Where nothing is known of them there is nothing to compare.
pub(super) fn is_worse(average: f64, others: &[Other], bounds: &Latency) -> Option<f64> {
    let usual = middle(others.iter().filter_map(|other| other.takes))?;
    is_above(average, usual, bounds).then_some(usual)
}

/// Whether it is more than what is usual.
pub(super) fn is_above(average: f64, usual: f64, bounds: &Latency) -> bool {
    average > bounds.above.of(usual)
}
