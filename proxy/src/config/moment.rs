//! Moments: `2026-12-01T18:00:00Z`, or `2026-12-01` for the beginning of that day (RFC 3339; always UTC).

use std::time::SystemTime;

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment(SystemTime);

impl Moment {
    /// The standard library's.
    #[must_use]
    pub const fn get(self) -> SystemTime {
        self.0
    }
}

impl std::str::FromStr for Moment {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let is_day = text.len() == "2026-12-01".len();
        let whole = if is_day {
            format!("{text}T00:00:00Z")
        } else {
            text.to_owned()
        };
        humantime::parse_rfc3339(&whole).map(Self).map_err(|_| {
            Complaint::new(code::QUANTITY, format!("`{text}` is no moment"))
                .label("expected `2026-12-01T18:00:00Z` or `2026-12-01`")
                .note("the time is that of UTC (RFC 3339)")
        })
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "a moment such as `2026-12-01T18:00:00Z`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight() {
        let day: Moment = "2026-12-01".parse().unwrap();
        assert_eq!(day, "2026-12-01T00:00:00Z".parse().unwrap());
        for text in [
            "",
            "tomorrow",
            "2026-13-01",
            "2026-12-01T18:00:00",
            "01.12.2026",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
