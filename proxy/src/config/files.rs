//! The files that the routing file names in its options (a body, a list of users): beside the file that names them.

use std::cell::RefCell;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::inputs::Inputs;
use super::source::Source;
use super::spanned::Spanned;
use super::{Span, reason};

/// Reads what a routing file names, and notes that it was read.
#[derive(Debug, Clone, Default)]
pub struct Files(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    source: Source,
    inputs: RefCell<Inputs>,
    is_partial: bool,
}

impl Files {
    pub(super) fn new(source: Source, inputs: Inputs, is_partial: bool) -> Self {
        Self(Rc::new(Inner {
            source,
            inputs: RefCell::new(inputs),
            is_partial,
        }))
    }

    /// Whether an included file could not be read: what seems to be missing may stand there.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.0.is_partial
    }

    /// Reads a file, one byte more than `most` at the most.
    ///
    /// # Errors
    /// Why it cannot be read, in a few words.
    pub fn read(&self, written: &Spanned<String>, most: usize) -> Result<Vec<u8>, String> {
        let (path, name) = beside(&self.0.source, written.span, written)
            .ok_or("there is no folder to look for it in")?;
        // A pipe would be waited for.
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            return Err("it is no regular file".to_owned());
        }
        let mut inputs = self.0.inputs.borrow_mut();
        inputs
            .read(&path, &name, most)
            .map_err(|error| reason(&error))
    }

    /// Where a file lies that is read later, and what readers know it by; none if there is no folder to look for it in.
    #[must_use]
    pub fn beside(&self, written: &Spanned<String>) -> Option<(PathBuf, String)> {
        beside(&self.0.source, written.span, written)
    }

    pub(super) fn into_inputs(self) -> Inputs {
        self.0.inputs.take()
    }
}

/// Where a file lies that is named at a place, and what readers know it by; none if the place is in no file.
pub(super) fn beside(source: &Source, place: Span, written: &str) -> Option<(PathBuf, String)> {
    let folder = source.folder_at(place.start)?;
    let shown = folder_of(Path::new(source.name_at(place.start))).join(written);
    Some((folder.join(written), plain(&shown)))
}

/// Without a `./` that nobody wrote.
pub(super) fn plain(path: &Path) -> String {
    without_dots(path).display().to_string()
}

/// A path without the parts that lead nowhere: `./conf/./a.yaml` is `conf/a.yaml`.
#[must_use]
pub fn without_dots(path: &Path) -> PathBuf {
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

/// The folder of a file; of a bare name, the one where we are.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
