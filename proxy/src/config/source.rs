//! The texts of the files and how findings about them are shown: the way rustc shows its own, by rustc's own renderer.
//!
//! A place is a number of bytes from the beginning of the first file, as if all of them stood one after another: it says
//! which file and where in it. Whoever has one asks here.

mod text;

use std::path::Path;

use annotate_snippets::{Annotation, AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use serde::Serialize;

use self::text::Text;
use super::diagnostic::{Diagnostic, Remark, Report, Severity};
use super::secrets::Secrets;
use super::spanned::Span;

/// Places further apart than this (in bytes) are not shown in one picture: drawing it takes time for each line between.
const PICTURE_MAX: usize = 64 << 10;

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

/// The files' names and texts, kept so that what is found later can be shown in them.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// In the order in which they were read, which is that of their bases.
    files: Vec<Text>,
    pub(super) secrets: Secrets,
}

impl Source {
    /// A text with the name that readers know it by. A byte order mark is not part of the text.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let mut source = Self::default();
        source.add(name, text, None);
        source
    }

    /// One more text, and the folder in which what it names is looked for. Returns where its places begin.
    pub(super) fn add(&mut self, name: &str, text: &str, folder: Option<&Path>) -> usize {
        // The end of one file is another place than the beginning of the next.
        let base = self.files.last().map_or(0, |last| last.end() + 1);
        self.files.push(Text::new(base, name, text, folder));
        base
    }

    /// The name of the file that was read first, which includes the others.
    #[must_use]
    pub fn name(&self) -> &str {
        self.files.first().map_or("", Text::name)
    }

    /// The text of the file that was read first.
    #[must_use]
    pub fn text(&self) -> &str {
        self.files.first().map_or("", Text::as_str)
    }

    /// The file, the lines and the columns of a span.
    #[must_use]
    pub fn place(&self, span: Span) -> Place<'_> {
        let (line, column) = self.position(span.start);
        let (end_line, end_column) = self.position(span.end.max(span.start));
        Place {
            file: self.name_at(span.start),
            line,
            column,
            end_line,
            end_column,
        }
    }

    /// Names and texts of all files, the first one first.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|file| (file.name(), file.as_str()))
    }

    /// Whether there are other files, or the only one so far includes some.
    pub(super) fn is_one_of_several(&self) -> bool {
        let begins = |line: &str| line.starts_with("include:");
        self.files.len() > 1 || self.text().lines().any(begins)
    }

    /// The name of the file in which a place is.
    #[must_use]
    pub fn name_at(&self, offset: usize) -> &str {
        self.file(offset).map_or("", Text::name)
    }

    /// What is written at a place.
    #[must_use]
    pub fn written(&self, span: Span) -> &str {
        self.file(span.start).map_or("", |file| file.written(span))
    }

    /// Where relative files are looked for that the file of this place names; none if it lies nowhere.
    pub(super) fn folder_at(&self, offset: usize) -> Option<&Path> {
        self.file(offset).and_then(Text::folder)
    }

    /// Line and column of a place in its file, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        self.file(offset)
            .map_or((1, 1), |file| file.position(offset))
    }

    /// What was read by `${file:...}`, and is not shown.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    fn file(&self, offset: usize) -> Option<&Text> {
        let after = self.files.partition_point(|file| file.base() <= offset);
        self.files.get(after.checked_sub(1)?)
    }

    fn is_near(&self, a: Span, b: Span) -> bool {
        self.is_one_file(a, b) && a.start.abs_diff(b.start) <= PICTURE_MAX
    }

    fn is_one_file(&self, a: Span, b: Span) -> bool {
        let base = |span: Span| self.file(span.start).map(Text::base);
        base(a) == base(b)
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
            None if self.text().is_empty() && diagnostic.remarks.is_empty() => {}
            None => group = group.element(Origin::path(self.name())),
        }
        for (far, label) in diagnostic
            .related
            .iter()
            .filter(|(other, _)| !diagnostic.span.is_some_and(|s| self.is_near(s, *other)))
        {
            let elsewhere = diagnostic.span.is_some_and(|s| !self.is_one_file(s, *far));
            group = match self.file(far.start).filter(|_| elsewhere) {
                Some(file) => group.element(one_line(file, *far, label)),
                None => group.element(
                    Level::NOTE.message(format!("line {}: {label}", self.position(far.start).0)),
                ),
            };
        }
        for remark in &diagnostic.remarks {
            group = group.element(match remark {
                Remark::Help(text) => Level::HELP.message(text.as_str()),
                Remark::Note(text) => Level::NOTE.message(text.as_str()),
            });
        }
        group
    }

    fn snippet<'a>(
        &'a self,
        span: Span,
        diagnostic: &'a Diagnostic,
    ) -> Snippet<'a, Annotation<'a>> {
        let related: Vec<(Span, &str)> = diagnostic
            .related
            .iter()
            .filter(|(other, _)| self.is_near(span, *other))
            .map(|(span, label)| (*span, label.as_str()))
            .collect();
        let Some(file) = self.file(span.start) else {
            return Snippet::source("");
        };
        picture(file, span, diagnostic.label.as_deref(), &related)
    }
}

/// Only the lines from the first to the last mark are handed over, so that a large file costs nothing.
fn picture<'a>(
    file: &'a Text,
    span: Span,
    label: Option<&'a str>,
    related: &[(Span, &'a str)],
) -> Snippet<'a, Annotation<'a>> {
    let primary = file.mark(span);
    let marks: Vec<_> = related
        .iter()
        .map(|(span, label)| (file.mark(*span), *label))
        .collect();
    let all = || marks.iter().map(|(mark, _)| mark).chain([&primary]);
    let window = file.lines(
        all().map(|mark| mark.start).min().unwrap_or_default(),
        all().map(|mark| mark.end).max().unwrap_or_default(),
    );
    let mut snippet = file.excerpt(&window).annotation(
        AnnotationKind::Primary
            .span(within(&window, &primary))
            .label(label),
    );
    for (mark, label) in &marks {
        let place = AnnotationKind::Context.span(within(&window, mark));
        snippet = snippet.annotation(place.label(*label));
    }
    snippet
}

/// A place in another file than the finding's.
fn one_line<'a>(file: &'a Text, span: Span, label: &'a str) -> Snippet<'a, Annotation<'a>> {
    let mark = file.mark(span);
    let window = file.lines(mark.start, mark.end);
    let place = AnnotationKind::Context.span(within(&window, &mark));
    file.excerpt(&window).annotation(place.label(label))
}

fn within(
    window: &std::ops::Range<usize>,
    mark: &std::ops::Range<usize>,
) -> std::ops::Range<usize> {
    mark.start - window.start..mark.end - window.start
}

impl Report {
    /// The report as text.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        self.source.render(&self.diagnostics, colour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_in_one_file() {
        let mut source = Source::new("a", "one\ntwo");
        let base = source.add("b", "\u{feff}three\n", None);
        assert_eq!(base, 8);
        assert_eq!((source.name_at(7), source.position(7)), ("a", (2, 4)));
        assert_eq!((source.name_at(8), source.position(8)), ("b", (1, 1)));
        assert_eq!(source.written(Span::new(8, 13)), "three");
        assert_eq!((source.name(), source.text()), ("a", "one\ntwo"));
        assert_eq!(source.position(usize::MAX), (2, 1));
        assert_eq!(Source::default().position(3), (1, 1));
    }

    #[test]
    fn a_finding_shows_the_other_file_too() {
        let mut source = Source::new("a.yaml", "x: 1\n");
        let base = source.add("b.yaml", "\nx: 2\n", None);
        let twice = Diagnostic::error(crate::config::code::KEY_TWICE, "twice")
            .at(Span::new(base + 1, base + 2))
            .label("again")
            .related(Span::new(0, 1), "first");
        let shown = source.render(&[twice], Colour::Never);
        for part in [
            "b.yaml:2:1",
            "2 | x: 2",
            "a.yaml:1:1",
            "1 | x: 1",
            "- first",
        ] {
            assert!(shown.contains(part), "{part} is not in\n{shown}");
        }
    }
}
