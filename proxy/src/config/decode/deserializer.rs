//! Serde's view of a node.

use serde::de::{self, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::fault::{Fault, Kind, plainly};
use super::variant::{FullVariant, UnitVariant};
use crate::config::document::{self, NODE, Node, Value};
use crate::config::named::NAMED;
use crate::config::one_or_many::ONE_OR_MANY;
use crate::config::phrase::PHRASE;
use crate::config::spanned::{SPANNED, Span};

/// Hands a node over to serde.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'n>(&'n Node);

impl<'n> NodeDeserializer<'n> {
    pub(super) fn new(node: &'n Node) -> Self {
        Self(node)
    }

    fn wrong_type(self, expected: String) -> Fault {
        let kind = match self.0.value {
            Value::Null => Kind::NoValue { expected },
            _ => Kind::WrongType { expected },
        };
        Fault::new(kind).at(self.0)
    }

    /// The text of a scalar that is no quoted text.
    fn plain(self) -> Option<&'n str> {
        match &self.0.value {
            Value::Scalar {
                text,
                quoted: false,
                ..
            } => Some(text),
            _ => None,
        }
    }

    fn whole<N: TryFrom<i128>>(self, smallest: i128, largest: i128) -> Result<N, Fault> {
        let bounds = || format!("a whole number from {smallest} to {largest}");
        let Some(number) = self.plain().and_then(|text| text.parse::<i128>().ok()) else {
            return Err(self.wrong_type(match (smallest, largest) {
                (0, ..=0xFFFF_FFFF) => bounds(),
                (0, _) => "a whole number, zero or more".to_owned(),
                _ => "a whole number".to_owned(),
            }));
        };
        let fits = Some(number).filter(|number| (smallest..=largest).contains(number));
        fits.and_then(|number| N::try_from(number).ok())
            .ok_or_else(|| Fault::new(Kind::OutOfRange { expected: bounds() }).at(self.0))
    }

    fn items(self, items: &'n [Node]) -> Items<'n> {
        Items {
            items: items.iter(),
        }
    }

    fn entries(self, entries: &'n [(Node, Node)]) -> Entries<'n> {
        Entries {
            entries: entries.iter(),
            value: None,
        }
    }
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let number: $type = self.whole(i128::from(<$type>::MIN), i128::from(<$type>::MAX))?;
            visitor.$visit(number).map_err(|fault: Fault| fault.at(self.0))
        }
    )*};
}

impl<'de> Deserializer<'de> for NodeDeserializer<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Null | Value::Broken => Err(self.wrong_type(plainly(&visitor))),
            Value::List(items) => visitor.visit_seq(self.items(items)),
            Value::Map(entries) => visitor.visit_map(self.entries(entries)),
            Value::Scalar { text, quoted, .. } => visit_scalar(text, *quoted, visitor),
            Value::Misnamed(text) => visitor.visit_bytes(text.as_bytes()),
        }
        .map_err(|fault| fault.at(self.0))
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match self.plain() {
            Some("true" | "True" | "TRUE") => true,
            Some("false" | "False" | "FALSE") => false,
            _ => return Err(self.wrong_type("`true` or `false`".to_owned())),
        };
        visitor
            .visit_bool(value)
            .map_err(|fault: Fault| fault.at(self.0))
    }

    whole_numbers! {
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16, deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64, deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64, deserialize_i128 visit_i128 i128
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let number = self
            .plain()
            .filter(|text| document::is_number(text))
            .and_then(|text| text.parse().ok());
        let number = number.ok_or_else(|| self.wrong_type("a number".to_owned()))?;
        visitor
            .visit_f64(number)
            .map_err(|fault: Fault| fault.at(self.0))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_f64(visitor)
    }

    /// Any scalar is a text, the way it was written: `on`, `1.10` and `8080` need no quotes.
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.0.text() {
            // Whoever has names knows that this is none, and that nothing more is to be said of it.
            Some(text) if matches!(self.0.value, Value::Misnamed(_)) => {
                visitor.visit_bytes(text.as_bytes())
            }
            Some(text) => visitor
                .visit_str(text)
                .map_err(|fault: Fault| fault.at(self.0)),
            None => Err(self.wrong_type(plainly(&visitor))),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    /// A key without a value is a mistake, not an absent key: nobody writes a key to say nothing.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (name, &self.0.value) {
            (SPANNED, _) => visitor.visit_seq(Parts {
                node: self.0,
                next: 0,
            }),
            (PHRASE, Value::Scalar { literal, .. }) if !literal.is_empty() => {
                visitor.visit_seq(Phrase {
                    text: Some(self.0),
                    literal: literal.iter(),
                })
            }
            (NAMED, Value::Map(entries)) => visitor.visit_map(Names(self.entries(entries))),
            (NAMED, Value::Null) => visitor.visit_map(Names(self.entries(&[]))),
            (NAMED, _) => Err(self.wrong_type(plainly(&visitor))),
            (ONE_OR_MANY, Value::List(items)) => visitor.visit_seq(self.items(items)),
            (NODE, _) => {
                document::pass(self.0);
                visitor.visit_unit()
            }
            _ => visitor.visit_newtype_struct(self),
        }
        .map_err(|fault| fault.at(self.0))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::List(items) => visitor
                .visit_seq(self.items(items))
                .map_err(|fault| fault.at(self.0)),
            _ => Err(self.wrong_type(plainly(&visitor))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Map(entries) => visitor
                .visit_map(self.entries(entries))
                .map_err(|fault| fault.at(self.0)),
            _ => Err(self.wrong_type(plainly(&visitor))),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Map(entries) => visitor
                .visit_map(self.entries(entries))
                .map_err(|fault| fault.at(self.0)),
            Value::Null => Err(self.wrong_type(keys(known))),
            _ => Err(Fault::new(Kind::NotKeys { known }).at(self.0)),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.0.value {
            Value::Scalar { .. } => visitor.visit_enum(UnitVariant(self.0)),
            Value::Map(entries) => match entries.as_slice() {
                [(key, value)] => visitor.visit_enum(FullVariant { key, value }),
                _ => Err(self.wrong_type(one_of(known))),
            },
            _ => Err(self.wrong_type(one_of(known))),
        }
        .map_err(|fault| fault.at(self.0))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! { u128 bytes byte_buf unit unit_struct tuple_struct }
}

fn keys(known: &[&str]) -> String {
    known.first().map_or_else(
        || "keys with values".to_owned(),
        |first| format!("keys such as `{first}: ...`"),
    )
}

fn one_of(known: &[&str]) -> String {
    format!(
        "one of {}",
        super::super::nearest::listed(known.iter().copied())
    )
}

fn visit_scalar<'de, V: Visitor<'de>>(
    text: &str,
    quoted: bool,
    visitor: V,
) -> Result<V::Value, Fault> {
    match text {
        "true" if !quoted => visitor.visit_bool(true),
        "false" if !quoted => visitor.visit_bool(false),
        _ if !quoted && text.parse::<u64>().is_ok() => {
            visitor.visit_u64(text.parse().unwrap_or_default())
        }
        _ if !quoted && text.parse::<i64>().is_ok() => {
            visitor.visit_i64(text.parse().unwrap_or_default())
        }
        _ if !quoted && document::is_number(text) => {
            visitor.visit_f64(text.parse().unwrap_or_default())
        }
        _ => visitor.visit_str(text),
    }
}

/// The items of a list, without the broken ones.
struct Items<'n> {
    items: std::slice::Iter<'n, Node>,
}

impl<'de> de::SeqAccess<'de> for Items<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        match self.items.find(|item| !item.is_broken()) {
            Some(item) => seed.deserialize(NodeDeserializer(item)).map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a map, without the broken ones.
struct Entries<'n> {
    entries: std::slice::Iter<'n, (Node, Node)>,
    value: Option<&'n Node>,
}

impl<'de> de::MapAccess<'de> for Entries<'de> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.entries.find(|(_, value)| !value.is_broken()) else {
            return Ok(None);
        };
        self.value = Some(value);
        seed.deserialize(NodeDeserializer(key)).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let value = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its key"))?;
        seed.deserialize(NodeDeserializer(value))
    }
}

/// The entries of a [`crate::config::Named`]: also the broken ones, as a name without a value.
struct Names<'n>(Entries<'n>);

impl<'de> de::MapAccess<'de> for Names<'de> {
    type Error = Fault;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let Some((key, value)) = self.0.entries.find(|(key, _)| !key.is_broken()) else {
            return Ok(None);
        };
        self.0.value = Some(value);
        seed.deserialize(NodeDeserializer(key)).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        match self.0.value {
            Some(value) if value.is_broken() => seed.deserialize(().into_deserializer()),
            _ => self.0.next_value_seed(seed),
        }
    }
}

/// What a [`crate::config::Spanned`] is made of: start, end, value.
struct Parts<'n> {
    node: &'n Node,
    next: u8,
}

impl<'de> de::SeqAccess<'de> for Parts<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Span { start, end } = self.node.span;
        self.next += 1;
        match self.next {
            1 => seed.deserialize(start.into_deserializer()).map(Some),
            2 => seed.deserialize(end.into_deserializer()).map(Some),
            3 => seed.deserialize(NodeDeserializer(self.node)).map(Some),
            _ => Ok(None),
        }
    }
}

/// What a [`crate::config::Phrase`] is made of: its text, and where a `${` in it begins no name.
struct Phrase<'n> {
    text: Option<&'n Node>,
    literal: std::slice::Iter<'n, usize>,
}

impl<'de> de::SeqAccess<'de> for Phrase<'de> {
    type Error = Fault;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        if let Some(text) = self.text.take() {
            return seed.deserialize(NodeDeserializer(text)).map(Some);
        }
        let at = self.literal.next();
        at.map(|at| seed.deserialize(at.into_deserializer()))
            .transpose()
    }
}
