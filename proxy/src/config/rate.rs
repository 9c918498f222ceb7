//! Rates: `100/s`, `30/m`, `1000/h`.

use std::{fmt, time};

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// The spans that a rate may be given over, in seconds.
pub(super) const SPANS: [(&str, u64); 3] = [("s", 1), ("m", 60), ("h", 3600)];

/// More in one second is no limit.
pub(super) const MOST: u32 = 1_000_000;

/// So many in a span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In how long.
    pub span: time::Duration,
}

impl std::str::FromStr for Rate {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let misread = || {
            Complaint::new(code::QUANTITY, format!("`{text}` is not a rate"))
                .label("expected a rate such as `100/s`, `30/m` or `1000/h`")
        };
        let Some((count, span)) = text.trim().split_once('/') else {
            let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            return Err(if is_number {
                Complaint::new(code::BARE_NUMBER, "a bare number where a rate is due")
                    .label("in how long?")
                    .help(format!("write `{text}/s` or `{text}/m`"))
            } else {
                misread()
            });
        };
        let count: u32 = count.trim_end().parse().map_err(|_| misread())?;
        let span = span.trim_start();
        let known = SPANS.iter().find(|(name, _)| *name == span);
        let (_, seconds) = known.ok_or_else(|| misread().note("spans are `s`, `m` and `h`"))?;
        match count {
            0 => Err(Complaint::new(code::OUT_OF_BOUNDS, "a rate of nothing")
                .label("at least 1")
                .help("to close a route, answer with `respond` or `maintenance`")),
            count if count > MOST => Err(Complaint::new(
                code::OUT_OF_BOUNDS,
                format!("`{text}` is no limit"),
            )
            .label(format!("at most {MOST}"))),
            count => Ok(Self {
                count,
                span: time::Duration::from_secs(*seconds),
            }),
        }
    }
}

/// The way it is written in the file.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.span.as_secs();
        let known = SPANS.iter().find(|(_, known)| *known == seconds);
        let (span, _) = known.unwrap_or(&("s", 1));
        write!(f, "{}/{span}", self.count)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "a rate such as `100/s`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_its_span() {
        for (text, count, seconds) in [("100/s", 100, 1), ("30 / m", 30, 60), ("1/h", 1, 3600)] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.count, rate.span.as_secs()), (count, seconds));
        }
        for text in [
            "100",
            "0/s",
            "x/s",
            "1/d",
            "1.5/s",
            "-1/s",
            "2000000/s",
            "/s",
            "",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }
}
