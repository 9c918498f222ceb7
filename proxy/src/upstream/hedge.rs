//! How long a request waits for its first server before a second one is asked, too.
//!
//! Source: Dean and Barroso, "The Tail at Scale", CACM 56(2), 2013: a second request after the 95th percentile costs some 5 % more
//! and cuts the slowest thousandth to a fraction. What it may cost is bounded by the budget of retries.
//!
//! Percentiles are those of the upstream's latest answers, some two thousand: counted in buckets whose bounds grow by an eighth of
//! an octave (a figure is up to 9 % too large), and halved whenever they are full. They are reckoned anew every hundred answers; to read
//! one is one load.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::balance::End;
use crate::config::HedgeAfter;

/// Buckets of an octave.
const STEPS: f64 = 8.0;
/// The last one is above an hour.
const BUCKETS: usize = 260;
/// So many answers are waited for before a percentile says anything.
const ENOUGH: u32 = 100;
/// So many at most are remembered.
const MOST: u32 = 2000;

/// What was found of an upstream's answers.
#[derive(Debug, Default)]
pub struct Latencies {
    counts: Mutex<Counts>,
    /// In microseconds; 0 as long as too little is known.
    delay: AtomicU64,
}

#[derive(Debug)]
struct Counts {
    of: [u32; BUCKETS],
    all: u32,
    since: u32,
    /// What they were reckoned for last.
    part: u16,
}

impl Default for Counts {
    fn default() -> Self {
        Self {
            of: [0; BUCKETS],
            all: 0,
            since: 0,
            part: 0,
        }
    }
}

impl Latencies {
    /// One more attempt ended; `after` is what somebody wants to know of them.
    pub fn note(&self, end: End, took: Duration, after: HedgeAfter) {
        let HedgeAfter::PerMille(part) = after else {
            return;
        };
        // Who left early does not say how long it would have taken; who left late says enough.
        let says = match end {
            End::Answered => true,
            End::Left => self.delay(after).is_some_and(|delay| took >= delay),
            _ => false,
        };
        if !says {
            return;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.add(took);
        let is_known = counts.part == part || counts.all < ENOUGH;
        if counts.since >= ENOUGH || !is_known {
            (counts.since, counts.part) = (0, part);
            self.delay.store(counts.below(part), Ordering::Relaxed);
        }
    }

    /// How long to wait now, if that is known.
    pub fn delay(&self, after: HedgeAfter) -> Option<Duration> {
        match after {
            HedgeAfter::Time(span) => Some(span.get()),
            HedgeAfter::PerMille(_) => match self.delay.load(Ordering::Relaxed) {
                0 => None,
                micros => Some(Duration::from_micros(micros)),
            },
        }
    }
}

impl Counts {
    fn add(&mut self, took: Duration) {
        if let Some(count) = self.of.get_mut(bucket(took)) {
            *count += 1;
            self.all += 1;
            self.since += 1;
        }
        if self.all >= MOST {
            for count in &mut self.of {
                // What cannot be halved is kept or not, by lot: few are the tail, and most of them stand alone.
                let odd = u32::from(*count % 2 == 1 && fastrand::bool());
                *count = *count / 2 + odd;
            }
            self.all = self.of.iter().sum();
        }
    }

    /// The bound, in microseconds, below which so many of a thousand are.
    fn below(&self, part: u16) -> u64 {
        let wanted = u64::from(self.all) * u64::from(part);
        let mut seen = 0;
        let bucket = self.of.iter().position(|count| {
            seen += u64::from(*count) * 1000;
            seen >= wanted
        });
        bound(bucket.unwrap_or(BUCKETS - 1))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the logarithm of a time is small, and not negative from 1 on"
)]
fn bucket(took: Duration) -> usize {
    let micros = (took.as_secs_f64() * 1e6).max(1.0);
    ((micros.log2() * STEPS) as usize).min(BUCKETS - 1)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "there are few buckets, and the last one is some hours"
)]
fn bound(bucket: usize) -> u64 {
    ((bucket + 1) as f64 / STEPS).exp2().ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const P95: HedgeAfter = HedgeAfter::PerMille(950);

    fn ms(delay: Option<Duration>) -> f64 {
        delay.unwrap().as_secs_f64() * 1000.0
    }

    #[test]
    fn a_percentile_is_known_after_a_hundred_answers_and_up_to_a_tenth_too_large() {
        let latencies = Latencies::default();
        for number in 1..100 {
            latencies.note(End::Answered, number * MS, P95);
        }
        assert_eq!(latencies.delay(P95), None);
        latencies.note(End::Answered, 100 * MS, P95);
        let delay = ms(latencies.delay(P95));
        assert!((95.0..95.0 * 1.1).contains(&delay), "{delay}");
    }

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let latencies = Latencies::default();
        for _ in 0..10_000 {
            latencies.note(End::Answered, 100 * MS, P95);
        }
        for _ in 0..10_000 {
            latencies.note(End::Answered, 10 * MS, P95);
        }
        let delay = ms(latencies.delay(P95));
        assert!((10.0..11.0).contains(&delay), "{delay}");
    }

    /// One in two hundred, nearly each with a bucket of its own.
    #[test]
    fn the_tail_is_not_lost_when_the_past_is_forgotten() {
        fastrand::seed(11);
        let latencies = Latencies::default();
        const P999: HedgeAfter = HedgeAfter::PerMille(999);
        let mut above = 0;
        for number in 0..100_000 {
            let took = match number % 200 {
                0 => 500 * MS + fastrand::u32(0..1000) * 10 * MS,
                _ => 10 * MS,
            };
            latencies.note(End::Answered, took, P999);
            above += u32::from(number > 5000 && ms(latencies.delay(P999)) > 400.0);
        }
        assert!(above > 90_000, "{above}");
    }

    #[test]
    fn who_leaves_early_says_nothing_and_another_percentile_is_reckoned_at_once() {
        let latencies = Latencies::default();
        for number in 1..=200 {
            latencies.note(End::Answered, number * MS, P95);
            latencies.note(End::Left, MS, P95);
        }
        let delay = ms(latencies.delay(P95));
        assert!((190.0..210.0).contains(&delay), "{delay}");
        let median = HedgeAfter::PerMille(500);
        latencies.note(End::Answered, 100 * MS, median);
        let delay = ms(latencies.delay(median));
        assert!((100.0..111.0).contains(&delay), "{delay}");
    }

    #[test]
    fn whatever_it_took_has_a_bucket() {
        for took in [Duration::ZERO, Duration::from_nanos(1), MS, Duration::MAX] {
            let bucket = bucket(took);
            assert!(bucket < BUCKETS);
            assert!(took > 3600 * 1000 * MS || took.as_micros() <= bound(bucket).into());
        }
    }

    #[test]
    fn a_span_of_time_needs_no_answers() {
        let span = HedgeAfter::Time(crate::config::Duration::from_millis(50));
        let latencies = Latencies::default();
        latencies.note(End::Answered, MS, span);
        assert_eq!(latencies.delay(span), Some(50 * MS));
    }
}
