//! A component as it was written: its name, and its options not yet decoded. What kinds there are is known where they
//! are built.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::code;
use super::complaint::Complaint;
use super::document::{NODE, Node, Value, passed};
use super::nearest::listed;
use super::spanned::{Span, Spanned};

/// A component as it was written: its name, and its options not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: Spanned<String>,
    /// Its options, if it has any.
    pub(crate) options: Option<Node>,
}

impl Component {
    /// A component without options that was not written: a default.
    #[must_use]
    pub fn bare(name: &str) -> Self {
        Self {
            name: Spanned::new(name.to_owned(), Span::default()),
            options: None,
        }
    }
}

impl<'de> Deserialize<'de> for Component {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NODE, ComponentVisitor)
    }
}

struct ComponentVisitor;

impl Visitor<'_> for ComponentVisitor {
    type Value = Component;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or a name and its options")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Component, E> {
        Component::try_from(passed()?).map_err(E::custom)
    }
}

impl TryFrom<Node> for Component {
    type Error = Complaint;

    fn try_from(node: Node) -> Result<Self, Complaint> {
        let span = node.span;
        match node.value {
            Value::Scalar { text, .. } | Value::Misnamed(text) => Ok(Self {
                name: Spanned::new(text, span),
                options: None,
            }),
            Value::Map(mut entries) => match (entries.pop(), entries.is_empty()) {
                (Some((key, options)), true) => Ok(Self::with_options(key, options)),
                (None, _) => Err(Complaint::new(code::ONE_NAME, "a name is missing")
                    .label("expected a name, or a name and its options")),
                (Some((last, _)), false) => Err(several(&entries, &last)),
            },
            Value::Null => Err(Complaint::new(code::NO_VALUE, "nothing is chosen here")
                .label("expected a name")
                .help("remove the key for the default")),
            Value::List(_) | Value::Broken => Err(Complaint::new(
                code::ONE_NAME,
                "a list where one name is due",
            )
            .label("expected a name, or a name and its options")),
        }
    }
}

impl Component {
    /// Whether it has options.
    pub(crate) fn has_options(&self) -> bool {
        self.options.is_some()
    }

    fn with_options(key: Node, options: Node) -> Self {
        let name = Spanned::new(key.text().unwrap_or_default().to_owned(), key.span);
        let options = Some(options).filter(|options| options.value != Value::Null);
        Self { name, options }
    }
}

fn several(entries: &[(Node, Node)], last: &Node) -> Complaint {
    let names = entries
        .iter()
        .map(|(key, _)| key)
        .chain([last])
        .filter_map(Node::text);
    let first = entries
        .first()
        .and_then(|(key, _)| key.text())
        .unwrap_or_default();
    Complaint::new(code::ONE_NAME, "more than one name where one is due")
        .label(format!("these are {}", listed(names)))
        .help(format!(
            "options go inside the braces of their name: `{first}: {{ ... }}`"
        ))
}
