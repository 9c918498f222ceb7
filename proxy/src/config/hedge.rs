//! `hedge:` when a request is sent to a second server without waiting for the first.
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "10.0.0.7:5252", "10.0.0.8:5252" ]
//!     hedge: { after: p95 }
//! ```

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};

use super::complaint::Complaint;
use super::{Duration, Spanned, code, scalar};

/// A second copy of a request that is not answered yet; whichever server answers first is heard, the other one is hung up on. Only
/// of idempotent requests without a body, and within the `budget` of `retry`.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hedge {
    /// When: a span of time (`50ms`), or what so many of the upstream's latest answers took at most (`p95`).
    pub after: Spanned<HedgeAfter>,
}

/// When a request is sent a second time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HedgeAfter {
    /// So long after it was sent.
    Time(Duration),
    /// So long as so many of a thousand answers took at most.
    PerMille(u16),
}

/// Below half of the answers, most requests would be sent twice.
const LEAST: u16 = 500;
const MOST: u16 = 999;

const PERCENTILES: &str = "expected `p50` to `p99.9`, with at most one decimal";

impl HedgeAfter {
    fn percentile(text: &str) -> Result<Self, Complaint> {
        let misread = || {
            let what = format!("`{text}` is no percentile that can be waited for");
            Complaint::new(code::QUANTITY, what).label(PERCENTILES)
        };
        let number = text.get(1..).unwrap_or_default();
        let (whole, decimal) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !(digits(whole, 2) && digits(decimal, 1)) {
            return Err(misread());
        }
        match format!("{whole}{decimal}").parse() {
            Ok(number @ LEAST..=MOST) => Ok(Self::PerMille(number)),
            _ => Err(misread()),
        }
    }
}

impl FromStr for HedgeAfter {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let text = text.trim();
        if text.starts_with('p') {
            return Self::percentile(text);
        }
        let span: Duration = text.parse()?;
        if span.is_zero() {
            return Err(Complaint::new(
                code::OUT_OF_BOUNDS,
                "every request would be sent twice at once",
            )
            .label("expected more than nothing"));
        }
        Ok(Self::Time(span))
    }
}

/// The way it is written in the file.
impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(span) => span.fmt(f),
            Self::PerMille(number) if number % 10 == 0 => write!(f, "p{}", number / 10),
            Self::PerMille(number) => write!(f, "p{}.{}", number / 10, number % 10),
        }
    }
}

impl<'de> Deserialize<'de> for HedgeAfter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(
            deserializer,
            "a duration such as `50ms`, or a percentile such as `p95`",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_at_least_the_median_and_comes_back_as_it_was() {
        for text in ["p50", "p95", "p99.9", "p90.5", "50ms", "1s"] {
            let after: HedgeAfter = text.parse().unwrap();
            assert_eq!(after.to_string(), text);
        }
        for text in [
            "p49.9", "p100", "p", "p9", "p99.99", "p-5", "p95%", "95", "0s", "p9.", "",
        ] {
            assert!(text.parse::<HedgeAfter>().is_err(), "{text}");
        }
    }
}
