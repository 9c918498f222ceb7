//! The file as a tree in which every node knows its place: what YAML says, before anybody asks what it means.
//!
//! The tree is built from the events of the YAML parser below `serde_yaml`, and not by deserializing, for three
//! reasons: a scalar keeps its text and its quotes (so that `on` and `1.10` stay what was written), all duplicate keys
//! of a file are found at once, and a section can be decoded again and again until all its mistakes are known.

mod anchors;
mod conflict;
mod read;
mod salvage;
mod surroundings;
mod syntax;

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::spanned::Span;

pub(super) use read::{BYTES_MAX, NODES_MAX, Root, read};
pub(super) use surroundings::lines_of;
pub(super) use syntax::empty;

/// The name by which a [`Node`] asks for itself, undecoded.
pub(crate) const NODE: &str = "$tidegate::Node";

/// A piece of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it was written; for what an alias (`*name`) stands for, where the anchor (`&name`) is.
    pub span: Span,
    /// What was written.
    pub value: Value,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A single value, without its quotes and escapes.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it stood in quotes or in a block (`|`), and so is text whatever it looks like.
        quoted: bool,
        /// Where a `$` before a `{` in it is just that, in bytes: it was put in, or written as `$$`.
        literal: Vec<usize>,
    },
    /// `[ a, b ]` or `- a`.
    List(Vec<Node>),
    /// `{ a: b }` or `a: b`.
    Map(Vec<(Node, Node)>),
    /// Had an error that is reported already: whoever comes later passes it over.
    Broken,
    /// A key that cannot be a name, which is reported already; what it names is looked at.
    Misnamed(String),
}

impl Node {
    /// The text of a scalar.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } | Value::Misnamed(text) => Some(text),
            _ => None,
        }
    }

    /// The same in a file that begins so many bytes further on.
    fn shift(&mut self, by: usize) {
        if by == 0 {
            return;
        }
        self.span = self.span.shifted(by);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.shift(by)),
            Value::Map(entries) => entries.iter_mut().for_each(|(key, value)| {
                key.shift(by);
                value.shift(by);
            }),
            _ => {}
        }
    }

    /// The value of a key, if this is a map.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entries()
            .iter()
            .find(|(known, _)| known.text() == Some(key))
            .map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        let Value::Map(entries) = &mut self.value else {
            return None;
        };
        let mut entries = entries.iter_mut();
        let found = entries.find(|(known, _)| known.text() == Some(key));
        found.map(|(_, value)| value)
    }

    /// Keys and values; none if this is no map.
    #[must_use]
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Whether an error in it is reported already.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.value == Value::Broken
    }

    /// Whether an error is reported already in it or in anything within.
    #[must_use]
    pub fn has_broken(&self) -> bool {
        match &self.value {
            Value::Broken => true,
            Value::List(items) => items.iter().any(Self::has_broken),
            Value::Map(entries) => entries.iter().any(|(_, value)| value.has_broken()),
            _ => false,
        }
    }

    /// What it is, as a reader would call it: `a list`, `the number 5`.
    #[must_use]
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "empty".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a group of keys".to_owned(),
            Value::Broken => "broken".to_owned(),
            Value::Scalar { text, quoted, .. } => describe_scalar(text, *quoted),
            Value::Misnamed(text) => describe_scalar(text, true),
        }
    }
}

fn describe_scalar(text: &str, quoted: bool) -> String {
    let kind = match text {
        "true" | "false" if !quoted => "",
        _ if !quoted && is_number(text) => "the number ",
        _ => "the text ",
    };
    format!("{kind}`{}`", shortened(text))
}

/// Values are quoted in messages; a long one by its beginning.
pub(super) fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Whether a plain scalar is a number in YAML's core schema (decimal).
pub(super) fn is_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'))
        && text.parse::<f64>().is_ok()
}

thread_local! {
    /// How a node comes through serde unharmed: its data model has no word for "this, as it is".
    static PASSED: std::cell::Cell<Option<Node>> = const { std::cell::Cell::new(None) };
}

/// Takes what [`pass`] left.
pub(crate) fn passed<E: de::Error>() -> Result<Node, E> {
    PASSED
        .take()
        .ok_or_else(|| E::custom("only the routing file can be kept undecoded"))
}

/// Leaves a node for the [`Node`] that is being deserialized.
pub(super) fn pass(node: &Node) {
    PASSED.set(Some(node.clone()));
}

/// By our own deserializer only.
impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NODE, NodeVisitor)
    }
}

struct NodeVisitor;

impl Visitor<'_> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a part of the routing file")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Node, E> {
        passed()
    }
}
