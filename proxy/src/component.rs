//! How anything pluggable is named, decoded and listed: a balancing policy, a health check, a filter, a source of servers.
//!
//! In the file it is its bare name (`round_robin`), or one key with its options (`{ ring_hash: { replicas: 100 } }`). In
//! the code, each folder of such things has one plain list of [`Kind`]s; lookup, the error for an unknown name and
//! whatever is printed about them come from that list.

mod schema;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake2::{Blake2s256, Digest};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub(crate) use self::schema::{Bare, choice};
use crate::config::decode::{HEADER_FILTERS, decode};
use crate::config::document::{Node, Value};
use crate::config::nearest::{listed, nearest};
use crate::config::written::said;
use crate::config::{Code, Component, Diagnostic, Files, Span, Spanned, code};

/// One of the things that can be plugged in at some place.
#[derive(Debug)]
pub struct Kind<T> {
    /// What it is called in the file.
    pub name: &'static str,
    /// One sentence about it.
    pub summary: &'static str,
    /// What its options may be.
    schema: fn(&mut SchemaGenerator) -> Schema,
    /// Makes it from its options.
    build: fn(&Options<'_>) -> Result<T, Vec<Diagnostic>>,
}

impl<T> Kind<T> {
    /// One whose options are an `O`, which `build` decodes.
    pub const fn new<O: JsonSchema>(
        name: &'static str,
        summary: &'static str,
        build: fn(&Options<'_>) -> Result<T, Vec<Diagnostic>>,
    ) -> Self {
        Self {
            name,
            summary,
            schema: O::json_schema,
            build,
        }
    }
}

/// It has no options.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoOptions {}

/// What was made of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built<T> {
    /// It.
    pub made: T,
    /// As it was written, with every default filled in.
    pub effective: Component,
}

/// What a file that is named in the routing file may hold: it is kept in memory.
const FILE_MAX: usize = 1 << 20;

/// What components are made in: the files that they may name, and a place for what is no error but worth a word.
#[derive(Debug, Default)]
pub struct Surroundings {
    files: Files,
    read: RefCell<BTreeMap<String, String>>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl Surroundings {
    /// Among these files.
    pub fn new(files: &Files) -> Self {
        Self {
            files: files.clone(),
            read: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// What was worth a word.
    pub fn into_warnings(self) -> Vec<Diagnostic> {
        self.warnings.into_inner()
    }

    /// The files that were read, as they are named, and a digest of each.
    pub fn files(&self) -> BTreeMap<String, String> {
        self.read.borrow().clone()
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
        let wrong = |why: String| vec![unusable(written, why)];
        let bytes = self.files.read(written, FILE_MAX).map_err(wrong)?;
        if bytes.len() > FILE_MAX {
            let why = "it is larger than 1 MiB, and would be kept in memory";
            return Err(wrong(why.to_owned()));
        }
        let digest = URL_SAFE_NO_PAD.encode(Blake2s256::digest(&bytes));
        self.read.borrow_mut().insert(written.value.clone(), digest);
        Ok(bytes)
    }
}

fn unusable(written: &Spanned<String>, why: String) -> Diagnostic {
    let message = format!("cannot use the file `{}`", written.value);
    Diagnostic::error(code::FILE_NAMED, message)
        .at(written.span)
        .label(why)
        .note("a relative file is looked for beside the file that names it")
}

/// The options of a component.
#[derive(Debug)]
pub struct Options<'s> {
    name: Spanned<String>,
    node: Option<Node>,
    effective: RefCell<Json>,
    surroundings: &'s Surroundings,
}

impl<'s> Options<'s> {
    fn of(component: &Component, surroundings: &'s Surroundings) -> Self {
        Self {
            name: component.name.clone(),
            node: component.options.clone(),
            effective: RefCell::new(said(&component.options)),
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

    /// Where a file lies that the options name, and what readers know it by. It is read by the component itself, when it runs: it
    /// is none of those whose change is an edit.
    ///
    /// # Errors
    /// There is no folder to look for it in.
    pub fn beside(&self, written: &Spanned<String>) -> Result<(PathBuf, String), Vec<Diagnostic>> {
        let place = self.surroundings.files.beside(written);
        place.ok_or_else(|| {
            let why = "there is no folder to look for it in";
            vec![unusable(written, why.to_owned())]
        })
    }

    /// Makes a component that the options name.
    ///
    /// # Errors
    /// Those of [`build`].
    pub fn component<T>(
        &self,
        noun: &str,
        kinds: &[Kind<T>],
        component: &Component,
    ) -> Result<Built<T>, Vec<Diagnostic>> {
        build(noun, kinds, component, self.surroundings)
    }

    /// Says what they are in effect, where that is more than what was decoded: a default that follows from another option.
    pub fn are(&self, effective: &impl Serialize) {
        let effective = said(effective);
        // What cannot be said stays as it was written.
        if !effective.is_null() {
            *self.effective.borrow_mut() = effective;
        }
    }

    /// Where the component's name was written.
    #[must_use]
    pub fn span(&self) -> Span {
        self.name.span
    }

    /// Decodes them. A bare name has no options: what is required is missing, what has a default gets it. What comes out is
    /// what `tidegate print` shows.
    ///
    /// # Errors
    ///
    /// All mistakes in the options.
    pub fn decode<O: DeserializeOwned + Serialize>(&self) -> Result<O, Vec<Diagnostic>> {
        let empty = || Node {
            span: self.name.span,
            value: Value::Map(Vec::new()),
        };
        let mut node = self.node.clone().unwrap_or_else(empty);
        let decoded = decode(&mut node, Some(&self.name));
        match decoded.value {
            Some(value) if decoded.diagnostics.is_empty() => {
                self.are(&value);
                Ok(value)
            }
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
) -> Result<Built<T>, Vec<Diagnostic>> {
    match kinds.iter().find(|kind| kind.name == component.name.value) {
        Some(kind) => {
            let options = Options::of(component, surroundings);
            let mut made = (kind.build)(&options);
            if let Err(problems) = &mut made
                && component.options.as_ref().is_some_and(Node::has_broken)
            {
                // What seems to be missing as a whole is there, with a mistake that is told already.
                problems.retain(|problem| problem.span != Some(component.name.span));
            }
            let made = made?;
            let effective = Component::with(kind.name, &options.effective.into_inner());
            Ok(Built { made, effective })
        }
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
    let diagnostic = Diagnostic::error(code, format!("unknown {noun} `{name}`"))
        .at(span)
        .label("not known")
        .did_you_mean(nearest(name, known()));
    let diagnostic = match noun {
        "filter" if matches!(name, "header" | "headers") => diagnostic.help(HEADER_FILTERS),
        "health check" if name.starts_with('/') => {
            diagnostic.help(format!("write `{{ http: {{ path: {name} }} }}`"))
        }
        _ => diagnostic,
    };
    diagnostic.note(format!("{are} {}", listed(known())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Serialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Http {
        path: String,
        #[serde(default = "often")]
        interval: Spanned<crate::config::Duration>,
        host: Option<String>,
    }

    fn often() -> Spanned<crate::config::Duration> {
        crate::config::Duration::from(std::time::Duration::from_secs(5)).into()
    }

    const KINDS: &[Kind<String>] = &[
        Kind::new::<Http>("http", "Asks.", |options| {
            options.decode::<Http>().map(|http| http.path)
        }),
        Kind::new::<NoOptions>("tcp", "Connects.", |_| Ok("connected".to_owned())),
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
        .map(|built| built.made)
        .map_err(messages)
    }

    #[test]
    fn what_is_in_effect_has_every_default() {
        let effective = |written: &str| {
            let built = build(
                "check",
                KINDS,
                &component(written),
                &Surroundings::default(),
            );
            said(&built.unwrap().effective).to_string()
        };
        assert_eq!(effective("{ tcp: {} }"), r#""tcp""#);
        assert_eq!(
            effective("{ http: { path: /up } }"),
            r#"{"http":{"path":"/up","interval":"5s"}}"#
        );
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
            )
            .map(|built| built.made),
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
