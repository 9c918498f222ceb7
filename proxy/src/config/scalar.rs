//! Types of ours that are written as one piece of text.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserializer, Visitor};

use super::complaint::Complaint;

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
