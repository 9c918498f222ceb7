//! From the tree to plain serde types, with every mistake on the way.
//!
//! Serde stops at the first error. So a section is decoded again and again: each time, the part that failed is reported
//! and marked as broken, and the next round passes it over, until the rest decodes. What is missing only because it
//! was passed over is not reported again.

mod advice;
mod deserializer;
mod fault;
mod hints;
mod place;
mod subject;
mod variant;

use serde::de::DeserializeOwned;

use super::code;
use super::diagnostic::Diagnostic;
use super::document::{Node, Value};
use super::spanned::Spanned;
use deserializer::NodeDeserializer;
pub(crate) use hints::HEADER_FILTERS;

/// After so many errors nobody reads on, and a file that is something else altogether must not take long.
const ERRORS_MAX: usize = 100;

/// What could be decoded, and what is wrong with the rest.
pub(crate) struct Decoded<T> {
    /// The sections without the parts that had errors; none if nothing is left.
    pub(crate) value: Option<T>,
    /// One for each mistake.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

/// Decodes a tree. `name` is what its root is called and where (`http`), none for the file as a whole. Parts with errors
/// are marked as broken in the tree.
pub(crate) fn decode<T: DeserializeOwned>(
    root: &mut Node,
    name: Option<&Spanned<String>>,
) -> Decoded<T> {
    let mut diagnostics = Vec::new();
    while diagnostics.len() < ERRORS_MAX && !root.is_broken() {
        let fault = match T::deserialize(NodeDeserializer::new(root)) {
            Ok(value) => {
                return Decoded {
                    value: Some(value),
                    diagnostics,
                };
            }
            Err(fault) => fault,
        };
        let mut trail = place::trail(root, fault.place());
        if place::is_broken(root, &trail) {
            // The one that holds it cannot do without it, so that goes as well.
            trail.steps.pop();
        } else if !fault.follows_from_another(root, &trail) {
            diagnostics.push(fault.diagnostic(root, &trail, name));
        }
        if trail.at_key && fault.is_complaint() && place::mark_misnamed(root, &trail) {
            continue;
        }
        if fault.is_no_list_of_servers(root, &trail) {
            place::mark(root, &trail, Value::List(Vec::new()));
            continue;
        }
        // A misspelt key keeps its text: it tells which key is missing because of it.
        trail.at_key &= !fault.is_unknown_key();
        place::mark_broken(root, &trail);
    }
    if diagnostics.len() >= ERRORS_MAX {
        diagnostics.push(Diagnostic::error(
            code::MORE,
            format!("more than {ERRORS_MAX} errors: the rest is not shown"),
        ));
    }
    Decoded {
        value: None,
        diagnostics,
    }
}

#[cfg(test)]
mod tests;
