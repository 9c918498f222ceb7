//! `consecutive_failures: 5`: so many in a row.
//!
//! An attempt went well when its answer came to its end: a server that breaks off in the middle of each answer fails in a row. So it
//! did if its client left after it had gone on for a while. One that has just returned from being out for that is on probation: until so
//! many went well in a row, or it was back for `time`, one failure puts it out again.
//!
//! After `max_time` a failure is forgotten: where clients mostly leave first, single failures of days are no row.
//!
//! Where every other server fails, too, nobody is put out for that: nobody does better. Another tier may, a backup that nobody asks yet
//! above all; that helps only if all of this one can be out, for as long as one is left it gets the requests.

use std::time::{Duration, Instant};

use super::{Other, Reason};

/// How the latest attempts with a server ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streak {
    failures: u32,
    latest: Option<Instant>,
    /// So many have to go well, one after the other, until its probation is over.
    to_prove: u32,
}

impl Streak {
    /// Of one that was put out: nothing is known of what comes after.
    pub(super) const fn on_probation(bound: u16) -> Self {
        Self {
            failures: 0,
            latest: None,
            to_prove: bound as u32,
        }
    }

    pub(super) fn fail(&mut self, now: Instant, remembered: Duration) {
        self.failures = self.failures(now, remembered).saturating_add(1);
        self.latest = Some(now);
    }

    pub(super) const fn go_well(&mut self) {
        self.failures = 0;
        self.to_prove = self.to_prove.saturating_sub(1);
    }

    /// It has served for long enough.
    pub(super) const fn end_probation(&mut self) {
        self.to_prove = 0;
    }

    /// So many in a row, of those that are not forgotten.
    pub(super) fn failures(self, now: Instant, remembered: Duration) -> u32 {
        let is_old = |latest| now.saturating_duration_since(latest) > remembered;
        match self.latest.is_some_and(is_old) {
            true => 0,
            false => self.failures,
        }
    }

    /// Whether it is enough, if nobody else does so.
    pub(super) fn suspicion(self, bound: u16) -> Option<Reason> {
        let is_enough = match self.to_prove {
            0 => self.failures >= u32::from(bound),
            _ => self.failures > 0,
        };
        is_enough.then_some(match self.to_prove {
            0 => Reason::Failures(self.failures),
            _ => Reason::StillFails,
        })
    }
}

/// Whether somebody does better to whom the requests would go; so many more may be out.
pub(super) fn is_worse(others: &[Other], room: usize) -> bool {
    let tier = others.iter().filter(|other| other.is_peer).count() + 1;
    let mut better = others.iter().filter(|other| !other.is_failing);
    better.any(|other| other.is_peer || tier <= room)
}
