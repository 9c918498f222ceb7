//! Things with a name: a map that keeps the order of the file and the place of each name. What may be a name is the second
//! parameter.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};

use super::code::{self, Code};
use super::complaint::Complaint;
use super::spanned::Spanned;

/// The name by which [`Named`] asks for names whose section has an error as well.
pub(super) const NAMED: &str = "$tidegate::Named";

/// What is expected where a [`Named`] is.
pub(super) const EXPECTED: &str = "names with their settings (`name: { ... }`)";

/// A map from a name to its section, in the order of the file.
#[derive(Debug, Clone)]
pub struct Named<T, K = Name> {
    entries: Vec<(Spanned<String>, T)>,
    /// Names whose section could not be decoded: known, so that nobody is told that they do not exist.
    broken: Vec<Spanned<String>>,
    kind: PhantomData<K>,
}

impl<T, K> Named<T, K> {
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

impl<T, K> Default for Named<T, K> {
    fn default() -> Self {
        Self::from_iter([])
    }
}

impl<T, K> FromIterator<(Spanned<String>, T)> for Named<T, K> {
    fn from_iter<I: IntoIterator<Item = (Spanned<String>, T)>>(entries: I) -> Self {
        Self {
            entries: entries.into_iter().collect(),
            broken: Vec::new(),
            kind: PhantomData,
        }
    }
}

/// The order of the file does not count.
impl<T: PartialEq, K> PartialEq for Named<T, K> {
    fn eq(&self, other: &Self) -> bool {
        let mut entries = self.iter();
        self.len() == other.len() && entries.all(|(name, value)| other.get(name) == Some(value))
    }
}

impl<T: Eq, K> Eq for Named<T, K> {}

impl<T: Hash, K> Hash for Named<T, K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
        entries.hash(state);
    }
}

impl<'de, T: Deserialize<'de>, K: Key> Deserialize<'de> for Named<T, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NAMED, NamedVisitor(PhantomData))
    }
}

struct NamedVisitor<T, K>(PhantomData<(T, K)>);

impl<'de, T: Deserialize<'de>, K: Key> Visitor<'de> for NamedVisitor<T, K> {
    type Value = Named<T, K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(EXPECTED)
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
        while let Some(name) = map.next_key::<Spanned<Written<K>>>()? {
            let is_usable = K::IS_OURS || !name.value.is_misnamed;
            let name = Spanned::new(name.value.text, name.span);
            match map.next_value::<Option<T>>()?.filter(|_| is_usable) {
                Some(value) => named.entries.push((name, value)),
                None => named.broken.push(name),
            }
        }
        Ok(named)
    }
}

/// What may be a name.
pub trait Key {
    /// What such a name is called.
    const NOUN: &'static str;

    /// What is found where something else is written.
    const CODE: Code;

    /// Whether nobody but the file itself uses it: then what has a name that is none can still be looked at.
    const IS_OURS: bool = false;

    /// What is wrong with a text that is none. It is not empty and has no space at its edges.
    ///
    /// # Errors
    /// It is none.
    fn check(text: &str) -> Result<(), Complaint>;
}

struct Written<K> {
    text: String,
    /// Whether it is none, as was told already.
    is_misnamed: bool,
    kind: PhantomData<K>,
}

impl<K: Key> std::str::FromStr for Written<K> {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let complaint =
            |message: String, label: &str| Err(Complaint::new(K::CODE, message).label(label));
        if text.is_empty() {
            return complaint("an empty name".to_owned(), "give it a name");
        }
        if text.trim() != text {
            return complaint(
                format!("the name `{text}` begins or ends with a space"),
                "spaces at the edge",
            )
            .map_err(|complaint| complaint.help(format!("write `{}`", text.trim())));
        }
        K::check(text)?;
        Ok(Self {
            text: text.to_owned(),
            is_misnamed: false,
            kind: PhantomData,
        })
    }
}

impl<'de, K: Key> Deserialize<'de> for Written<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(WrittenVisitor(PhantomData))
    }
}

struct WrittenVisitor<K>(PhantomData<K>);

impl<K: Key> Visitor<'_> for WrittenVisitor<K> {
    type Value = Written<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(K::NOUN)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Written<K>, E> {
        text.parse().map_err(E::custom)
    }

    /// Our own deserializer gives what is none in this way the second time.
    fn visit_bytes<E: de::Error>(self, text: &[u8]) -> Result<Written<K>, E> {
        Ok(Written {
            text: String::from_utf8_lossy(text).into_owned(),
            is_misnamed: true,
            kind: PhantomData,
        })
    }
}

/// A name of ours: letters, digits, `_`, `-` and `.`.
#[derive(Debug, Clone, Copy)]
pub struct Name;

impl Key for Name {
    const NOUN: &'static str = "a name";
    const CODE: Code = code::BAD_NAME;
    const IS_OURS: bool = true;

    fn check(text: &str) -> Result<(), Complaint> {
        let checked = no_other(
            Self::CODE,
            text,
            is_name_char,
            "names are made of letters, digits, `_`, `-` and `.`",
        );
        checked.map_err(|complaint| match similar(text) {
            Some(name) => complaint.help(format!("write `{name}`, for instance")),
            None => complaint,
        })
    }
}

/// Whether a text may be the name of something in the file.
///
/// # Errors
/// Why it may not.
pub fn check_name(text: &str) -> Result<(), Complaint> {
    text.parse::<Written<Name>>().map(|_| ())
}

/// Any text.
#[derive(Debug, Clone, Copy)]
pub struct Text;

impl Key for Text {
    const NOUN: &'static str = "a name";
    const CODE: Code = code::BAD_NAME;

    fn check(_: &str) -> Result<(), Complaint> {
        Ok(())
    }
}

pub(super) fn no_other(
    code: Code,
    text: &str,
    is_fine: fn(char) -> bool,
    label: &str,
) -> Result<(), Complaint> {
    match text.chars().find(|c| !is_fine(*c)) {
        None => Ok(()),
        Some(c) => {
            let message = format!("`{}` cannot be part of a name", c.escape_debug());
            Err(Complaint::new(code, message).label(label))
        }
    }
}

/// The name that a text would be with `-` in place of what cannot stand in it; a word of another alphabet would be torn.
fn similar(text: &str) -> Option<String> {
    if !text.is_ascii() {
        return None;
    }
    let words = text.split(|c| !is_name_char(c));
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    (!words.is_empty()).then(|| words.join("-"))
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}
