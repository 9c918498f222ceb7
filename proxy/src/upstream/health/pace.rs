//! What every kind of check has: when to probe and at which port, and how many answers in a row it takes to change one's
//! mind.
//!
//! Each kind writes these keys down among its own, so that its options stay one list: serde flattens nothing where unknown
//! keys are errors. [`settings!`] takes them out again.

use std::time::Duration;

use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, Spanned, code};

const INTERVAL: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(2);
/// While a server is down it is probed so many times as often: nobody waits for a server that is up.
const HASTE: u32 = 5;
/// But no more often than this by itself, so that haste is no load.
const HASTE_FLOOR: Duration = Duration::from_secs(1);
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
    /// The same while the server is down.
    pub down_interval: Duration,
    /// For the whole probe.
    pub timeout: Duration,
    /// Good answers in a row until a server that was down is used again.
    pub healthy_after: u32,
    /// Bad answers in a row until a server that was up is left out.
    pub unhealthy_after: u32,
}

/// The settings that every kind of check has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) pace: Pace,
    /// Where to ask, if not where requests go.
    pub(super) port: Option<u16>,
}

/// The settings as a file writes them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) port: Option<Spanned<u16>>,
    pub(super) interval: Spanned<config::Duration>,
    pub(super) down_interval: Spanned<config::Duration>,
    pub(super) timeout: Spanned<config::Duration>,
    pub(super) healthy_after: Spanned<u32>,
    pub(super) unhealthy_after: Spanned<u32>,
}

/// Reads the settings out of the options of a kind, and says there what `down_interval` is when it is left out.
macro_rules! settings {
    ($options:ident, $written:ident) => {{
        let down_interval = $written
            .down_interval
            .unwrap_or_else(|| $crate::upstream::health::pace::down_interval($written.interval));
        $written.down_interval = Some(down_interval);
        $options.are(&$written);
        $crate::upstream::health::pace::Written {
            port: $written.port,
            interval: $written.interval,
            down_interval,
            timeout: $written.timeout,
            healthy_after: $written.healthy_after,
            unhealthy_after: $written.unhealthy_after,
        }
        .settings()
    }};
}
pub(super) use settings;

pub(super) fn interval() -> Spanned<config::Duration> {
    config::Duration::from(INTERVAL).into()
}

/// That of a check that names none.
pub(super) fn down_interval(interval: Spanned<config::Duration>) -> Spanned<config::Duration> {
    let hasty = (interval.get() / HASTE).max(HASTE_FLOOR);
    // As it would be written.
    let hasty = hasty.min(interval.get()).as_millis();
    let hasty = Duration::from_millis(u64::try_from(hasty).unwrap_or(u64::MAX));
    Spanned::new(config::Duration::from(hasty), interval.span)
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
    /// What they mean.
    pub(super) fn settings(self) -> Result<Settings, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let mut intervals = vec![("interval", self.interval)];
        // One that follows from the other is as right as that.
        if self.down_interval.span != self.interval.span {
            intervals.push(("down_interval", self.down_interval));
        }
        for (key, interval) in intervals {
            if interval.get() < Duration::from_millis(INTERVAL_FLOOR) {
                wrong.push(
                    Diagnostic::error(code::PACE, format!("`{key}` is `{}`", interval.value))
                        .at(interval.span)
                        .label("expected at least `50ms`")
                        .note("probes that come faster are a load of their own"),
                );
            }
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
            let pace = Pace {
                interval: self.interval.get(),
                down_interval: self.down_interval.get(),
                timeout: timeout.get(),
                healthy_after: self.healthy_after.value,
                unhealthy_after: self.unhealthy_after.value,
            };
            let port = self.port.map(|port| port.value);
            Ok(Settings { pace, port })
        } else {
            Err(wrong)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_down_is_probed_five_times_as_often_but_hardly_more_than_once_a_second() {
        let down = |millis| {
            let interval = config::Duration::from_millis(millis).into();
            down_interval(interval).get().as_millis()
        };
        assert_eq!([60_000, 10_001, 5000].map(down), [12_000, 2000, 1000]);
        assert_eq!([4000, 1000, 200].map(down), [1000, 1000, 200]);
    }
}
