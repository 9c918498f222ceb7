//! The text of a file and how findings about it are shown: the way rustc shows its own, by rustc's own renderer.

use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::diagnostic::{Diagnostic, Remark, Report, Severity};
use super::spanned::Span;

/// Marks longer than this are cut: a long value needs no underline to its end.
const MARK_MAX: usize = 120;

/// Places further apart than this (in bytes) are not shown in one picture: drawing it takes time for each line between.
const PICTURE_MAX: usize = 64 << 10;

fn near(a: Span, b: Span) -> bool {
    a.start.abs_diff(b.start) <= PICTURE_MAX
}

/// Whether to use colour: the caller knows whether a terminal reads along and what `NO_COLOR` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI colours.
    Always,
}

/// Where something begins and ends, as editors count: lines and columns from 1, columns in characters, the end one after the
/// last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place<'s> {
    /// The file.
    pub file: &'s str,
    /// The line of its first character.
    pub line: usize,
    /// The column of its first character.
    pub column: usize,
    /// The line in which it ends.
    pub end_line: usize,
    /// The column after its last character.
    pub end_column: usize,
}

/// A file's name and text, kept so that what is found later can be shown in it.
#[derive(Debug, Clone)]
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
}

impl Source {
    /// A text with the name that readers know it by. A byte order mark is not part of the text.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            name: name.into(),
            text: text.into(),
        }
    }

    /// The name that readers know it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The file, the lines and the columns of a span.
    #[must_use]
    pub fn place(&self, span: Span) -> Place<'_> {
        let (line, column) = self.position(span.start);
        let (end_line, end_column) = self.position(span.end.max(span.start));
        Place {
            file: &self.name,
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// Line and column of a byte, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.boundary(offset);
        let before = self.text.get(..offset).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        (line, column)
    }

    /// The findings as text, each followed by an empty line.
    #[must_use]
    pub fn render(&self, diagnostics: &[Diagnostic], colour: Colour) -> String {
        let renderer = match colour {
            Colour::Never => Renderer::plain(),
            Colour::Always => Renderer::styled(),
        };
        let mut out = String::new();
        for diagnostic in diagnostics {
            out.push_str(&renderer.render(&[self.group(diagnostic)]));
            out.push_str("\n\n");
        }
        out
    }

    fn group<'a>(&'a self, diagnostic: &'a Diagnostic) -> Group<'a> {
        let level = match diagnostic.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(
            level
                .primary_title(diagnostic.message.as_str())
                .id(diagnostic.code.to_string()),
        );
        match diagnostic.span {
            Some(span) => group = group.element(self.snippet(span, diagnostic)),
            // Of a file without text, the message itself has to say which.
            None if self.text.is_empty() && diagnostic.remarks.is_empty() => {}
            None => group = group.element(annotate_snippets::Origin::path(&*self.name)),
        }
        for (far, label) in diagnostic
            .related
            .iter()
            .filter(|(other, _)| !diagnostic.span.is_some_and(|s| near(s, *other)))
        {
            group = group.element(
                Level::NOTE.message(format!("line {}: {label}", self.position(far.start).0)),
            );
        }
        for remark in &diagnostic.remarks {
            group = group.element(match remark {
                Remark::Help(text) => Level::HELP.message(text.as_str()),
                Remark::Note(text) => Level::NOTE.message(text.as_str()),
            });
        }
        group
    }

    /// Only the lines from the first to the last mark are handed over, so that a large file costs nothing.
    fn snippet<'a>(
        &'a self,
        span: Span,
        diagnostic: &'a Diagnostic,
    ) -> Snippet<'a, Annotation<'a>> {
        let primary = self.mark(span);
        let related: Vec<(Range<usize>, &str)> = diagnostic
            .related
            .iter()
            .filter(|(other, _)| near(span, *other))
            .map(|(span, label)| (self.mark(*span), label.as_str()))
            .collect();
        let window = self.window(&primary, &related);
        let shift = |range: &Range<usize>| range.start - window.start..range.end - window.start;
        let mut snippet = Snippet::source(self.text.get(window.clone()).unwrap_or_default())
            .path(&*self.name)
            .line_start(self.position(window.start).0)
            .annotation(
                AnnotationKind::Primary
                    .span(shift(&primary))
                    .label(diagnostic.label.as_deref()),
            );
        for (range, label) in &related {
            snippet = snippet.annotation(AnnotationKind::Context.span(shift(range)).label(*label));
        }
        snippet
    }

    fn window(&self, primary: &Range<usize>, related: &[(Range<usize>, &str)]) -> Range<usize> {
        let start = related
            .iter()
            .map(|(range, _)| range.start)
            .fold(primary.start, usize::min);
        let end = related
            .iter()
            .map(|(range, _)| range.end)
            .fold(primary.end, usize::max);
        self.line_start(start)..self.line_end(end)
    }

    /// A mark that can be drawn: within the text, at characters, on one line, not endless.
    fn mark(&self, span: Span) -> Range<usize> {
        let start = self.boundary(span.start);
        let end = self.boundary(span.end.min(self.line_end(start))).max(start);
        let marked = self.text.get(start..end).unwrap_or_default().trim_end();
        let length = marked
            .char_indices()
            .nth(MARK_MAX)
            .map_or(marked.len(), |(at, _)| at);
        start..start + length
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

    /// The nearest place at or before `offset` where a character begins.
    fn boundary(&self, offset: usize) -> usize {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        offset
    }
}

impl Report {
    /// The report as text.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        self.source.render(&self.diagnostics, colour)
    }
}
