//! What can be written as one text, or as a group of keys: a server, a request.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::complaint::Complaint;

/// The two ways to write it.
pub(super) enum TextOrKeys<T, K> {
    /// In short.
    Text(T),
    /// In full.
    Keys(K),
}

/// The keys of something that can be written in short.
pub(super) trait InFull {
    /// Both ways, as an example, for whoever wrote something else.
    const EXPECTED: &'static str;
}

impl<'de, T: FromStr<Err = Complaint>, K: InFull + Deserialize<'de>> Deserialize<'de>
    for TextOrKeys<T, K>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor(PhantomData))
    }
}

struct EitherVisitor<T, K>(PhantomData<(T, K)>);

impl<'de, T: FromStr<Err = Complaint>, K: InFull + Deserialize<'de>> Visitor<'de>
    for EitherVisitor<T, K>
{
    type Value = TextOrKeys<T, K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map(TextOrKeys::Text).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        K::deserialize(MapAccessDeserializer::new(map)).map(TextOrKeys::Keys)
    }
}
