//! One file's text: its lines, its columns, and marks that can be drawn in it.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use annotate_snippets::{Annotation, Snippet};

use crate::config::spanned::Span;

/// Marks longer than this are cut: a long value needs no underline to its end.
const MARK_MAX: usize = 120;

/// A file's name, text and place among the others. Offsets from outside count from the beginning of the first file,
/// those within from the beginning of this one.
#[derive(Debug, Clone)]
pub(super) struct Text {
    base: usize,
    name: Arc<str>,
    text: Arc<str>,
    folder: Option<Arc<Path>>,
}

impl Text {
    pub(super) fn new(base: usize, name: &str, text: &str, folder: Option<&Path>) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            base,
            name: name.into(),
            text: text.into(),
            folder: folder.map(Into::into),
        }
    }

    pub(super) fn base(&self) -> usize {
        self.base
    }

    pub(super) fn end(&self) -> usize {
        self.base + self.text.len()
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    pub(super) fn written(&self, span: Span) -> &str {
        let place = self.boundary(span.start)..self.boundary(span.end);
        self.text.get(place).unwrap_or_default()
    }

    /// Line and column.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        (self.line(offset), self.column(offset))
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or_default();
        before.matches('\n').count() + 1
    }

    fn column(&self, offset: usize) -> usize {
        let before = self.text.get(self.line_start(offset)..offset);
        before.unwrap_or_default().chars().count() + 1
    }

    /// A mark that can be drawn: within the text, at characters, on one line, not endless.
    pub(super) fn mark(&self, span: Span) -> Range<usize> {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.min(self.base + self.line_end(start)));
        let end = end.max(start);
        let marked = self.text.get(start..end).unwrap_or_default().trim_end();
        let length = marked
            .char_indices()
            .nth(MARK_MAX)
            .map_or(marked.len(), |(at, _)| at);
        start..start + length
    }

    /// From the beginning of the line of `start` to the end of that of `end`.
    pub(super) fn lines(&self, start: usize, end: usize) -> Range<usize> {
        self.line_start(start)..self.line_end(end)
    }

    /// Whole lines, as they are shown.
    pub(super) fn excerpt<'a>(&'a self, lines: &Range<usize>) -> Snippet<'a, Annotation<'a>> {
        Snippet::source(self.text.get(lines.clone()).unwrap_or_default())
            .path(&*self.name)
            .line_start(self.line(lines.start))
    }

    fn line_start(&self, offset: usize) -> usize {
        self.text
            .get(..offset)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |at| at + 1)
    }

    fn line_end(&self, offset: usize) -> usize {
        let rest = self.text.get(offset..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        offset + line.trim_end_matches('\r').len()
    }

    /// The nearest place at or before an offset from outside where a character begins.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.saturating_sub(self.base).min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}
