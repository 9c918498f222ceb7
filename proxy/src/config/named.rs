//! Things with a name: a map that keeps the order of the file and the place of each name.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::complaint::Complaint;
use super::scalar;
use super::spanned::Spanned;

/// The name by which [`Named`] asks for names whose section has an error as well.
pub(super) const NAMED: &str = "$tidegate::Named";

/// A map from a name to its section, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<T> {
    entries: Vec<(Spanned<String>, T)>,
    /// Names whose section could not be decoded: known, so that nobody is told that they do not exist.
    broken: Vec<Spanned<String>>,
}

impl<T> Named<T> {
    /// Names and sections in the order of the file.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &T)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// The section of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&T> {
        self.iter()
            .find(|(known, _)| known.value == name)
            .map(|(_, value)| value)
    }

    /// The names in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.value.as_str())
    }

    /// All names, also those whose section has an error.
    pub(super) fn written(&self) -> impl Iterator<Item = &Spanned<String>> {
        self.entries
            .iter()
            .map(|(name, _)| name)
            .chain(&self.broken)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            broken: Vec::new(),
        }
    }
}

impl<T> FromIterator<(Spanned<String>, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (Spanned<String>, T)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            broken: Vec::new(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAMED, NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
    type Value = Named<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with their settings (`name: { ... }`)")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }

    /// Our own deserializer gives nothing for a section with an error that is already reported.
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut named = Named::default();
        while let Some(name) = map.next_key::<Spanned<Name>>()? {
            let name = Spanned::new(name.value.0, name.span);
            match map.next_value::<Option<T>>()? {
                Some(value) => named.entries.push((name, value)),
                None => named.broken.push(name),
            }
        }
        Ok(named)
    }
}

/// A name: letters, digits, `_`, `-` and `.`.
struct Name(String);

impl std::str::FromStr for Name {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let complaint = |message: String, label: &str| Err(Complaint::new(message).label(label));
        if text.is_empty() {
            return complaint("an empty name".to_owned(), "give it a name");
        }
        if text.trim() != text {
            return complaint(
                format!("the name `{text}` begins or ends with a space"),
                "spaces at the edge",
            );
        }
        match text.chars().find(|c| !is_name_char(*c)) {
            Some(c) => complaint(
                format!("`{}` cannot be part of a name", c.escape_debug()),
                "names are made of letters, digits, `_`, `-` and `.`",
            ),
            None => Ok(Self(text.to_owned())),
        }
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "a name")
    }
}
