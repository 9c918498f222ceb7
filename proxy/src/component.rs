//! How anything pluggable is named, decoded and listed: a balancing policy, a health check, a filter, a source of servers.
//!
//! In the file it is its bare name (`round_robin`), or one key with its options (`{ ring_hash: { replicas: 100 } }`). In
//! the code, each folder of such things has one plain list of [`Kind`]s; lookup, the error for an unknown name and
//! whatever is printed about them come from that list.

use std::cell::RefCell;

use serde::de::DeserializeOwned;

use crate::config::decode::decode;
use crate::config::document::{Node, Value};
use crate::config::nearest::{listed, nearest};
use crate::config::{Code, Component, Diagnostic, Files, Span, Spanned, code};

/// One of the things that can be plugged in at some place.
#[derive(Debug)]
pub struct Kind<T> {
    /// What it is called in the file.
    pub name: &'static str,
    /// One sentence about it.
    pub summary: &'static str,
    /// Makes it from its options.
    pub build: fn(&Options<'_>) -> Result<T, Vec<Diagnostic>>,
}

/// What a file that is named in the routing file may hold: it is kept in memory.
const FILE_MAX: usize = 1 << 20;

/// What components are made in: the files that they may name, and a place for what is no error but worth a word.
#[derive(Debug, Default)]
pub struct Surroundings {
    files: Files,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl Surroundings {
    /// Among these files.
    pub fn new(files: &Files) -> Self {
        Self {
            files: files.clone(),
            warnings: RefCell::default(),
        }
    }

    /// What was worth a word.
    pub fn into_warnings(self) -> Vec<Diagnostic> {
        self.warnings.into_inner()
    }

    /// Whether an included file could not be read: what seems to be missing may stand there.
    pub fn is_partial(&self) -> bool {
        self.files.is_partial()
    }

    /// Reads a file that the routing file names, up to 1 MiB. A relative one lies beside the file that names it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn file(&self, written: &Spanned<String>) -> Result<Vec<u8>, Vec<Diagnostic>> {
        let wrong = |why: String| {
            let message = format!("cannot use the file `{}`", written.value);
            let problem = Diagnostic::error(code::FILE_NAMED, message)
                .at(written.span)
                .label(why);
            vec![problem.note("a relative file is looked for beside the file that names it")]
        };
        let bytes = self.files.read(written, FILE_MAX).map_err(wrong)?;
        if bytes.len() > FILE_MAX {
            let why = "it is larger than 1 MiB, and would be kept in memory";
            return Err(wrong(why.to_owned()));
        }
        Ok(bytes)
    }
}

/// The options of a component.
#[derive(Debug)]
pub struct Options<'s> {
    name: Spanned<String>,
    node: Option<Node>,
    surroundings: &'s Surroundings,
}

impl<'s> Options<'s> {
    fn of(component: &Component, surroundings: &'s Surroundings) -> Self {
        Self {
            name: component.name.clone(),
            node: component.options.clone(),
            surroundings,
        }
    }

    /// The file can be used, but the component probably does not do what its author wants.
    pub fn warn(&self, warning: Diagnostic) {
        self.surroundings.warnings.borrow_mut().push(warning);
    }

    /// Reads a file that the options name, up to 1 MiB.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn file(&self, written: &Spanned<String>) -> Result<Vec<u8>, Vec<Diagnostic>> {
        self.surroundings.file(written)
    }

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
    surroundings: &Surroundings,
) -> Result<T, Vec<Diagnostic>> {
    match kinds.iter().find(|kind| kind.name == component.name.value) {
        Some(kind) => (kind.build)(&Options::of(component, surroundings)),
        None => Err(vec![unknown(noun, kinds, &component.name)]),
    }
}

fn unknown<T>(noun: &str, kinds: &[Kind<T>], name: &Spanned<String>) -> Diagnostic {
    let known = || kinds.iter().map(|kind| kind.name);
    unknown_name(code::UNKNOWN_COMPONENT, noun, name, name.span, known)
}

/// A name that is none of those that are known.
pub fn unknown_name<'k, K: Iterator<Item = &'k str>>(
    code: Code,
    noun: &str,
    name: &str,
    span: Span,
    known: impl Fn() -> K,
) -> Diagnostic {
    let are = if known().count() == 1 {
        "the only one known is"
    } else {
        "known are"
    };
    Diagnostic::error(code, format!("unknown {noun} `{name}`"))
        .at(span)
        .label("not known")
        .did_you_mean(nearest(name, known()))
        .note(format!("{are} {}", listed(known())))
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
            crate::config::parse("x", &text, &|_| None, None, crate::config::as_written).unwrap();
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
        build(
            "health check",
            KINDS,
            &component(written),
            &Surroundings::default(),
        )
        .map_err(messages)
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
            build(
                "health check",
                KINDS,
                &Component::bare("tcp"),
                &Surroundings::default()
            ),
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
        let missing = build(
            "health check",
            KINDS,
            &component("http"),
            &Surroundings::default(),
        )
        .unwrap_err()
        .remove(0);
        assert_eq!(missing.message, "the key `path` is missing in `http`");
        assert!(missing.span.is_some_and(|span| span.start > 0));
    }
}
