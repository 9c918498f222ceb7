//! How long a server takes to answer: an average that rises at once and falls slowly.
//!
//! It is Finagle's "peak EWMA" (`com.twitter.finagle.loadbalancer.PeakEwma`): a sample above the average replaces it, one below
//! draws it down by `1 - exp(-t / decay)`, where `t` is the time since the sample before. Read, it is lower by
//! `exp(-t / decay)`: of a server that nobody asks any more nothing bad is known for long. While requests wait for it, it is not
//! lowered: one that hangs gives no samples. Failures are counted in the same way, beside it.
//!
//! Cost: the average and its moment are one word, exchanged without a lock; to read it is one load and one exponential.
//! The moment is kept in milliseconds and turns over after seven weeks: what is older is taken to be new.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// What is known of one server. The time is always the caller's, so that simulations can use one of their own.
#[derive(Debug)]
pub struct Latency {
    since: Instant,
    /// In nanoseconds.
    average: Peak,
    /// From 0 to 1.
    failing: Peak,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            since: Instant::now(),
            average: Peak::default(),
            failing: Peak::default(),
        }
    }
}

impl Latency {
    /// The average as it is now, in nanoseconds, if anything is known.
    pub fn average(&self, now: Instant, decay: Duration) -> Option<f32> {
        self.average.now(self.clock(now), decay)
    }

    /// The average as it was at its latest sample, in nanoseconds: while requests wait, no answer is no good news.
    pub fn last(&self) -> Option<f32> {
        self.average.noted().map(|noted| noted.value)
    }

    /// How much it fails: 1 with a failure, and from then on less with time.
    pub fn failing(&self, now: Instant, decay: Duration) -> f32 {
        self.failing.now(self.clock(now), decay).unwrap_or(0.0)
    }

    /// The average as it was at its latest sample, and how long ago that was.
    pub fn noted(&self, now: Instant) -> Option<(Duration, Duration)> {
        let noted = self.average.noted()?;
        let ago = Duration::from_millis(noted.age(self.clock(now)).into());
        Some((Duration::from_nanos(noted.value as u64), ago))
    }

    /// It answered.
    pub fn answered(&self, took: Duration, now: Instant, decay: Duration) {
        let clock = self.clock(now);
        self.average.sample(nanos(took), clock, decay);
        if self.failing.noted().is_some() {
            self.failing.sample(0.0, clock, decay);
        }
    }

    /// It failed, which says nothing of how long an answer takes: what was known of that stays, and does not go down meanwhile.
    /// If nothing was known it is this.
    pub fn failed(&self, took: Duration, unknown: impl FnOnce() -> Duration, now: Instant) {
        let clock = self.clock(now);
        let noted = self.average.noted().map(|noted| noted.value);
        let average = noted.unwrap_or_else(|| nanos(unknown()));
        self.average.set(average.max(nanos(took)), clock);
        self.failing.set(1.0, clock);
    }

    /// It has not answered yet: it is no faster than this.
    pub fn at_least(&self, took: Duration, now: Instant, decay: Duration) {
        let so_far = self.average(now, decay);
        if so_far.is_none_or(|so_far| so_far < nanos(took)) {
            self.average.sample(nanos(took), self.clock(now), decay);
        }
    }

    fn clock(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.since).as_millis() as u32
    }
}

/// A value that rises at once and falls slowly, and the moment of its latest sample, in one word; there is none while it is zero.
#[derive(Debug, Default)]
struct Peak(AtomicU64);

#[derive(Debug, Clone, Copy)]
struct Noted {
    value: f32,
    at: u32,
}

impl Peak {
    fn noted(&self) -> Option<Noted> {
        Noted::read(self.0.load(Ordering::Relaxed))
    }

    fn now(&self, clock: u32, decay: Duration) -> Option<f32> {
        let noted = self.noted()?;
        Some(noted.value * left_after(noted.age(clock), decay))
    }

    fn set(&self, value: f32, at: u32) {
        self.0.store(Noted { value, at }.word(), Ordering::Relaxed);
    }

    /// Within a millisecond only a rise is noted, so that the samples of a busy server share the time between them.
    fn sample(&self, value: f32, clock: u32, decay: Duration) {
        let exchange = |word| {
            let Some(before) = Noted::read(word) else {
                return Some(Noted { value, at: clock }.word());
            };
            let age = before.age(clock);
            let at = if age == 0 { before.at } else { clock };
            let fall = (before.value - value).max(0.0) * left_after(age, decay);
            let value = value + fall;
            Some(Noted { value, at }.word())
        };
        let order = Ordering::Relaxed;
        let _ = self.0.fetch_update(order, order, exchange);
    }
}

impl Noted {
    fn read(word: u64) -> Option<Self> {
        (word != 0).then(|| Self {
            value: f32::from_bits((word >> 32) as u32),
            at: word as u32,
        })
    }

    fn word(self) -> u64 {
        (u64::from(self.value.to_bits()) << 32) | u64::from(self.at)
    }

    /// In milliseconds; none if others noted something later meanwhile.
    fn age(self, clock: u32) -> u32 {
        let age = clock.wrapping_sub(self.at);
        if age > u32::MAX / 2 { 0 } else { age }
    }
}

/// At least one: nothing takes no time.
fn nanos(span: Duration) -> f32 {
    (span.as_nanos() as f32).max(1.0)
}

/// How much of a difference is left after so many milliseconds.
fn left_after(age: u32, decay: Duration) -> f32 {
    if age == 0 {
        return 1.0;
    }
    (-(age as f32) / (decay.as_secs_f32() * 1000.0)).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECAY: Duration = Duration::from_secs(10);
    const MS: Duration = Duration::from_millis(1);

    fn millis(latency: &Latency, now: Instant) -> f32 {
        latency.average(now, DECAY).unwrap() / 1e6
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_slowly() {
        let latency = Latency::default();
        let start = Instant::now();
        assert!(latency.average(start, DECAY).is_none());
        latency.answered(10 * MS, start, DECAY);
        latency.answered(100 * MS, start + DECAY, DECAY);
        assert!((millis(&latency, start + DECAY) - 100.0).abs() < 0.1);
        latency.answered(10 * MS, start + 2 * DECAY, DECAY);
        let expected = 10.0 + 90.0 / std::f32::consts::E;
        assert!((millis(&latency, start + 2 * DECAY) - expected).abs() < 0.1);
    }

    #[test]
    fn what_nobody_asks_seems_ever_faster() {
        let latency = Latency::default();
        let start = Instant::now();
        latency.answered(1000 * MS, start, DECAY);
        let much_later = millis(&latency, start + 7 * DECAY);
        assert!((0.8..1.0).contains(&much_later), "{much_later}");
        let (value, age) = latency.noted(start + 7 * DECAY).unwrap();
        assert_eq!((value, age), (1000 * MS, 7 * DECAY));
    }

    /// A thousand samples in each second, of which the clock tells few apart.
    #[test]
    fn many_samples_at_once_draw_it_down_as_few_do() {
        let latency = Latency::default();
        let start = Instant::now();
        latency.answered(100 * MS, start, DECAY);
        for step in 1..=100_000 {
            let at = start + step * MS / 10;
            latency.answered(10 * MS, at, DECAY);
        }
        let expected = 10.0 + 90.0 / std::f32::consts::E;
        let now = millis(&latency, start + DECAY);
        assert!((now - expected).abs() < 0.5, "{now} instead of {expected}");
    }

    #[test]
    fn to_wait_in_vain_can_only_raise_it() {
        let latency = Latency::default();
        let start = Instant::now();
        latency.answered(100 * MS, start, DECAY);
        latency.at_least(MS, start, DECAY);
        assert!((millis(&latency, start) - 100.0).abs() < 0.1);
        latency.at_least(5000 * MS, start, DECAY);
        assert!((millis(&latency, start) - 5000.0).abs() < 1.0);
    }

    #[test]
    fn a_failure_is_no_latency_and_holds_what_was_known() {
        let latency = Latency::default();
        let start = Instant::now();
        latency.answered(100 * MS, start, DECAY);
        assert_eq!(latency.failing(start, DECAY), 0.0);
        let unknown = || unreachable!("it is known");
        for count in 1..=5 {
            let at = start + count * DECAY;
            latency.failed(MS, unknown, at);
            assert!((millis(&latency, at) - 100.0).abs() < 0.1);
            assert_eq!(latency.failing(at, DECAY), 1.0);
        }
        let later = start + 6 * DECAY;
        assert!(latency.failing(later, DECAY) < 0.4);
        latency.answered(100 * MS, later, DECAY);
        assert!(latency.failing(later + DECAY, DECAY) < 0.2);
    }

    #[test]
    fn a_moment_that_is_past_already_does_no_harm() {
        let latency = Latency::default();
        let start = Instant::now() + DECAY;
        latency.answered(100 * MS, start, DECAY);
        latency.answered(10 * MS, start - 9 * MS, DECAY);
        assert!((millis(&latency, start) - 100.0).abs() < 0.1);
    }
}
