//! Types of ours that are written as one piece of text.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};

use super::complaint::Complaint;
use super::spanned::Spanned;

/// Decodes a type from its text; `expected` says in a few words what it looks like.
pub(super) fn parse<'de, T, D>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    T: FromStr<Err = Complaint>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_str(TextVisitor {
        expected,
        parsed: PhantomData,
    })
}

struct TextVisitor<T> {
    expected: &'static str,
    parsed: PhantomData<T>,
}

impl<T: FromStr<Err = Complaint>> Visitor<'_> for TextVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

/// Decodes a whole number that has bounds, so that the message about another one names them.
///
/// For `#[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 10>")]`.
pub(crate) fn whole<'de, D, N, const LEAST: u64, const MOST: u64>(
    deserializer: D,
) -> Result<Option<Spanned<N>>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    let number = Spanned::<Bounded<N, LEAST, MOST>>::deserialize(deserializer)?;
    Ok(Some(Spanned::new(number.value.0, number.span)))
}

/// The same for each number of a list.
pub(crate) fn wholes<'de, D, N, const LEAST: u64, const MOST: u64>(
    deserializer: D,
) -> Result<Option<Vec<Spanned<N>>>, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    let numbers = Vec::<Spanned<Bounded<N, LEAST, MOST>>>::deserialize(deserializer)?;
    let numbers = numbers.into_iter();
    Ok(Some(
        numbers
            .map(|number| Spanned::new(number.value.0, number.span))
            .collect(),
    ))
}

struct Bounded<N, const LEAST: u64, const MOST: u64>(N);

impl<'de, N: TryFrom<u64>, const LEAST: u64, const MOST: u64> Deserialize<'de>
    for Bounded<N, LEAST, MOST>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BoundedVisitor(PhantomData))
    }
}

struct BoundedVisitor<N, const LEAST: u64, const MOST: u64>(PhantomData<N>);

impl<N: TryFrom<u64>, const LEAST: u64, const MOST: u64> Visitor<'_>
    for BoundedVisitor<N, LEAST, MOST>
{
    type Value = Bounded<N, LEAST, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {LEAST} to {MOST}")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        let within = (LEAST..=MOST)
            .contains(&number)
            .then_some(number)
            .and_then(|number| N::try_from(number).ok());
        within
            .map(Bounded)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
    }
}
