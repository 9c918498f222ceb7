//! What the sections say together: everything that can be found without running anything.

mod listeners;
mod outliers;
mod routes;
mod settings;
mod tests;
mod upstream_limits;
mod upstreams;

use super::diagnostic::{Diagnostic, Severity};
use super::document::Node;
use super::file::File;
use super::spanned::Span;

pub(crate) use self::routes::syntax as match_syntax;
pub(super) use self::upstreams::listed;

/// All findings about a file that decoded, at least in part. `earlier` are the errors of the parts that did not; `is_partial` is
/// whether something is not even there, an included file that could not be read.
pub(super) fn check(
    file: &File,
    root: &Node,
    earlier: &[Diagnostic],
    is_partial: bool,
) -> Vec<Diagnostic> {
    let context = Context {
        file,
        root,
        earlier,
        is_partial,
        incomplete: is_partial
            || root
                .entries()
                .iter()
                .any(|(_, section)| section.is_broken()),
    };
    let mut found = Vec::new();
    listeners::check(&context, &mut found);
    upstreams::check(&context, &mut found);
    upstream_limits::check(&context, &mut found);
    routes::check(&context, &mut found);
    settings::check(file, &mut found);
    tests::check(&context, &mut found);
    // A warning about what is missing is of no use while something is broken.
    found.retain(|finding| {
        !follows(finding, earlier) && (earlier.is_empty() || finding.severity == Severity::Error)
    });
    found
}

/// A finding about a part in which something is broken may only be a consequence of that.
fn follows(finding: &Diagnostic, earlier: &[Diagnostic]) -> bool {
    let Some(place) = finding.span else {
        return false;
    };
    earlier
        .iter()
        .filter_map(|error| error.span)
        .any(|broken| place.contains(broken))
}

/// What the checks look at.
struct Context<'f> {
    file: &'f File,
    root: &'f Node,
    /// What is wrong with the parts that did not decode.
    earlier: &'f [Diagnostic],
    /// Whether a whole file could not be read: what leads nowhere may lead there.
    is_partial: bool,
    /// Whether a whole section could not be read: then nothing is said about what is missing.
    incomplete: bool,
}

impl Context<'_> {
    /// The place of a section's key.
    fn section(&self, name: &str) -> Option<Span> {
        self.root
            .entries()
            .iter()
            .map(|(key, _)| key)
            .find(|key| key.text() == Some(name))
            .map(|key| key.span)
    }

    /// Whether something is known to be wrong with a section: what seems to be missing there may be what is wrong.
    fn is_wrong_within(&self, section: &str, name: &str) -> bool {
        if self.earlier.is_empty() {
            return false;
        }
        let section = self.root.get(section);
        let Some(place) = section.and_then(|section| section.get(name)) else {
            return false;
        };
        let mut spans = self.earlier.iter().filter_map(|error| error.span);
        spans.any(|wrong| place.span.contains(wrong))
    }

    /// Whether something within a section of this name had an error.
    fn broken_within(&self, section: &str, name: &str, key: &str) -> bool {
        if self.earlier.is_empty() {
            return false;
        }
        let entry = self.root.get(section).and_then(|section| section.get(name));
        entry
            .and_then(|entry| entry.get(key))
            .is_some_and(Node::has_broken)
    }
}
