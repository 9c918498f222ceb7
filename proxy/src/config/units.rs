//! Durations and sizes, always with their unit: `250ms`, `1m30s`, `64KiB`.

use std::fmt;
use std::time;

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// The units of a duration in nanoseconds, smallest first.
pub(super) const DURATIONS: &[(&str, u128)] = &[
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("h", 3600 * 1_000_000_000),
];

/// The units of a size in bytes. Those with an `i` are powers of 1024, the others of 1000.
pub(super) const SIZES: &[(&str, u128)] = &[
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// The longest duration that can be written: a year. A longer one is a slip, and timers overflow.
pub(super) const LONGEST: u64 = 365 * 24 * 3600 * 1_000_000_000;

/// A span of time: `250ms`, `2s`, `1m`, `1h`, `1m30s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(time::Duration);

impl Duration {
    /// So many milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(time::Duration::from_millis(millis))
    }

    /// The standard library's.
    #[must_use]
    pub const fn get(self) -> time::Duration {
        self.0
    }

    /// Whether it is `0s`.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }
}

impl From<time::Duration> for Duration {
    fn from(duration: time::Duration) -> Self {
        Self(duration)
    }
}

/// The way it is written in the file.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_nanos();
        if rest < 1_000_000 {
            return f.write_str("0s");
        }
        for (unit, size) in DURATIONS.iter().rev() {
            if rest >= *size {
                write!(f, "{}{unit}", rest / size)?;
                rest %= size;
            }
        }
        Ok(())
    }
}

impl std::str::FromStr for Duration {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let nanos = quantity(text, &DURATION)?;
        if nanos > u128::from(LONGEST) {
            return Err(Complaint::new(
                code::OUT_OF_BOUNDS,
                format!("`{text}` is longer than a year"),
            )
            .label("too long"));
        }
        u64::try_from(nanos)
            .map(|nanos| Self(time::Duration::from_nanos(nanos)))
            .map_err(|_| Complaint::new(code::OUT_OF_BOUNDS, format!("`{text}` is too long")))
    }
}

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, DURATION.expected)
    }
}

/// A number of bytes: `512B`, `64KiB`, `10MiB`, `1GiB`, `10MB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

impl Size {
    /// A size of so many bytes.
    #[must_use]
    pub const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// How many bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// In the largest unit that needs no fraction.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = u128::from(self.0);
        let fits = |(_, size): &&(&str, u128)| bytes != 0 && bytes % *size == 0;
        let (unit, size) = SIZES
            .iter()
            .filter(fits)
            .max_by_key(|(_, size)| *size)
            .unwrap_or(&("B", 1));
        write!(f, "{}{unit}", bytes / size)
    }
}

impl std::str::FromStr for Size {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        u64::try_from(quantity(text, &SIZE)?)
            .map(Self)
            .map_err(|_| {
                Complaint::new(
                    code::OUT_OF_BOUNDS,
                    format!("`{text}` is more than can be counted"),
                )
                .label("too large")
            })
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, SIZE.expected)
    }
}

/// What a quantity is called, its units, and whether several parts may follow one another.
struct Measure {
    noun: &'static str,
    expected: &'static str,
    units: &'static [(&'static str, u128)],
    /// The two units that a bare number most likely meant.
    likely: [&'static str; 2],
    compound: bool,
}

const DURATION: Measure = Measure {
    noun: "duration",
    expected: "a duration such as `2s`",
    units: DURATIONS,
    likely: ["s", "ms"],
    compound: true,
};

const SIZE: Measure = Measure {
    noun: "size",
    expected: "a size such as `64KiB`",
    units: SIZES,
    likely: ["KiB", "MiB"],
    compound: false,
};

fn quantity(text: &str, measure: &Measure) -> Result<u128, Complaint> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(
            Complaint::new(code::QUANTITY, format!("an empty {}", measure.noun))
                .label(format!("expected {}", measure.expected)),
        );
    }
    if trimmed.starts_with('-') {
        return Err(Complaint::new(
            code::QUANTITY,
            format!("a {} cannot be negative", measure.noun),
        )
        .label("below zero"));
    }
    let mut rest = trimmed;
    let mut total: u128 = 0;
    let mut last = u128::MAX;
    while !rest.is_empty() {
        let (amount, size, tail) = part(rest, trimmed, measure)?;
        if size >= last || (!measure.compound && last != u128::MAX) {
            return Err(misread(trimmed, measure));
        }
        total = amount
            .checked_mul(size)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| too_much(trimmed))?;
        last = size;
        rest = tail;
    }
    Ok(total)
}

/// The first number and unit of `rest`, and what follows.
fn part<'a>(
    rest: &'a str,
    whole: &str,
    measure: &Measure,
) -> Result<(u128, u128, &'a str), Complaint> {
    let (digits, after) = rest.split_at(
        rest.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len()),
    );
    if digits.is_empty() {
        return Err(misread(whole, measure));
    }
    if after.starts_with(['.', ',']) {
        return Err(fraction(whole, measure));
    }
    let after = after.trim_start();
    let (unit, tail) = after.split_at(
        after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len()),
    );
    let amount = digits.parse::<u128>().map_err(|_| too_much(whole))?;
    if unit.is_empty() {
        return Err(if tail.is_empty() && digits == whole {
            bare(digits, measure)
        } else {
            misread(whole, measure)
        });
    }
    match measure.units.iter().find(|(name, _)| *name == unit) {
        Some((_, size)) => Ok((amount, *size, tail)),
        None => Err(unknown_unit(digits, unit, measure)),
    }
}

fn bare(digits: &str, measure: &Measure) -> Complaint {
    let [first, second] = measure.likely;
    Complaint::new(
        code::BARE_NUMBER,
        format!("a bare number where a {} is due", measure.noun),
    )
    .label("of what?")
    .help(format!("write `{digits}{first}` or `{digits}{second}`"))
}

fn misread(text: &str, measure: &Measure) -> Complaint {
    Complaint::new(
        code::QUANTITY,
        format!("`{text}` is not a {}", measure.noun),
    )
    .label(format!("expected {}", measure.expected))
}

/// `1.5s` is meant as `1500ms`.
fn fraction(text: &str, measure: &Measure) -> Complaint {
    let complaint = misread(text, measure);
    match whole_of(text, measure) {
        Some(meant) => complaint.help(format!("there are no fractions: write `{meant}`")),
        None => complaint.help("there are no fractions: take a smaller unit"),
    }
}

/// The same quantity as a whole number of the largest unit that makes it one.
fn whole_of(text: &str, measure: &Measure) -> Option<String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_alphabetic())?);
    let (whole, decimals) = number.trim_end().split_once(['.', ','])?;
    let (_, size) = measure.units.iter().find(|(name, _)| *name == unit)?;
    let scale = 10_u128.checked_pow(u32::try_from(decimals.len()).ok()?)?;
    let total = format!("{whole}{decimals}")
        .parse::<u128>()
        .ok()?
        .checked_mul(*size)?;
    let fits = |(_, size): &&(&str, u128)| {
        size.checked_mul(scale)
            .is_some_and(|size| total % size == 0)
    };
    let (name, size) = measure
        .units
        .iter()
        .filter(fits)
        .max_by_key(|(_, size)| *size)?;
    Some(format!("{}{name}", total / scale / size))
}

fn too_much(text: &str) -> Complaint {
    Complaint::new(
        code::OUT_OF_BOUNDS,
        format!("`{text}` is more than can be counted"),
    )
    .label("too large")
}

fn unknown_unit(digits: &str, unit: &str, measure: &Measure) -> Complaint {
    let complaint = Complaint::new(code::UNKNOWN_UNIT, format!("unknown unit `{unit}`"))
        .label(format!("not a unit of a {}", measure.noun));
    let complaint = match meant(unit, measure) {
        Some(near) => complaint.help(format!("did you mean `{digits}{near}`?")),
        None => complaint,
    };
    complaint.note(format!("known units are {}", units(measure)))
}

/// What people write who mean one of our units.
fn meant(unit: &str, measure: &Measure) -> Option<&'static str> {
    let lower = unit.to_lowercase();
    let by_name = match lower.as_str() {
        "sec" | "secs" | "second" | "seconds" => "s",
        "min" | "mins" | "minute" | "minutes" => "m",
        "hr" | "hrs" | "hour" | "hours" => "h",
        "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "k" | "kb" | "ki" => "KiB",
        "m" | "mb" | "mi" => "MiB",
        "g" | "gb" | "gi" => "GiB",
        "byte" | "bytes" => "B",
        other => other,
    };
    measure
        .units
        .iter()
        .map(|(name, _)| *name)
        .find(|name| name.eq_ignore_ascii_case(by_name))
}

fn units(measure: &Measure) -> String {
    super::nearest::listed(measure.units.iter().map(|(name, _)| *name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> u128 {
        text.parse::<Duration>().unwrap().get().as_millis()
    }

    fn why(text: &str) -> String {
        text.parse::<Duration>().unwrap_err().to_string()
    }

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, millis) in [
            ("0s", 0),
            ("250ms", 250),
            ("2s", 2000),
            ("1m", 60_000),
            ("1h", 3_600_000),
            ("1m30s", 90_000),
        ] {
            assert_eq!(ms(text), millis);
            assert_eq!(text.parse::<Duration>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn sizes_are_read_and_written_alike() {
        for (text, bytes) in [
            ("512B", 512),
            ("64KiB", 65536),
            ("10MiB", 10 << 20),
            ("1GiB", 1 << 30),
            ("10MB", 10_000_000),
            ("0B", 0),
        ] {
            let size = text.parse::<Size>().unwrap();
            assert_eq!(size.bytes(), bytes);
            assert_eq!(size.to_string(), text);
        }
    }

    #[test]
    fn a_bare_number_says_so() {
        assert!(why("2").contains("a bare number where a duration is due"));
        assert!(why("2").contains("`2s` or `2ms`"));
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "s",
            "-1s",
            "1.5s",
            "1s1m",
            "1s 2",
            "2 years",
            "99999999999h",
            "1e3s",
            "٣s",
            "1s1s",
        ] {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
        for text in ["64", "1KiB1B", "99999999999999999999GiB", "-1B", "1TiBs"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_near_unit_is_offered() {
        assert!(why("2sec").contains("did you mean `2s`?"));
        assert!(
            "64kb"
                .parse::<Size>()
                .unwrap_err()
                .to_string()
                .contains("did you mean `64kB`?")
                || "64kb"
                    .parse::<Size>()
                    .unwrap_err()
                    .to_string()
                    .contains("`64KiB`")
        );
    }
}
