//! What is wrong with a file that is not YAML, in our words: the parser's are about tokens, the reader's about lines.

use serde_yaml::granit_parser::ScanError;

use super::Node;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Span;

/// The smallest file that does something.
const EMPTY_HELP: &str =
    "the least that works is `listeners: { web: { address: \"0.0.0.0:80\" } }`";

/// Nothing was written.
pub(super) fn empty() -> Diagnostic {
    Diagnostic::error("the file is empty").help(EMPTY_HELP)
}

/// A `---` in the middle.
pub(super) fn second_document(span: Span) -> Diagnostic {
    Diagnostic::error("a second document begins here")
        .at(span)
        .label("the routing file is one document")
        .help("remove the `---`, or what follows it")
}

/// `[a]: b` and the like.
pub(super) fn odd_key(key: &Node) -> Diagnostic {
    let diagnostic = Diagnostic::error("a key must be a word")
        .at(key.span)
        .label(format!("this is {}", key.describe()));
    match key.text() {
        None => diagnostic
            .help("put values that begin with `{` or `[` into quotes if they are meant as text"),
        Some(_) => diagnostic,
    }
}

/// The parser's error at its place.
pub(super) fn diagnostic(text: &str, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len());
    let span = Span::new(at, at + 1);
    Diagnostic::error(format!("{}", error.kind())).at(span)
}
