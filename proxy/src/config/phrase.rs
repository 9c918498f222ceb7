//! A text with names in it: `from ${client.ip}`. What was put in by `${NAME}` and `${file:...}`, and what `$$` stands for, is
//! text, whatever it looks like.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value as Json;

/// The name by which a [`Phrase`] asks for its text and for where a `${` in it is just that.
pub(super) const PHRASE: &str = "$tidegate::Phrase";

/// A text with names in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Phrase {
    text: String,
    /// Where a `${` begins no name, in bytes.
    literal: Vec<usize>,
}

impl Phrase {
    /// Where the next name begins, from a place on: at its `${`.
    #[must_use]
    pub fn next(&self, from: usize) -> Option<usize> {
        let all = self.text.get(from..)?.match_indices("${");
        let mut places = all.map(|(at, _)| from + at);
        places.find(|at| self.is_name(*at))
    }

    /// They are in order.
    fn is_name(&self, at: usize) -> bool {
        self.literal.binary_search(&at).is_err()
    }
}

/// All of them are names.
impl From<&str> for Phrase {
    fn from(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            literal: Vec::new(),
        }
    }
}

impl Deref for Phrase {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Phrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Phrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(PHRASE, PhraseVisitor)
    }
}

struct PhraseVisitor;

impl<'de> Visitor<'de> for PhraseVisitor {
    type Value = Phrase;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Phrase, D::Error> {
        String::deserialize(deserializer).map(|text| text.as_str().into())
    }

    /// Only our own deserializer comes here: the text, and then the places.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Phrase, A::Error> {
        let mut phrase = Phrase {
            text: seq.next_element()?.unwrap_or_default(),
            literal: Vec::new(),
        };
        while let Some(at) = seq.next_element()? {
            phrase.literal.push(at);
        }
        Ok(phrase)
    }
}

/// Where the text alone would not tell what is a name, as it is written in a file, and marked as such: `unmarked` takes the mark
/// away again.
impl Serialize for Phrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.literal.is_empty() {
            return serializer.serialize_str(&self.text);
        }
        let written = super::environment::written(&self.text, &|at| self.is_name(at));
        serializer.collect_map([(PHRASE, written)])
    }
}

/// The written form of a phrase that is marked.
pub(super) fn unmarked(json: &Json) -> Option<&str> {
    json.as_object()?.get(PHRASE)?.as_str()
}

impl JsonSchema for Phrase {
    fn inline_schema() -> bool {
        String::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}
