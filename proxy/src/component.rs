//! How anything pluggable is named, decoded and listed: a balancing policy, a health check, a filter, a source of servers.
//!
//! In the file it is its bare name (`round_robin`), or one key with its options (`{ ring_hash: { replicas: 100 } }`). In
//! the code, each folder of such things has one plain list of [`Kind`]s; lookup, the error for an unknown name and
//! whatever is printed about them come from that list.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, Visitor};

use crate::config::complaint::Complaint;
use crate::config::decode::decode;
use crate::config::document::{NODE, Node, Value, passed};
use crate::config::nearest::{listed, nearest};
use crate::config::{Diagnostic, Span, Spanned};

/// One of the things that can be plugged in at some place.
#[derive(Debug)]
pub struct Kind<T> {
    /// What it is called in the file.
    pub name: &'static str,
    /// One sentence about it.
    pub summary: &'static str,
    /// Makes it from its options.
    pub build: fn(&Options) -> Result<T, Vec<Diagnostic>>,
}

/// A component as it was written: its name, and its options not yet decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its name.
    pub name: Spanned<String>,
    options: Option<Node>,
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

    /// Its options.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            name: self.name.clone(),
            node: self.options.clone(),
        }
    }
}

/// The options of a component.
#[derive(Debug, Clone)]
pub struct Options {
    name: Spanned<String>,
    node: Option<Node>,
}

impl Options {
    /// Where the component's name was written.
    #[must_use]
    pub fn span(&self) -> Span {
        self.name.span
    }

    /// Decodes them. A bare name has no options: what is required is missing, what has a default gets it.
    ///
    /// # Errors
    ///
    /// All mistakes in the options.
    pub fn decode<O: DeserializeOwned>(&self) -> Result<O, Vec<Diagnostic>> {
        let empty = || Node {
            span: self.name.span,
            value: Value::Map(Vec::new()),
        };
        let mut node = self.node.clone().unwrap_or_else(empty);
        let decoded = decode(&mut node, Some(&self.name));
        match decoded.value {
            Some(value) if decoded.diagnostics.is_empty() => Ok(value),
            _ => Err(decoded.diagnostics),
        }
    }
}

/// Finds the component among the known kinds and makes it. `noun` is what such a thing is called: `health check`.
///
/// # Errors
///
/// An unknown name, or all mistakes in the options.
pub fn build<T>(
    noun: &str,
    kinds: &[Kind<T>],
    component: &Component,
) -> Result<T, Vec<Diagnostic>> {
    match kinds.iter().find(|kind| kind.name == component.name.value) {
        Some(kind) => (kind.build)(&component.options()),
        None => Err(vec![unknown(noun, kinds, &component.name)]),
    }
}

fn unknown<T>(noun: &str, kinds: &[Kind<T>], name: &Spanned<String>) -> Diagnostic {
    let known = || kinds.iter().map(|kind| kind.name);
    let are = if kinds.len() == 1 {
        "the only one known is"
    } else {
        "known are"
    };
    Diagnostic::error(format!("unknown {noun} `{name}`"))
        .at(name.span)
        .label("not known")
        .did_you_mean(nearest(name, known()))
        .note(format!("{are} {}", listed(known())))
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
            Value::Scalar { text, .. } => Ok(Self {
                name: Spanned::new(text, span),
                options: None,
            }),
            Value::Map(mut entries) => match (entries.pop(), entries.is_empty()) {
                (Some((key, options)), true) => Ok(Self::with_options(key, options)),
                (None, _) => Err(Complaint::new("a name is missing")
                    .label("expected a name, or a name and its options")),
                (Some((last, _)), false) => Err(several(&entries, &last)),
            },
            Value::Null => Err(Complaint::new("nothing is chosen here")
                .label("expected a name")
                .help("remove the key for the default")),
            Value::List(_) | Value::Broken => Err(Complaint::new("a list where one name is due")
                .label("expected a name, or a name and its options")),
        }
    }
}

impl Component {
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
    Complaint::new("more than one name where one is due")
        .label(format!("these are {}", listed(names)))
        .help(format!(
            "options go inside the braces of their name: `{first}: {{ ... }}`"
        ))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as Derive;

    use super::*;

    #[derive(Debug, Derive)]
    #[expect(dead_code, reason = "only decoded")]
    #[serde(deny_unknown_fields)]
    struct Http {
        path: String,
        interval: Option<Spanned<crate::config::Duration>>,
    }

    const KINDS: &[Kind<String>] = &[
        Kind {
            name: "http",
            summary: "Asks.",
            build: |options| options.decode::<Http>().map(|http| http.path),
        },
        Kind {
            name: "tcp",
            summary: "Connects.",
            build: |_| Ok("connected".to_owned()),
        },
    ];

    /// The `health_check` of a file that has nothing else of interest.
    fn component(written: &str) -> Component {
        let text = format!(
            "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nupstreams: {{ a: {{ servers: [ 'a:1' ], health_check: {written} }} }}"
        );
        let loaded =
            crate::config::parse("x", &text, &|_| None, crate::config::as_written).unwrap();
        loaded
            .file
            .upstreams
            .get("a")
            .unwrap()
            .health_check
            .clone()
            .unwrap()
    }

    fn built(written: &str) -> Result<String, Vec<String>> {
        let messages = |all: Vec<Diagnostic>| {
            all.into_iter()
                .map(|one| format!("{} {:?}", one.message, one.remarks))
                .collect()
        };
        build("health check", KINDS, &component(written)).map_err(messages)
    }

    #[test]
    fn a_bare_name_and_a_name_with_options() {
        assert_eq!(built("tcp"), Ok("connected".to_owned()));
        assert_eq!(built("{ tcp: }"), Ok("connected".to_owned()));
        assert_eq!(
            built("{ http: { path: /up, interval: 2s } }"),
            Ok("/up".to_owned())
        );
        assert_eq!(
            build("health check", KINDS, &Component::bare("tcp")),
            Ok("connected".to_owned())
        );
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = built("htp").unwrap_err().remove(0);
        assert!(error.contains("unknown health check `htp`"), "{error}");
        assert!(
            error.contains("did you mean `http`?") && error.contains("known are `http` and `tcp`"),
            "{error}"
        );
    }

    #[test]
    fn all_errors_of_the_options_are_found_at_their_place() {
        let errors = built("{ http: { paht: /, interval: 2 } }").unwrap_err();
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert!(
            errors
                .iter()
                .any(|error| error.contains("unknown key `paht` in `http`")),
            "{errors:?}"
        );
        let missing = build("health check", KINDS, &component("http"))
            .unwrap_err()
            .remove(0);
        assert_eq!(missing.message, "the key `path` is missing in `http`");
        assert!(missing.span.is_some_and(|span| span.start > 0));
    }
}
