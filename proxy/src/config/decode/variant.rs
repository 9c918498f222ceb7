//! Serde's view of a choice: a bare name, or one key with its value.

use serde::de::{self, Deserializer, Visitor};

use super::deserializer::NodeDeserializer;
use super::fault::{Fault, Kind};
use crate::config::document::Node;

/// `h2c`
pub(super) struct UnitVariant<'n>(pub(super) &'n Node);

impl<'de> de::EnumAccess<'de> for UnitVariant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        seed.deserialize(NodeDeserializer::new(self.0))
            .map(|variant| (variant, self))
    }
}

impl UnitVariant<'_> {
    fn needs_a_value(&self) -> Fault {
        Fault::new(Kind::WrongType {
            expected: "a key with its value".to_owned(),
        })
        .at(self.0)
    }
}

impl<'de> de::VariantAccess<'de> for UnitVariant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Ok(())
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, _: T) -> Result<T::Value, Fault> {
        Err(self.needs_a_value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Fault> {
        Err(self.needs_a_value())
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Fault> {
        Err(self.needs_a_value())
    }
}

/// `header: X-User`
pub(super) struct FullVariant<'n> {
    pub(super) key: &'n Node,
    pub(super) value: &'n Node,
}

impl<'de> de::EnumAccess<'de> for FullVariant<'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<V: de::DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        seed.deserialize(NodeDeserializer::new(self.key))
            .map(|variant| (variant, self))
    }
}

impl<'de> de::VariantAccess<'de> for FullVariant<'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        Err(Fault::new(Kind::WrongType {
            expected: "just the name, without options".to_owned(),
        })
        .at(self.value))
    }

    fn newtype_variant_seed<T: de::DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(NodeDeserializer::new(self.value))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        NodeDeserializer::new(self.value).deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        NodeDeserializer::new(self.value).deserialize_struct("", known, visitor)
    }
}
