//! When to probe, and how many answers in a row it takes to change one's mind.

use std::time::Duration;

use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, Spanned, code};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const HEALTHY_AFTER: u32 = 2;
const UNHEALTHY_AFTER: u32 = 3;

/// The shortest interval, in milliseconds: below it probes are a load of their own.
const INTERVAL_FLOOR: u64 = 50;

/// What the schema says of an interval.
pub(super) type Interval = AtLeast<INTERVAL_FLOOR>;

/// The settings that every kind of check has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// From one probe to the next, give or take a tenth.
    pub interval: Duration,
    /// For the whole probe.
    pub timeout: Duration,
    /// Good answers in a row until a server that was down is used again.
    pub healthy_after: u32,
    /// Bad answers in a row until a server that was up is left out.
    pub unhealthy_after: u32,
}

/// The settings as a file writes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) interval: Spanned<config::Duration>,
    pub(super) timeout: Spanned<config::Duration>,
    pub(super) healthy_after: Spanned<u32>,
    pub(super) unhealthy_after: Spanned<u32>,
}

pub(super) fn interval() -> Spanned<config::Duration> {
    config::Duration::from(INTERVAL).into()
}

pub(super) fn timeout() -> Spanned<config::Duration> {
    config::Duration::from(TIMEOUT).into()
}

pub(super) fn healthy_after() -> Spanned<u32> {
    HEALTHY_AFTER.into()
}

pub(super) fn unhealthy_after() -> Spanned<u32> {
    UNHEALTHY_AFTER.into()
}

impl Written {
    /// Fills in the defaults.
    pub(super) fn pace(self) -> Result<Pace, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let interval = self.interval;
        if interval.get() < Duration::from_millis(INTERVAL_FLOOR) {
            wrong.push(
                Diagnostic::error(code::PACE, format!("`interval` is `{}`", interval.value))
                    .at(interval.span)
                    .label("expected at least `50ms`")
                    .note("probes that come faster are a load of their own"),
            );
        }
        let timeout = self.timeout;
        if timeout.is_zero() {
            wrong.push(
                Diagnostic::error(code::PACE, "`timeout` is zero: every probe would fail")
                    .at(timeout.span)
                    .label("expected more than nothing"),
            );
        }
        let thresholds = [
            ("healthy_after", self.healthy_after),
            ("unhealthy_after", self.unhealthy_after),
        ];
        for (key, threshold) in thresholds {
            if threshold.value == 0 {
                wrong.push(
                    Diagnostic::error(code::PACE, format!("`{key}` is zero"))
                        .at(threshold.span)
                        .label("it takes at least one probe"),
                );
            }
        }
        if wrong.is_empty() {
            Ok(Pace {
                interval: interval.get(),
                timeout: timeout.get(),
                healthy_after: self.healthy_after.value,
                unhealthy_after: self.unhealthy_after.value,
            })
        } else {
            Err(wrong)
        }
    }
}
