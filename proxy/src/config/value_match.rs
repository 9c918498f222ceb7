//! What a value has to be: `canary`, `{ prefix: can }`, `{ regex: "can.*" }`, `{ present: true }`.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::code;
use super::complaint::Complaint;
use super::document::{NODE, Node, Value, passed};
use super::nearest::{listed, nearest};

/// What a value has to be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ValueMatch {
    /// This.
    Exact(String),
    /// It begins like this.
    Prefix(String),
    /// An expression for all of it.
    Regex(String),
    /// There is one, or there is none.
    Present(bool),
}

/// The keys of the long form.
const KEYS: [&str; 4] = ["exact", "prefix", "regex", "present"];

impl<'de> Deserialize<'de> for ValueMatch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(NODE, ValueMatchVisitor)
    }
}

struct ValueMatchVisitor;

impl Visitor<'_> for ValueMatchVisitor {
    type Value = ValueMatch;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, or how to compare it")
    }

    fn visit_unit<E: de::Error>(self) -> Result<ValueMatch, E> {
        ValueMatch::try_from(passed()?).map_err(E::custom)
    }
}

impl TryFrom<Node> for ValueMatch {
    type Error = Complaint;

    fn try_from(node: Node) -> Result<Self, Complaint> {
        match node.value {
            Value::Scalar { text, .. } | Value::Misnamed(text) => Ok(Self::Exact(text)),
            Value::Map(entries) => match entries.as_slice() {
                [(key, value)] => Self::compared(key, value),
                _ => Err(unclear("one comparison is due")),
            },
            Value::Null => Err(unclear("no value is given").help("`\"\"` is the empty one")),
            Value::List(_) | Value::Broken => Err(unclear("a list within a list")),
        }
    }
}

impl ValueMatch {
    fn compared(key: &Node, value: &Node) -> Result<Self, Complaint> {
        let name = key.text().unwrap_or_default();
        let Some(text) = value.text() else {
            return Err(unclear(&format!("`{name}` needs a value")));
        };
        match (name, text) {
            ("exact", text) => Ok(Self::Exact(text.to_owned())),
            ("prefix", "") => Err(Complaint::new(
                code::COMPARISON,
                "every value has an empty prefix",
            )
            .label("this always holds")
            .help("write `{ present: true }` for any value")),
            ("prefix", text) => Ok(Self::Prefix(text.to_owned())),
            ("regex", text) => Ok(Self::Regex(text.to_owned())),
            ("present", "true") => Ok(Self::Present(true)),
            ("present", "false") => Ok(Self::Present(false)),
            ("present", _) => Err(Complaint::new(
                code::COMPARISON,
                "`present` is `true` or `false`",
            )
            .label("expected `true` or `false`")),
            _ => {
                let complaint = unclear(&format!("`{name}` is no comparison"));
                Err(match nearest(name, KEYS) {
                    Some(name) => complaint.help(format!("did you mean `{name}`?")),
                    None => complaint,
                })
            }
        }
    }
}

fn unclear(message: &str) -> Complaint {
    Complaint::new(code::COMPARISON, message).label(format!(
        "expected a value, or one of {} with one",
        listed(KEYS)
    ))
}
