//! So much of something usual: `125%`, `200%`.

use std::fmt;

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// A whole number of percent, from 100 to 1000.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Factor(u16);

const LEAST: u16 = 100;
const MOST: u16 = 1000;

impl Factor {
    /// Three times as much.
    pub const TRIPLE: Self = Self(300);

    /// What it makes of a number.
    #[must_use]
    pub fn of(self, usual: f64) -> f64 {
        usual * f64::from(self.0) / 100.0
    }
}

impl std::str::FromStr for Factor {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let misread = |what: String| {
            Complaint::new(code::QUANTITY, what).label("expected whole percent such as `125%`")
        };
        let Some(number) = text.trim().strip_suffix('%') else {
            let Ok(number) = text.trim().parse::<f64>() else {
                return Err(misread(format!("`{text}` is no percentage")));
            };
            // 1.25 is meant as a factor, 125 as percent.
            let percent = if number < 10.0 {
                number * 100.0
            } else {
                number
            };
            return Err(Complaint::new(
                code::BARE_NUMBER,
                "a bare number where a percentage is due",
            )
            .label("of what?")
            .help(format!("write `{percent:.0}%`")));
        };
        let number = number.trim_end();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(misread(format!("`{text}` is no whole percentage")));
        }
        match number.parse() {
            Ok(number @ LEAST..=MOST) => Ok(Self(number)),
            _ => Err(
                Complaint::new(code::OUT_OF_BOUNDS, format!("`{text}` is out of bounds"))
                    .label(format!("expected `{LEAST}%` to `{MOST}%`")),
            ),
        }
    }
}

/// The way it is written in the file.
impl fmt::Display for Factor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl<'de> Deserialize<'de> for Factor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "percent such as `125%`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_is_at_least_the_whole() {
        for text in ["100%", "125%", " 1000 %"] {
            let factor: Factor = text.parse().unwrap();
            assert_eq!(factor.to_string().parse::<Factor>().unwrap(), factor);
        }
        assert!((Factor(125).of(8.0) - 10.0).abs() < 1e-9);
        for text in [
            "99%", "1001%", "1.25", "125", "%", "-5%", "x%", "125.5%", "",
        ] {
            assert!(text.parse::<Factor>().is_err(), "{text}");
        }
    }
}
