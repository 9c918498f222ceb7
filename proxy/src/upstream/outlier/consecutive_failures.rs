//! `consecutive_failures: 5`: so many in a row.
//!
//! An attempt went well when its answer came to its end: a server that breaks off in the middle of each answer fails in a row. One
//! that has just returned is on probation: until so many went well in a row, one failure puts it out again.
//!
//! Where every other server fails, too, nobody is put out for that: nobody does better.

use super::{Other, Reason};

/// How the latest attempts with a server ended.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Streak {
    failures: u32,
    /// So many have to go well, one after the other, until its probation is over.
    to_prove: u32,
}

impl Streak {
    /// Of one that was put out: nothing is known of what comes after.
    pub(super) const fn on_probation(bound: u16) -> Self {
        Self {
            failures: 0,
            to_prove: bound as u32,
        }
    }

    pub(super) const fn fail(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    pub(super) const fn go_well(&mut self) {
        self.failures = 0;
        self.to_prove = self.to_prove.saturating_sub(1);
    }

    pub(super) const fn failures(self) -> u32 {
        self.failures
    }

    pub(super) const fn is_failing(self) -> bool {
        self.failures > 0
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

/// Whether somebody does better.
pub(super) fn is_worse(others: &[Other]) -> bool {
    others.iter().any(|other| !other.is_failing)
}
