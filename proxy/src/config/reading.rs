//! From files to trees: everything that one load reads, within bounds that hold for all of it together.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::code;
use super::diagnostic::{Diagnostic, Remark};
use super::document::{self, BYTES_MAX, NODES_MAX, Node, Root};
use super::environment::{self, Lookup};
use super::files::{beside, plain};
use super::inputs::Inputs;
use super::pattern;
use super::source::Source;
use super::spanned::Span;
use super::{not_text, reason};

/// A file that is put in as a value has a key or a password, not a book.
const SECRET_MAX: usize = 64 << 10;

/// One load, while it reads.
pub(super) struct Reading<'e> {
    pub(super) source: Source,
    pub(super) inputs: Inputs,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Whether a file that is included could not be read.
    pub(super) is_partial: bool,
    environment: &'e Lookup<'e>,
    /// The texts that are included, by the names that readers know them by, where they are not to be read from the disk.
    kept: Option<HashMap<String, String>>,
    /// Bytes of text that may still be read.
    bytes_left: usize,
    nodes_left: usize,
    secrets: ValueFiles,
    /// Those of the files so far, and where they stand.
    anchors: HashMap<String, Span>,
}

/// Files whose content is a value: each is read once in a load, so that it says the same wherever it is named.
#[derive(Default)]
struct ValueFiles {
    read: HashMap<PathBuf, Result<String, String>>,
    /// Bytes that were put in: one file may be named a thousand times.
    put_in: usize,
}

impl<'e> Reading<'e> {
    pub(super) fn new(environment: &'e Lookup<'e>, inputs: Inputs) -> Self {
        Self {
            source: Source::default(),
            inputs,
            diagnostics: Vec::new(),
            is_partial: false,
            environment,
            kept: None,
            bytes_left: BYTES_MAX,
            nodes_left: NODES_MAX,
            secrets: ValueFiles::default(),
            anchors: HashMap::new(),
        }
    }

    /// From now on, what is included is one of these.
    pub(super) fn keep_to(mut self, kept: HashMap<String, String>) -> Self {
        self.kept = Some(kept);
        self
    }

    /// The files that a pattern finds from a folder on, which readers know as `shown`.
    pub(super) fn find(
        &mut self,
        folder: &Path,
        shown: &Path,
        pattern: &str,
    ) -> Result<Vec<PathBuf>, String> {
        let Some(kept) = &self.kept else {
            return self.inputs.find(folder, pattern);
        };
        let whole = plain(&shown.join(pattern));
        let mut found: Vec<PathBuf> = kept
            .keys()
            .filter(|name| pattern::takes(&whole, name))
            .map(|name| {
                folder.join(
                    Path::new(name)
                        .strip_prefix(shown)
                        .unwrap_or(Path::new(name)),
                )
            })
            .collect();
        found.sort();
        Ok(found)
    }

    /// The text of an included file, or why it cannot be read.
    pub(super) fn text(&mut self, path: &Path, name: &str) -> Result<Vec<u8>, String> {
        if let Some(kept) = &self.kept {
            let text = kept.get(name).ok_or("it was not included then")?;
            return Ok(text.clone().into_bytes());
        }
        // A pipe would be waited for.
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            return Err("it is no regular file".to_owned());
        }
        let read = self.inputs.read(path, name, self.bytes_left);
        let bytes = read.map_err(|error| reason(&error))?;
        if bytes.len() > self.bytes_left {
            let most = BYTES_MAX >> 20;
            return Err(format!("more than {most} MiB in all are not read"));
        }
        self.bytes_left -= bytes.len();
        Ok(bytes)
    }

    /// The tree of the file that is read first.
    pub(super) fn first(&mut self, name: &str, text: &str, folder: Option<&Path>) -> Option<Node> {
        self.bytes_left = self.bytes_left.saturating_sub(text.len());
        let root = self.parse(name, text, folder);
        if let Root::Empty = root {
            self.diagnostics.push(document::empty());
        }
        match root {
            Root::Node(node) => Some(node),
            Root::Empty | Root::Unreadable => None,
        }
    }

    /// The tree of an included file, which may be empty; none if it has none.
    pub(super) fn tree(&mut self, name: &str, bytes: &[u8], folder: Option<&Path>) -> Option<Node> {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => {
                self.is_partial = true;
                let base = self
                    .source
                    .add(name, &String::from_utf8_lossy(bytes), folder);
                let mut problem = not_text(error.valid_up_to());
                problem.shift(base);
                self.diagnostics.push(problem);
                return None;
            }
        };
        match self.parse(name, text, folder) {
            Root::Node(node) => Some(node),
            Root::Empty => None,
            Root::Unreadable => {
                self.is_partial = true;
                None
            }
        }
    }

    fn parse(&mut self, name: &str, text: &str, folder: Option<&Path>) -> Root {
        let base = self.source.add(name, text, folder);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut read = document::read(text, base, self.nodes_left);
        self.nodes_left = self.nodes_left.saturating_sub(read.nodes);
        let aliases = read.diagnostics.iter_mut();
        aliases
            .filter(|finding| finding.code == code::ALIAS)
            .for_each(|finding| self.of_another_file(finding, &read.anchors));
        self.anchors.extend(read.anchors);
        self.diagnostics.append(&mut read.diagnostics);
        self.is_partial |= read.is_partial;
        if let Root::Node(root) = &mut read.root {
            self.substitute(root);
        }
        read.root
    }

    /// What an alias was meant to stand for may be in another file, where it is of no use.
    fn of_another_file(&self, finding: &mut Diagnostic, own: &[(String, Span)]) {
        let written = finding.span.map(|span| self.source.written(span));
        let Some(name) = written.and_then(|written| written.strip_prefix('*')) else {
            return;
        };
        // Then it is a part of what it stands for.
        if own.iter().any(|(own, _)| own == name) {
            return;
        }
        if let Some(place) = self.anchors.get(name) {
            let label = "marked here, in another file".to_owned();
            finding.related.push((*place, label));
        }
        if self.source.is_one_of_several() {
            let note = "an anchor is known in its own file only, below the place of its `&`";
            finding.remarks.push(Remark::Note(note.to_owned()));
        }
    }

    fn substitute(&mut self, root: &mut Node) {
        let mut found = std::mem::take(&mut self.source.secrets);
        let mut values = Known {
            source: &self.source,
            environment: self.environment,
            inputs: &mut self.inputs,
            secrets: &mut self.secrets,
        };
        environment::substitute(root, &mut values, &mut found, &mut self.diagnostics);
        self.source.secrets = found;
    }
}

/// What `${...}` stands for.
struct Known<'k> {
    source: &'k Source,
    environment: &'k Lookup<'k>,
    inputs: &'k mut Inputs,
    secrets: &'k mut ValueFiles,
}

impl environment::Values for Known<'_> {
    fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    fn written(&self, place: Span) -> &str {
        self.source.written(place)
    }

    fn file(&mut self, place: Span, path: &str) -> Result<String, String> {
        let (path, name) =
            beside(self.source, place, path).ok_or("there is no folder to look for it in")?;
        let read = || value(self.inputs, &path, &name);
        let text = self
            .secrets
            .read
            .entry(path.clone())
            .or_insert_with(read)
            .clone()?;
        self.secrets.put_in += text.len();
        if self.secrets.put_in > BYTES_MAX {
            let most = BYTES_MAX >> 20;
            return Err(format!("more than {most} MiB would be put in from files"));
        }
        Ok(text)
    }
}

/// The content of a file as a value, or why it is none.
fn value(inputs: &mut Inputs, path: &Path, name: &str) -> Result<String, String> {
    // A pipe would be waited for.
    if path.metadata().is_ok_and(|it| !it.is_file()) {
        return Err("it is no regular file".to_owned());
    }
    let bytes = inputs
        .read(path, name, SECRET_MAX)
        .map_err(|error| reason(&error))?;
    if bytes.len() > SECRET_MAX {
        return Err(format!("it is larger than {} KiB", SECRET_MAX >> 10));
    }
    let mut text = String::from_utf8(bytes)
        .ok()
        .filter(|text| !text.contains('\0'))
        .ok_or("it is not UTF-8 text")?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}
