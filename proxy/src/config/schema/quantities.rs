//! Durations, sizes, shares and rates within bounds, as expressions, made of the units that they are read by.
//!
//! `Time<LEAST, MOST>` and `Bytes<LEAST, MOST>` are for `#[schemars(with = "...")]`: no value has them. An expression never
//! refuses what is read; it takes what only the sum of several parts puts above the bound, and what nobody means (a year).

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::numbers::{at_least, between};
use crate::config::rate::{MOST as RATE_MAX, SPANS};
use crate::config::units::{DURATIONS, LONGEST, SIZES};
use crate::config::{Duration, HedgeAfter, Rate, Share, Size};

/// The longest duration, in milliseconds.
const YEAR: u64 = LONGEST / 1_000_000;

/// From so many milliseconds to so many.
#[derive(Debug)]
pub(crate) struct Time<const LEAST: u64, const MOST: u64>;

/// More than nothing.
pub(crate) type SomeTime = Time<1, YEAR>;

/// At least so many milliseconds.
pub(crate) type AtLeast<const LEAST: u64> = Time<LEAST, YEAR>;

/// From so many bytes to so many.
#[derive(Debug)]
pub(crate) struct Bytes<const LEAST: u64, const MOST: u64>;

/// More than nothing.
#[derive(Debug)]
pub(crate) struct SomeShare;

/// The units, smallest first, in the smallest one; what is smaller than that is not written.
fn durations() -> impl DoubleEndedIterator<Item = (&'static str, u128)> {
    let units = DURATIONS.iter();
    units.map(|(name, nanos)| (*name, nanos / 1_000_000))
}

/// Each unit at most once, the largest first.
fn time(least: u128, most: u128) -> String {
    let number = |size: u128| match most == YEAR.into() {
        // Nobody who reads the expression wants to know what a year is in each unit.
        true => "[0-9]+".to_owned(),
        false => between(0, most / size),
    };
    let parts = durations().rev();
    let parts: String = parts
        .map(|(name, size)| format!(r"({}\s*{name})?", number(size)))
        .collect();
    format!(r"^\s*(?=[0-9]){}{parts}\s*$", enough(least))
}

/// There is one part that is enough by itself; of the units that are smaller than the bound there is only one.
fn enough(least: u128) -> String {
    if least == 0 {
        return String::new();
    }
    let mut by_number: BTreeMap<u128, Vec<&str>> = BTreeMap::new();
    for (name, size) in durations() {
        let number = least.div_ceil(size).max(1);
        by_number.entry(number).or_default().push(name);
    }
    let choices = by_number.into_iter().map(|(number, names)| {
        // `m` is no `ms`.
        format!(r"{}\s*({})(?![a-z])", at_least(number), names.join("|"))
    });
    format!("(?=.*({}))", choices.collect::<Vec<_>>().join("|"))
}

/// One number, one unit.
fn bytes(least: u128, most: u128) -> String {
    if (least, most) == (0, u64::MAX.into()) {
        let units: Vec<&str> = SIZES.iter().map(|(name, _)| *name).collect();
        return format!(r"^\s*[0-9]+\s*({})\s*$", units.join("|"));
    }
    let units = SIZES.iter();
    let units = units.map(|(name, size)| (name, least.div_ceil(*size), most / size));
    let units = units.filter(|(_, least, most)| least <= most);
    let units = units.map(|(name, least, most)| format!(r"{}\s*{name}", between(least, most)));
    format!(r"^\s*({})\s*$", units.collect::<Vec<_>>().join("|"))
}

fn share(above: &str) -> String {
    let part = between(0, 99);
    format!(r"^\s*{above}(0*100(\.0{{1,4}})?|{part}(\.[0-9]{{1,4}})?)\s*%\s*$")
}

fn rate() -> String {
    let spans = SPANS.map(|(name, _)| name).join("|");
    format!(
        r"^\s*\+?{}\s*/\s*({spans})\s*$",
        between(1, RATE_MAX.into())
    )
}

/// A text that has a form. What editors say of another one is not the expression, but what it is about.
pub(super) fn text(about: &str, pattern: String, examples: &[&str]) -> Schema {
    json_schema!({
        "description": about,
        "type": "string",
        "pattern": pattern,
        "patternErrorMessage": format!("{about} Such as `{}`.", examples.join("`, `")),
        "examples": examples
    })
}

/// A sentence about bounds; none about those that everything has.
fn bounds(least: Option<String>, most: Option<String>) -> String {
    match (least, most) {
        (Some(least), Some(most)) => format!(" From `{least}` to `{most}`."),
        (Some(least), None) => format!(" At least `{least}`."),
        (None, Some(most)) => format!(" At most `{most}`."),
        (None, None) => String::new(),
    }
}

impl<const LEAST: u64, const MOST: u64> JsonSchema for Time<LEAST, MOST> {
    fn schema_name() -> Cow<'static, str> {
        match (LEAST, MOST) {
            (0, YEAR) => "Duration".into(),
            (least, YEAR) => format!("Duration_from_{least}").into(),
            (least, most) => format!("Duration_from_{least}_to_{most}").into(),
        }
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let written = |millis| Duration::from_millis(millis).to_string();
        let least = (LEAST > 0).then(|| written(LEAST));
        let most = (MOST < YEAR).then(|| written(MOST));
        let about =
            "A span of time with its unit: ms, s, m or h.".to_owned() + &bounds(least, most);
        text(
            &about,
            time(LEAST.into(), MOST.into()),
            &["250ms", "2s", "1m30s"],
        )
    }
}

impl<const LEAST: u64, const MOST: u64> JsonSchema for Bytes<LEAST, MOST> {
    fn schema_name() -> Cow<'static, str> {
        match (LEAST, MOST) {
            (0, u64::MAX) => "Size".into(),
            (least, most) => format!("Size_from_{least}_to_{most}").into(),
        }
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let written = |bytes| Size::from_bytes(bytes).to_string();
        let least = (LEAST > 0).then(|| written(LEAST));
        let most = (MOST < u64::MAX).then(|| written(MOST));
        let about = "A number of bytes with its unit: B, kB, MB, GB, KiB, MiB or GiB.".to_owned()
            + &bounds(least, most);
        text(
            &about,
            bytes(LEAST.into(), MOST.into()),
            &["64KiB", "10MiB"],
        )
    }
}

macro_rules! quantities {
    ($($type:ty, $name:literal: $schema:expr;)*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", $name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Schema = $schema;
                schema(generator)
            }
        }
    )*};
}

quantities! {
    Duration, "Duration": Time::<0, YEAR>::json_schema;
    Size, "Size": Bytes::<0, { u64::MAX }>::json_schema;
    HedgeAfter, "HedgeAfter": |_| {
        let about = "A span of time with its unit, or a percentile from p50 to p99.9.";
        let span = time(1, YEAR.into());
        text(about, format!(r"{span}|^\s*p[5-9][0-9](\.[0-9])?\s*$"), &["50ms", "p95"])
    };
    Rate, "Rate": |_| text("So many in a span of time: s, m or h.", rate(), &["100/s", "30/m"]);
    Share, "Share":
        |_| text("A share of the requests, with at most four decimals.", share(""), &["10%", "0.5%"]);
    SomeShare, "SomeShare": |_| {
        let about = "A share of the requests, with at most four decimals, and more than nothing.";
        text(about, share("(?=.*[1-9])"), &["10%", "0.5%"])
    };
}
