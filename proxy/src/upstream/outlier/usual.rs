//! What is usual, as of a moment ago: where all are slow, or all fail, each of them is a suspect, and each would look at all the others.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::{Bounds, Other, PAUSE, Suspicion, error_rate, latency, sorted};

/// Between the servers of an upstream.
#[derive(Debug, Default)]
pub struct Usual(Mutex<Option<Seen>>);

/// What the one in the middle of the others has is not below this, whoever is compared with them.
#[derive(Debug)]
struct Seen {
    at: Instant,
    failed: Option<f64>,
    takes: Option<f64>,
}

impl Usual {
    /// Whether all that speaks against a server is no more than usual. `all` looks at those that can be picked; who is not explained
    /// may still be none of the outliers.
    pub fn explains(
        &self,
        suspicion: &Suspicion,
        bounds: &Bounds,
        now: Instant,
        all: impl FnOnce() -> Vec<Other>,
    ) -> bool {
        if suspicion.failures.is_some() {
            return false;
        }
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_old = |seen: &Seen| now.saturating_duration_since(seen.at) >= PAUSE;
        let seen = match &mut *seen {
            Some(known) if !is_old(known) => known,
            known => known.insert(Seen::new(&all(), now)),
        };
        let fails_alike = |own| {
            seen.failed
                .is_some_and(|low| !error_rate::is_above(own, low))
        };
        let is_as_slow = |own| {
            let bounds = bounds.latency.as_ref();
            let low = seen.takes.zip(bounds);
            low.is_some_and(|(low, bounds)| !latency::is_above(own, low, bounds))
        };
        suspicion.failed.is_none_or(fails_alike) && suspicion.takes.is_none_or(is_as_slow)
    }
}

impl Seen {
    fn new(all: &[Other], at: Instant) -> Self {
        Self {
            at,
            failed: low(all.iter().filter_map(|other| other.failed)),
            takes: low(all.iter().filter_map(|other| other.takes)),
        }
    }
}

/// Without any one of them, what is in the middle is this or the next one.
fn low(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values = sorted(values);
    let place = values.len().checked_sub(2)? / 2;
    values.get(place).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{Factor, Share};
    use crate::upstream::outlier::{Latency, OVER};

    const BOUNDS: Bounds = Bounds {
        consecutive_failures: 5,
        error_rate: None,
        latency: Some(Latency {
            above: Factor::TRIPLE,
            at_least: Duration::from_millis(20),
            requests: 1,
            over: OVER,
        }),
        time: Duration::from_secs(30),
        max_time: Duration::from_secs(300),
        max_ejected: Share::HALF,
    };

    fn slow(takes: f64) -> Suspicion {
        Suspicion {
            failures: None,
            failed: None,
            takes: Some(takes),
        }
    }

    fn others(takes: &[f64]) -> Vec<Other> {
        let other = |takes: &f64| Other {
            takes: Some(*takes),
            ..Other::default()
        };
        takes.iter().map(other).collect()
    }

    #[test]
    fn nobody_is_explained_who_is_an_outlier() {
        fastrand::seed(12);
        for _ in 0..10_000 {
            let takes: Vec<f64> = (0..fastrand::usize(1..9))
                .map(|_| 0.010 * f64::from(fastrand::u32(1..40)))
                .collect();
            let all = others(&takes);
            let usual = Usual::default();
            for (place, own) in takes.iter().enumerate() {
                let mut rest = all.clone();
                rest.remove(place);
                let is_outlier = slow(*own).against(&rest, 0, &BOUNDS).is_some();
                let now = Instant::now();
                let is_explained = usual.explains(&slow(*own), &BOUNDS, now, || all.clone());
                assert!(!(is_outlier && is_explained), "{own} of {takes:?}");
            }
        }
    }

    #[test]
    fn all_are_looked_at_once_however_many_are_slow_alike() {
        let usual = Usual::default();
        let all = others(&[0.100; 1000]);
        let begin = Instant::now();
        let mut looks = 0;
        for server in 0..10_000 {
            let now = begin + Duration::from_micros(9 * server);
            let look = || {
                looks += 1;
                all.clone()
            };
            assert!(usual.explains(&slow(0.100), &BOUNDS, now, look));
        }
        assert_eq!(looks, 1);
        let look = || {
            looks += 1;
            all.clone()
        };
        assert!(!usual.explains(&slow(1.0), &BOUNDS, begin + PAUSE, look));
        assert_eq!(looks, 2);
    }
}
