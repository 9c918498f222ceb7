//! Shares of the requests: `10%`, `0.5%`.

use std::fmt;

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// A share, in parts of a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share(u32);

/// All of them.
const WHOLE: u32 = 1_000_000;

impl Share {
    /// Of whatever there is.
    pub const ALL: Self = Self(WHOLE);

    /// One of two.
    pub const HALF: Self = Self(WHOLE / 2);

    /// So many in a hundred, which are not more than all.
    #[must_use]
    pub const fn percent(percent: u32) -> Self {
        Self(percent * (WHOLE / 100))
    }

    /// Whether it takes this one: each has the same chance.
    #[must_use]
    pub fn takes_one(self) -> bool {
        self.takes(fastrand::u32(..WHOLE))
    }

    const fn takes(self, draw: u32) -> bool {
        draw < self.0
    }
}

impl Share {
    /// From 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(WHOLE)
    }

    /// So many of a whole number, rounded down.
    #[must_use]
    pub fn of(self, number: usize) -> usize {
        let parts = number as u128 * u128::from(self.0) / u128::from(WHOLE);
        usize::try_from(parts).unwrap_or(number)
    }

    /// Whether it is nothing.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl std::str::FromStr for Share {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let misread = || {
            Complaint::new(code::QUANTITY, format!("`{text}` is not a share"))
                .label("expected a share such as `10%` or `0.5%`")
        };
        let Some(number) = text.trim().strip_suffix('%') else {
            let Ok(number) = text.parse::<f64>() else {
                return Err(misread());
            };
            let bare = Complaint::new(code::BARE_NUMBER, "a bare number where a share is due")
                .label("of what?");
            // Elsewhere shares are parts of 1.
            let percent = (number * 1_000_000.0).round() / 10_000.0;
            return Err(if number > 0.0 && number < 1.0 {
                bare.help(format!(
                    "write `{percent}%`, or `{text}%` if so little is meant"
                ))
            } else {
                bare.help(format!("write `{text}%`"))
            });
        };
        let number = number.trim_end();
        let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
        let are_digits = [whole, decimals]
            .iter()
            .all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        if whole.is_empty() || !are_digits || decimals.len() > 4 || number.ends_with('.') {
            return Err(misread().note("at most four decimals"));
        }
        let parts: Option<u32> = format!("{whole}{decimals:0<4}").parse().ok();
        match parts {
            Some(parts) if parts <= WHOLE => Ok(Self(parts)),
            _ => Err(
                Complaint::new(code::OUT_OF_BOUNDS, format!("`{text}` is more than all"))
                    .label("at most `100%`"),
            ),
        }
    }
}

/// The way it is written in the file.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PERCENT: u32 = WHOLE / 100;
        let (whole, parts) = (self.0 / PERCENT, self.0 % PERCENT);
        if parts == 0 {
            return write!(f, "{whole}%");
        }
        let decimals = format!("{parts:04}");
        write!(f, "{whole}.{}%", decimals.trim_end_matches('0'))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "a share such as `10%`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage() {
        for (text, parts) in [
            ("100%", 1_000_000),
            ("10 %", 100_000),
            ("0.5%", 5000),
            ("0.0001%", 1),
            ("0%", 0),
        ] {
            assert_eq!(text.parse::<Share>().unwrap().0, parts, "{text}");
        }
        for text in [
            "10", "0.1", "101%", "-1%", "%", "1.%", "0.00001%", "x%", "1e1%", "",
        ] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert!(!Share(0).takes(0) && Share::ALL.takes(WHOLE - 1));
    }
}
