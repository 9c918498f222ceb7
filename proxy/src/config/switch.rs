//! What is on with all its defaults, off, or on with keys of its own: `true`, `false`, `{ over: 10s }`.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// Something that is off unless it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Switch<K> {
    /// `false`.
    Off,
    /// `true`, or its keys.
    On(K),
}

impl<K> Switch<K> {
    /// Its keys, if it is on.
    #[must_use]
    pub const fn keys(&self) -> Option<&K> {
        match self {
            Self::Off => None,
            Self::On(keys) => Some(keys),
        }
    }
}

impl<'de, K: Deserialize<'de> + Default> Deserialize<'de> for Switch<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SwitchVisitor(PhantomData))
    }
}

struct SwitchVisitor<K>(PhantomData<K>);

impl<'de, K: Deserialize<'de> + Default> Visitor<'de> for SwitchVisitor<K> {
    type Value = Switch<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`true` for all defaults, `false`, or keys")
    }

    fn visit_bool<E>(self, is_on: bool) -> Result<Self::Value, E> {
        Ok(match is_on {
            true => Switch::On(K::default()),
            false => Switch::Off,
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        K::deserialize(MapAccessDeserializer::new(map)).map(Switch::On)
    }
}

impl<K: Serialize> Serialize for Switch<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_bool(false),
            Self::On(keys) => keys.serialize(serializer),
        }
    }
}
