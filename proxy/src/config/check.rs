//! What the sections say together: everything that can be found without running anything.

use super::diagnostic::Diagnostic;
use super::document::Node;
use super::file::File;

/// All findings about a file that decoded, at least in part. `earlier` are the errors of the parts that did not.
pub(super) fn check(_file: &File, _root: &Node, _earlier: &[Diagnostic]) -> Vec<Diagnostic> {
    Vec::new()
}
