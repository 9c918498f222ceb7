//! What went wrong while decoding, still with serde's knowledge, and how it is said.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::advice;
use super::hints;
use super::place::{self, Address, Trail};
use super::subject::Where;
use crate::config::code::{self, Code};
use crate::config::complaint::Complaint;
use crate::config::diagnostic::Diagnostic;
use crate::config::document::{Node, Value, is_number, shortened};
use crate::config::nearest::{listed, nearest};
use crate::config::spanned::Spanned;

/// One failure of a decoding.
#[derive(Debug)]
pub(super) struct Fault(Box<Inner>);

#[derive(Debug)]
struct Inner {
    place: Option<Address>,
    kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    UnknownKey {
        key: String,
        known: &'static [&'static str],
    },
    MissingKey {
        key: &'static str,
    },
    WrongType {
        expected: String,
    },
    /// A group of keys was expected; these.
    NotKeys {
        known: &'static [&'static str],
    },
    OutOfRange {
        expected: String,
    },
    UnknownVariant {
        variant: String,
        known: &'static [&'static str],
    },
    /// A key with nothing after its colon.
    NoValue {
        expected: String,
    },
    Complaint(Complaint),
}

impl Fault {
    pub(super) fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { place: None, kind }))
    }

    /// The innermost node that saw the failure is its place.
    pub(super) fn at(mut self, node: &Node) -> Self {
        self.0.place.get_or_insert_with(|| place::address(node));
        self
    }

    pub(super) fn place(&self) -> Option<Address> {
        self.0.place
    }

    /// A key is missing because it is there with an error of its own, because it was misspelt, or because nothing in
    /// its group is right.
    pub(super) fn follows_from_another(&self, root: &Node, trail: &Trail) -> bool {
        let Kind::MissingKey { key } = self.0.kind else {
            return false;
        };
        let entries = Where::find(root, trail, None).node.entries();
        let mut broken = entries.iter().filter(|(_, value)| value.is_broken());
        let wrong = !entries.is_empty() && broken.clone().count() == entries.len();
        wrong
            || broken.any(|(written, _)| {
                written
                    .text()
                    .is_some_and(|written| meant(written, &[key]).is_some())
            })
    }

    pub(super) fn is_unknown_key(&self) -> bool {
        matches!(self.0.kind, Kind::UnknownKey { .. })
    }

    /// A value has something to say about itself.
    pub(super) fn is_complaint(&self) -> bool {
        matches!(self.0.kind, Kind::Complaint(_))
    }

    /// An upstream cannot do without them; but what else is written there is worth a look.
    pub(super) fn is_no_list_of_servers(&self, root: &Node, trail: &Trail) -> bool {
        let Kind::WrongType { expected } = &self.0.kind else {
            return false;
        };
        let place = Where::find(root, trail, None);
        let is_servers = place.key.and_then(Node::text) == Some("servers");
        expected == A_LIST && is_servers && !place.item
    }

    pub(super) fn diagnostic(
        &self,
        root: &Node,
        trail: &Trail,
        name: Option<&Spanned<String>>,
    ) -> Diagnostic {
        let place = Where::find(root, trail, name);
        match &self.0.kind {
            Kind::UnknownKey { key, known } => unknown_key(key, known, &place),
            Kind::MissingKey { key } => missing_key(key, &place),
            Kind::NoValue { expected } => no_value(expected, &place),
            Kind::UnknownVariant { variant, known } => unknown_variant(variant, known, &place),
            Kind::Complaint(complaint) => complaint.clone().into_diagnostic().at(place.span()),
            Kind::OutOfRange { expected } => wrong_type(code::OUT_OF_BOUNDS, expected, &place),
            Kind::WrongType { expected } => wrong_type(code::WRONG_TYPE, expected, &place),
            Kind::NotKeys { known } => not_keys(known, &place),
        }
    }
}

fn unknown_key(key: &str, known: &[&'static str], place: &Where<'_>) -> Diagnostic {
    let meant = meant(key, known).filter(|_| !METHODS.contains(&key));
    let mut diagnostic = Diagnostic::error(
        code::UNKNOWN_KEY,
        format!("unknown key `{}`{}", shortened(key), place.parent()),
    )
    .at(place.span())
    .label("not known here")
    .did_you_mean(meant);
    if meant.is_none() {
        diagnostic = helped(diagnostic, elsewhere(key, known, place));
    }
    if known.is_empty() {
        return diagnostic.note("no keys are known here");
    }
    diagnostic.note(known_keys(known))
}

/// What to do with a key that is no other's misspelling.
fn elsewhere(key: &str, known: &[&str], place: &Where<'_>) -> Option<String> {
    let is_word_of = |(word, _): (&str, &str)| known.contains(&word);
    if METHODS.contains(&key) {
        return Some("several methods are a list: `method: [ GET, POST ]`".to_owned());
    }
    if key.starts_with("//") {
        return Some("a comment begins with `#`".to_owned());
    }
    if key.split_once(':').is_some_and(is_word_of) {
        return Some("a space is missing after the `:`".to_owned());
    }
    if let Some(above) = place.above_empty().filter(|above| known.contains(above)) {
        return Some(format!(
            "indent it further if it belongs to `{above}:` above"
        ));
    }
    if let Some(help) = hints::here(key, known, place.node) {
        return Some(help);
    }
    if is_split_address(known, place) {
        let port = place.node.text().unwrap_or_default();
        return Some(format!(
            "write `\"{key}:{port}\"`: with a space after the colon it is a key"
        ));
    }
    let (key, home) = hints::home(key).filter(|(key, _)| !known.contains(key))?;
    Some(format!("`{key}` belongs in {home}"))
}

/// Where one of these is taken for a key, a list has lost its brackets.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// The name that was meant, by another program's word for it or by its spelling.
fn meant(written: &str, known: &[&'static str]) -> Option<&'static str> {
    hints::synonym(written, known).or_else(|| nearest(written, known.iter().copied()))
}

/// `- api: 5252`
fn is_split_address(known: &[&str], place: &Where<'_>) -> bool {
    known.contains(&"address")
        && place
            .node
            .text()
            .is_some_and(|port| port.parse::<u16>().is_ok())
}

fn known_keys(known: &[&str]) -> String {
    match known {
        [only] => format!("the only key known here is `{only}`"),
        _ => format!("known keys are {}", listed(known.iter().copied())),
    }
}

fn missing_key(key: &str, place: &Where<'_>) -> Diagnostic {
    let message = match place.path.as_str() {
        "" => format!("the key `{key}` is missing"),
        path => format!("the key `{key}` is missing in `{path}`"),
    };
    let diagnostic = Diagnostic::error(code::MISSING_KEY, message).label(format!("needs `{key}`"));
    match place.name() {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    }
}

fn no_value(expected: &str, place: &Where<'_>) -> Diagnostic {
    Diagnostic::error(code::NO_VALUE, format!("{} has no value", place.subject()))
        .at(place.name().unwrap_or_else(|| place.span()))
        .label(format!("expected {expected}"))
        .help(if place.item {
            "write a value after the `-`, or remove it"
        } else {
            "write a value after the colon, or remove the key"
        })
}

fn unknown_variant(variant: &str, known: &[&'static str], place: &Where<'_>) -> Diagnostic {
    Diagnostic::error(
        code::UNKNOWN_VALUE,
        format!("unknown value `{}`{}", shortened(variant), place.of()),
    )
    .at(place.span())
    .label("not known here")
    .did_you_mean(meant(variant, known))
    .note(format!(
        "known values are {}",
        listed(known.iter().copied())
    ))
}

fn not_keys(known: &[&str], place: &Where<'_>) -> Diagnostic {
    let expected = match known.first() {
        Some(first) => format!("expected keys such as `{first}: ...`"),
        None => "expected no value".to_owned(),
    };
    let mut diagnostic = Diagnostic::error(code::WRONG_TYPE, place.finding())
        .at(place.span())
        .label(expected);
    if let Some(help) = advice::keys(known, place) {
        diagnostic = diagnostic.help(help);
    }
    if known.len() > 1 {
        diagnostic.note(known_keys(known))
    } else {
        diagnostic
    }
}

fn wrong_type(code: Code, expected: &str, place: &Where<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::error(code, place.finding())
        .at(place.span())
        .label(format!("expected {expected}"));
    let list = expected == A_LIST;
    match &place.node.value {
        Value::List(_) if expected == NAMES => {
            diagnostic.help("write `name:` in place of each `- `")
        }
        Value::Scalar { .. } if expected == NAMES => helped(diagnostic, advice::names(place)),
        Value::List(_) if expected == A_VALUE => helped(diagnostic, advice::one(place)),
        Value::Map(_) if list => diagnostic.help("a `- ` stands before each item of a list"),
        Value::Scalar { text, .. } if list && text.starts_with('-') => {
            diagnostic.help("a space is missing after the `-`")
        }
        Value::Scalar { text, .. } if list => {
            diagnostic.help(format!("write `[ {} ]`", shortened(text)))
        }
        Value::Scalar {
            text, quoted: true, ..
        } if is_number(text) => diagnostic.help("remove the quotes"),
        Value::Scalar { text, .. } if place.path.contains(".split.") => {
            match text.strip_suffix('%').filter(|number| is_number(number)) {
                Some(number) => diagnostic.help(format!("shares are relative: write `{number}`")),
                None => diagnostic,
            }
        }
        _ => diagnostic,
    }
}

fn helped(diagnostic: Diagnostic, help: Option<String>) -> Diagnostic {
    match help {
        Some(help) => diagnostic.help(help),
        None => diagnostic,
    }
}

/// What is expected where one value is.
const A_VALUE: &str = "a single value";

/// What is expected where things have names.
const NAMES: &str = crate::config::named::EXPECTED;

/// What is expected where a list is.
const A_LIST: &str = "a list (`[ ... ]`)";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind)
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Kind::Complaint(Complaint::parse(&message.to_string())))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::WrongType {
            expected: plainly(expected),
        })
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(Kind::OutOfRange {
            expected: plainly(expected),
        })
    }

    fn unknown_variant(variant: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownVariant {
            variant: variant.to_owned(),
            known,
        })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Kind::UnknownKey {
            key: key.to_owned(),
            known,
        })
    }

    fn missing_field(key: &'static str) -> Self {
        Self::new(Kind::MissingKey { key })
    }
}

/// What a visitor expects, without serde's words for it.
pub(super) fn plainly(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a string" | "string" | "a character" | "a borrowed string" => A_VALUE.to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a sequence" => A_LIST.to_owned(),
        "a map" => "keys with values (`key: value`)".to_owned(),
        "unit" => "nothing".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128"
        | "isize" => "a whole number".to_owned(),
        text if text.starts_with("struct ") => "keys with values (`key: value`)".to_owned(),
        text => text.to_owned(),
    }
}
