//! When to probe, and how many answers in a row it takes to change one's mind.

use std::time::Duration;

use crate::config::{self, Diagnostic, Spanned, code};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
const HEALTHY_AFTER: u32 = 2;
const UNHEALTHY_AFTER: u32 = 3;

/// The shortest interval: below it probes are a load of their own.
const INTERVAL_FLOOR: Duration = Duration::from_millis(50);

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
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) interval: Option<Spanned<config::Duration>>,
    pub(super) timeout: Option<Spanned<config::Duration>>,
    pub(super) healthy_after: Option<Spanned<u32>>,
    pub(super) unhealthy_after: Option<Spanned<u32>>,
}

impl Written {
    /// Fills in the defaults.
    pub(super) fn pace(self) -> Result<Pace, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        if let Some(interval) = self
            .interval
            .filter(|interval| interval.get() < INTERVAL_FLOOR)
        {
            wrong.push(
                Diagnostic::error(code::PACE, format!("`interval` is `{}`", interval.value))
                    .at(interval.span)
                    .label("expected at least `50ms`")
                    .note("probes that come faster are a load of their own"),
            );
        }
        if let Some(timeout) = self.timeout.filter(|timeout| timeout.get().is_zero()) {
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
            if let Some(threshold) = threshold.filter(|after| after.value == 0) {
                wrong.push(
                    Diagnostic::error(code::PACE, format!("`{key}` is zero"))
                        .at(threshold.span)
                        .label("it takes at least one probe"),
                );
            }
        }
        if wrong.is_empty() {
            Ok(self.with_defaults())
        } else {
            Err(wrong)
        }
    }

    fn with_defaults(self) -> Pace {
        Pace {
            interval: self.interval.map_or(INTERVAL, |interval| interval.get()),
            timeout: self.timeout.map_or(TIMEOUT, |timeout| timeout.get()),
            healthy_after: self
                .healthy_after
                .map_or(HEALTHY_AFTER, |after| after.value),
            unhealthy_after: self
                .unhealthy_after
                .map_or(UNHEALTHY_AFTER, |after| after.value),
        }
    }
}
