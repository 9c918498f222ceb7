//! Passive health: who gets no requests for a while because of what became of those that it got. One file per reason; pure, on a
//! clock that is given.
//!
//! - A server that is out comes back by itself. Each further time it is out for longer (`time`, twice `time`, ... up to `max_time`),
//!   and for as long as `time` that it serves then one time is forgotten: as Envoy's outlier detection has it.
//! - What began before it came back says nothing of how it is now.
//! - So many may be out as `max_ejected` allows, one at least, and never the last one that could be picked.
//!
//! Cost, where the file asks for it: two short looks into a mutex of the server's own for each request; the others are looked at when
//! there is a suspicion, and then not again for a tenth of a second: not even by those that are no worse than usual. Memory: 500 bytes
//! for each server.

mod consecutive_failures;
mod error_rate;
mod latency;
#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
mod usual;
mod window;

use std::fmt;
use std::time::{Duration, Instant};

use self::consecutive_failures::Streak;
pub use self::error_rate::ErrorRate;
pub use self::latency::Latency;
pub use self::usual::Usual;
use super::balance::{End, Outcome};
use crate::config::{self, Share};

/// Envoy's.
pub const FAILURES: u16 = 5;
/// Fewer are chance.
pub const REQUESTS: u32 = 20;
/// Of requests that fail, and of servers that are out.
pub const SHARE: Share = Share::HALF;
/// Envoy's interval.
pub const OVER: Duration = Duration::from_secs(10);
/// What clients hardly see is no reason.
pub const AT_LEAST: Duration = Duration::from_millis(20);
/// Envoy's.
pub const TIME: Duration = Duration::from_secs(30);
/// Envoy's.
pub const MAX_TIME: Duration = Duration::from_secs(300);

/// After a look at the others that led to nothing there is no other for so long.
const PAUSE: Duration = Duration::from_millis(100);

/// What the file says of it, every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// So many in a row.
    pub consecutive_failures: u16,
    /// Such a share.
    pub error_rate: Option<ErrorRate>,
    /// So slow.
    pub latency: Option<Latency>,
    /// How long a server is out the first time.
    pub time: Duration,
    /// And at most.
    pub max_time: Duration,
    /// How many may be.
    pub max_ejected: Share,
}

impl Bounds {
    /// How many of so many servers may be out.
    pub fn room(&self, servers: usize) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "numbers of servers are far below 2^52"
        )]
        let share = (servers as f64 * self.max_ejected.fraction()) as usize;
        share.max(1).min(servers.saturating_sub(1))
    }

    fn span(&self, times: u32) -> Duration {
        self.time.saturating_mul(times).min(self.max_time)
    }
}

/// Why a server is out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// So many failures in a row.
    Failures(u32),
    /// One, soon after it came back.
    StillFails,
    /// Its share of failures, and what is usual.
    ErrorRate(f64, f64),
    /// Its average in seconds, and what is usual.
    Latency(f64, f64),
}

impl Reason {
    /// Whether it still is one.
    const fn is_asked(self, bounds: &Bounds) -> bool {
        match self {
            Self::Failures(_) | Self::StillFails => true,
            Self::ErrorRate(..) => bounds.error_rate.is_some(),
            Self::Latency(..) => bounds.latency.is_some(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failures(1) => write!(f, "it failed"),
            Self::Failures(number) => write!(f, "{number} failures in a row"),
            Self::StillFails => write!(f, "it came back and still fails"),
            Self::ErrorRate(own, usual) => write!(
                f,
                "{:.0}% of its requests failed, {:.0}% is usual",
                own * 100.0,
                usual * 100.0
            ),
            Self::Latency(own, usual) => write!(
                f,
                "it takes {:.1}ms on average, {:.1}ms is usual",
                own * 1000.0,
                usual * 1000.0
            ),
        }
    }
}

/// A server that is out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejected {
    /// Why.
    pub reason: Reason,
    /// Until when.
    pub until: Instant,
    /// For how long in all.
    pub span: Duration,
    /// The how manieth time it is, less those that are forgotten.
    pub times: u32,
}

/// As it is told to operators.
impl fmt::Display for Ejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = config::Duration::from(self.span);
        write!(f, "{}, out for {span}", self.reason)
    }
}

/// What another server that can be picked is like.
#[derive(Debug, Clone, Copy, Default)]
pub struct Other {
    /// It is of the same tier.
    pub is_peer: bool,
    /// Its latest attempts failed.
    pub is_failing: bool,
    /// The share that failed.
    pub failed: Option<f64>,
    /// How long its answers take, in seconds.
    pub takes: Option<f64>,
}

/// What decides whether a server is put out, as far as it is known and the file asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Attempts that failed, since one went well.
    pub failures_in_a_row: u32,
    /// The share that failed.
    pub failed: Option<f64>,
    /// How long an answer takes on average, in seconds.
    pub takes: Option<f64>,
}

/// What speaks against a server, if the others do better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspicion {
    failures: Option<Reason>,
    failed: Option<f64>,
    takes: Option<f64>,
}

/// What becomes of a suspicion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// It is to be out.
    Out(Reason),
    /// The others do no better.
    NoOutlier,
    /// It would be out, were not enough others already, or were there any.
    NoRoom,
}

impl Suspicion {
    /// `others` are those that can be picked; of all `servers` so many are `out` already.
    pub fn verdict(
        &self,
        others: &[Other],
        out: usize,
        servers: usize,
        bounds: &Bounds,
    ) -> Verdict {
        let room = bounds.room(servers).saturating_sub(out);
        match self.against(others, room, bounds) {
            None => Verdict::NoOutlier,
            Some(_) if others.is_empty() || room == 0 => Verdict::NoRoom,
            Some(reason) => Verdict::Out(reason),
        }
    }

    /// Why it is worse than the others, if it is.
    fn against(&self, others: &[Other], room: usize, bounds: &Bounds) -> Option<Reason> {
        let failures = self
            .failures
            .filter(|_| consecutive_failures::is_worse(others, room));
        let rate = || {
            let own = self.failed?;
            let usual = error_rate::is_worse(own, others)?;
            Some(Reason::ErrorRate(own, usual))
        };
        let latency = || {
            let own = self.takes?;
            let usual = latency::is_worse(own, others, bounds.latency.as_ref()?)?;
            Some(Reason::Latency(own, usual))
        };
        failures.or_else(rate).or_else(latency)
    }
}

/// What became of the attempts with a server, and of the server because of that. Outlives reloads.
#[derive(Debug, Default)]
pub struct Record {
    streak: Streak,
    ended: error_rate::Ended,
    took: latency::Took,
    ejection: Option<Ejection>,
    /// Until then failures in a row lead nowhere, and what is compared does not.
    pauses: [Option<Instant>; 2],
    /// It would be out, were there room.
    is_spared: bool,
}

/// The latest time that it was put out.
#[derive(Debug, Clone, Copy)]
struct Ejection {
    reason: Reason,
    since: Instant,
    times: u32,
    /// It was taken back before its time.
    ended: Option<(Instant, Back)>,
}

/// Why a server is back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// It was out for as long as it should be.
    InTime,
    /// An operator wants it to serve.
    ByOperator,
    /// More were out than may be.
    NoRoom,
    /// The file puts nobody out, or not for this.
    ByFile,
}

/// As it is told to operators.
impl fmt::Display for Back {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InTime => "its time is over",
            Self::ByOperator => "by the operator",
            Self::NoRoom => "more are out than may be",
            Self::ByFile => "by the file",
        })
    }
}

impl Ejection {
    /// By the bounds of now, which may have changed since.
    fn until(&self, bounds: &Bounds) -> Instant {
        let span = bounds.span(self.times);
        // No clock goes that far.
        let end = self.since.checked_add(span).unwrap_or(self.since);
        self.ended.map_or(end, |(ended, _)| ended.min(end))
    }
}

impl Record {
    /// Takes in what became of an attempt. What speaks against the server, if anything does.
    pub fn hear(&mut self, outcome: &Outcome, bounds: &Bounds) -> Option<Suspicion> {
        let back = self.back(bounds);
        if back.is_some_and(|back| outcome.picked < back) {
            return None;
        }
        if back.is_some_and(|back| outcome.at.saturating_duration_since(back) > bounds.time) {
            self.streak.end_probation();
        }
        self.count(outcome, bounds);
        let suspicion = self.suspicion(outcome, bounds);
        let are_over = self.pauses.iter().flatten().all(|end| *end <= outcome.at);
        if suspicion.is_none() && are_over {
            self.is_spared = false;
        }
        suspicion
    }

    fn count(&mut self, outcome: &Outcome, bounds: &Bounds) {
        let (at, end) = (outcome.at, outcome.end);
        match end {
            End::Failed | End::BrokeOff => self.streak.fail(at, bounds.max_time),
            End::Complete => self.streak.go_well(),
            End::Answered | End::Unable | End::Left => {}
        }
        if let Some(bounds) = &bounds.error_rate {
            match end {
                End::Failed => self.ended.count(true, at, bounds),
                End::Answered => self.ended.count(false, at, bounds),
                End::BrokeOff => self.ended.take_back(at, bounds),
                End::Unable | End::Complete | End::Left => {}
            }
        }
        if let (Some(bounds), Some(took)) = (&bounds.latency, outcome.took) {
            match end {
                End::Answered => self.took.sample(took, at, bounds),
                End::Left => self.took.at_least(took, at, bounds),
                End::Failed | End::BrokeOff | End::Unable | End::Complete => {}
            }
        }
    }

    fn suspicion(&self, outcome: &Outcome, bounds: &Bounds) -> Option<Suspicion> {
        let at = outcome.at;
        let [failures, compared] = self.pauses.map(|end| end.is_none_or(|end| end <= at));
        let has_failed = matches!(outcome.end, End::Failed | End::BrokeOff);
        let failures = match failures && has_failed {
            true => self.streak.suspicion(bounds.consecutive_failures),
            false => None,
        };
        let rate = bounds.error_rate.filter(|_| compared);
        let failed = rate.and_then(|bounds| {
            let share = self.ended.share(at, &bounds)?;
            error_rate::is_suspicious(share, &bounds).then_some(share)
        });
        let latency = bounds.latency.filter(|_| compared);
        let takes = latency.and_then(|bounds| {
            let average = self.took.average(at, &bounds)?;
            latency::is_suspicious(average, &bounds).then_some(average)
        });
        let suspicion = Suspicion {
            failures,
            failed,
            takes,
        };
        (failures.is_some() || failed.is_some() || takes.is_some()).then_some(suspicion)
    }

    /// What it is like, for the operator.
    pub fn figures(&self, now: Instant, bounds: &Bounds) -> Figures {
        let Other { failed, takes, .. } = self.as_other(now, bounds);
        Figures {
            failures_in_a_row: self.streak.failures(now, bounds.max_time),
            failed,
            takes,
        }
    }

    /// What it is like, for the others.
    pub fn as_other(&self, now: Instant, bounds: &Bounds) -> Other {
        let rate = bounds.error_rate.as_ref();
        let latency = bounds.latency.as_ref();
        Other {
            is_peer: true,
            is_failing: self.streak.failures(now, bounds.max_time) > 0,
            failed: rate.and_then(|bounds| self.ended.share(now, bounds)),
            takes: latency.and_then(|bounds| self.took.average(now, bounds)),
        }
    }

    /// Nothing came of a suspicion: for a moment there is none like it. Whether it is the first one of many that came to nothing
    /// for want of room.
    pub fn spare(&mut self, from: &Suspicion, for_want_of_room: bool, now: Instant) -> bool {
        let [failures, compared] = &mut self.pauses;
        if from.failures.is_some() {
            *failures = now.checked_add(PAUSE);
        }
        if from.failed.is_some() || from.takes.is_some() {
            *compared = now.checked_add(PAUSE);
        }
        for_want_of_room && !std::mem::replace(&mut self.is_spared, true)
    }

    /// Puts it out, unless it is already. What is known of it is forgotten with that.
    pub fn eject(&mut self, reason: Reason, now: Instant, bounds: &Bounds) -> bool {
        if self.ejected(now, bounds).is_some() {
            return false;
        }
        let times = self.times(now, bounds).saturating_add(1);
        let streak = match reason {
            Reason::Failures(_) | Reason::StillFails => {
                Streak::on_probation(bounds.consecutive_failures)
            }
            // What it is like is found out anew, and nothing else.
            Reason::ErrorRate(..) | Reason::Latency(..) => Streak::default(),
        };
        *self = Self {
            streak,
            ejection: Some(Ejection {
                reason,
                since: now,
                times,
                ended: None,
            }),
            ..Self::default()
        };
        true
    }

    /// Whether it is out, and why.
    pub fn ejected(&self, now: Instant, bounds: &Bounds) -> Option<Ejected> {
        let ejection = self.ejection?;
        let until = ejection.until(bounds);
        (now < until && ejection.reason.is_asked(bounds)).then(|| Ejected {
            reason: ejection.reason,
            until,
            span: bounds.span(ejection.times),
            times: ejection.times,
        })
    }

    /// Since when it is not out, or when it will be back, if it ever was.
    fn back(&self, bounds: &Bounds) -> Option<Instant> {
        let ejection = self.ejection?;
        let is_asked = ejection.reason.is_asked(bounds);
        is_asked.then(|| ejection.until(bounds))
    }

    /// It comes back before its time.
    pub fn take_back(&mut self, now: Instant, why: Back) {
        if let Some(ejection) = &mut self.ejection {
            ejection.ended.get_or_insert((now, why));
        }
    }

    /// Why it is back, if it is.
    pub fn why_back(&self, bounds: Option<&Bounds>) -> Back {
        let ejection = self.ejection.as_ref();
        let is_asked = ejection
            .zip(bounds)
            .is_some_and(|(it, by)| it.reason.is_asked(by));
        match ejection.and_then(|ejection| ejection.ended) {
            _ if !is_asked => Back::ByFile,
            Some((_, why)) => why,
            None => Back::InTime,
        }
    }

    /// How often it was out, as far as that is not forgotten.
    fn times(&self, now: Instant, bounds: &Bounds) -> u32 {
        let Some(ejection) = &self.ejection else {
            return 0;
        };
        let served = now.saturating_duration_since(ejection.until(bounds));
        let forgotten = served.as_nanos().checked_div(bounds.time.as_nanos());
        let forgotten = forgotten.map_or(0, |times| u32::try_from(times).unwrap_or(u32::MAX));
        ejection.times.saturating_sub(forgotten)
    }
}

/// Of several, the one in the middle; the lower one of two.
fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values = sorted(values);
    let place = values.len().checked_sub(1)? / 2;
    values.get(place).copied()
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}
