//! How many requests at a time are good for an upstream, found out from how long it takes to answer.
//!
//! As long as a server has somebody free for each request, its latency does not depend on how many there are. When it has not, requests wait
//! for one another within it: each one more adds nothing but latency. So latency with as many as now is held against latency with
//! few: `limit * TOLERANCE * few / now`, plus room to grow (the gradient of Netflix's concurrency-limits, `Gradient2`, and of Envoy's
//! adaptive concurrency filter).
//!
//! What is known of both goes wrong where the comparison does. An average over a long time rises with the latency that it is
//! to judge, and the limit with both (`Gradient2`). So latency with few is only what was measured with few: while not half of
//! the limit is used, and else for a moment every quarter of a minute, with half the limit. Envoy goes down to three requests for that; half
//! is enough, since no limit settles above twice what the servers can do at once. A least latency is a matter of chance: averages of
//! equally many requests are compared.
//!
//! Nothing changes while nobody asks for more than half, nor while no answers come.

use std::time::{Duration, Instant};

/// So much of the latency with few is no sign of too many.
const TOLERANCE: f64 = 1.5;

/// The part of the square root of the limit by which it grows while latency does not: it finds out that there is more.
const GROWTH: f64 = 0.5;

/// No average lets the limit fall below this part of itself.
const STEEPEST: f64 = 0.5;

/// How far the limit goes towards what an average says, and latency with few towards the latest.
const WEIGHT: f64 = 0.5;

/// What is below this part of what was before is no chance.
const CLEARLY_LESS: f64 = 0.75;

/// So many answers make an average: it is within an eighth of what others would say, if latency is as random as can be.
const ENOUGH: u32 = 64;

/// It is of at least so long: many answers at one moment are one piece of news.
const SHORTEST: Duration = Duration::from_millis(100);

/// Where answers are rare, after so long so many have to do.
const LONG: Duration = Duration::from_secs(1);
const ENOUGH_IN_LONG: u32 = 16;

/// How long after one measurement with few comes another; a fifth of it is chance, so that many proxies do not go down at once.
const FEW_EVERY: Duration = Duration::from_secs(15);

/// So long at most. Where that is not enough for an average, so many answers are; with fewer it is tried again later: requests that
/// wait for hours, as long polls do, must not keep the limit down.
const FEW_FOR: Duration = Duration::from_secs(10);
const FEW_ENOUGH: u32 = 8;

/// Until there are few, so many latencies are waited for: whatever is answered at all is gone by then.
const UNTIL_FEW: f64 = 4.0;

/// What the limit is at first.
const START: usize = 20;

/// What the limit stays within.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// However slow the servers are.
    pub min: usize,
    /// However fast.
    pub max: usize,
}

/// The limit of one upstream.
#[derive(Debug)]
pub(super) struct Adaptive {
    bounds: Bounds,
    limit: f64,
    /// Seconds to an answer with few requests.
    few: Option<f64>,
    /// What the limit was when that was measured.
    few_of: f64,
    /// When to measure it again, at the latest.
    few_due: Option<Instant>,
    measuring: Measuring,
    window: Window,
}

/// Whether latency with few is being measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measuring {
    No,
    /// As soon as there are so few, if that is before then.
    Soon(Instant),
    /// Until then.
    Now(Instant),
}

/// The answers of a while.
#[derive(Debug, Default)]
struct Window {
    since: Option<Instant>,
    count: u32,
    seconds: f64,
    /// The most requests at a time.
    most: usize,
}

impl Adaptive {
    /// One that has seen nothing.
    pub(super) fn new(bounds: Bounds) -> Self {
        let mut new = Self {
            bounds,
            limit: count(START),
            few: None,
            few_of: 0.0,
            few_due: None,
            measuring: Measuring::No,
            window: Window::default(),
        };
        new.stay_within(bounds);
        new
    }

    /// Goes on within others.
    pub(super) fn stay_within(&mut self, bounds: Bounds) {
        self.bounds = bounds;
        self.limit = self.limit.max(count(bounds.min)).min(count(bounds.max));
    }

    /// How many requests at a time are let through.
    pub(super) fn limit(&self, now: Instant) -> usize {
        let limit = match self.measuring {
            Measuring::Soon(end) | Measuring::Now(end) if now < end => self.limit / 2.0,
            _ => self.limit,
        };
        whole(limit).max(self.bounds.min)
    }

    /// An answer took so long, or was waited for so long; `under_way` are the requests at this moment, this one included.
    pub(super) fn answered(&mut self, took: Duration, at: Instant, under_way: usize) {
        match self.measuring {
            Measuring::Soon(end) | Measuring::Now(end) if end <= at => self.end_measuring(at),
            Measuring::Soon(_) if under_way <= self.limit(at) => {
                self.measuring = match at.checked_add(FEW_FOR) {
                    Some(end) => Measuring::Now(end),
                    None => Measuring::No,
                };
                self.window = Window::begin(at);
            }
            _ => {}
        }
        let since = *self.window.since.get_or_insert(at);
        let is_older = at.checked_sub(took).is_none_or(|begin| begin < since);
        if matches!(self.measuring, Measuring::Now(_)) && is_older {
            // It had more beside it.
            return;
        }
        self.window.note(took, under_way);
        let age = at.saturating_duration_since(since);
        if self.window.is_enough(age) {
            let window = std::mem::replace(&mut self.window, Window::begin(at));
            self.learn(&window, at);
        }
    }

    /// A request failed, or its client left, after so long. What failed quickly says nothing, and none says how long an answer takes.
    pub(super) fn failed(&mut self, took: Duration, at: Instant, under_way: usize) {
        let is_news = self.few.is_some_and(|few| took.as_secs_f64() > few);
        if is_news && !matches!(self.measuring, Measuring::Now(_)) {
            self.answered(took, at, under_way);
        }
    }

    fn learn(&mut self, window: &Window, at: Instant) {
        let average = window.average();
        match self.measuring {
            Measuring::Soon(_) => {}
            Measuring::Now(_) => self.note_few(average, at),
            Measuring::No if count(window.most) <= self.limit / 2.0 => self.note_few(average, at),
            Measuring::No => self.move_on(average, at),
        }
    }

    /// With what there is.
    fn end_measuring(&mut self, at: Instant) {
        let window = std::mem::replace(&mut self.window, Window::begin(at));
        if matches!(self.measuring, Measuring::Now(_)) && window.count >= FEW_ENOUGH {
            self.note_few(window.average(), at);
        } else {
            self.measure_later(at);
        }
    }

    fn note_few(&mut self, average: f64, at: Instant) {
        let before = self.few.unwrap_or(average);
        let weight = match average < before * CLEARLY_LESS {
            true => 1.0,
            false => WEIGHT,
        };
        self.few = Some(before + (average - before) * weight);
        self.few_of = self.limit;
        self.measure_later(at);
    }

    fn measure_later(&mut self, at: Instant) {
        self.measuring = Measuring::No;
        self.few_due = at.checked_add(FEW_EVERY.mul_f64(1.0 - fastrand::f64() / 5.0));
    }

    fn move_on(&mut self, average: f64, at: Instant) {
        let few = *self.few.get_or_insert(average);
        let gradient = (TOLERANCE * few / average.max(f64::MIN_POSITIVE)).clamp(STEEPEST, 1.0);
        let wanted = self.limit * gradient + self.limit.sqrt() * GROWTH;
        self.limit += (wanted - self.limit) * WEIGHT;
        self.stay_within(self.bounds);
        // At first nothing is known of few; and what were few are many, once the limit has fallen.
        let has_fallen = self.limit < self.few_of * CLEARLY_LESS;
        if (has_fallen || self.few_due.is_none_or(|due| due <= at))
            && let Some(end) = at.checked_add(until_few(average))
        {
            self.measuring = Measuring::Soon(end);
        }
    }
}

impl Window {
    fn begin(at: Instant) -> Self {
        Self {
            since: Some(at),
            ..Self::default()
        }
    }

    fn average(&self) -> f64 {
        self.seconds / f64::from(self.count.max(1))
    }

    fn is_enough(&self, age: Duration) -> bool {
        let enough = if age >= LONG { ENOUGH_IN_LONG } else { ENOUGH };
        self.count >= enough && age >= SHORTEST
    }

    fn note(&mut self, took: Duration, under_way: usize) {
        self.count += 1;
        self.seconds += took.as_secs_f64();
        self.most = self.most.max(under_way);
    }
}

fn until_few(average: f64) -> Duration {
    let wait = Duration::try_from_secs_f64(average * UNTIL_FEW).unwrap_or(FEW_FOR);
    wait.clamp(SHORTEST, FEW_FOR)
}

/// Above four thousand million it matters no more.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "within the bounds, which came from whole numbers"
)]
fn whole(number: f64) -> usize {
    number as usize
}

#[cfg(test)]
mod tests;
