//! What is wrong, where, and what to do about it.

use std::fmt;

use serde::Serialize;

use super::code::{self, Code};
use super::inputs::Inputs;
use super::quotes;
use super::source::Source;
use super::spanned::Span;

/// Whether the file can be used all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but it probably does not do what its author wants.
    Warning,
}

/// A remark below the marked line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remark {
    /// What to write instead.
    Help(String),
    /// What else is worth knowing.
    Note(String),
}

/// One finding about the file.
///
/// Built in a chain:
/// `Diagnostic::error(code::SAME_PORT, "two listeners on one address").at(span).label("taken").related(first, "here")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// What kind of finding it is.
    pub code: Code,
    /// Whether the file can be used all the same.
    pub severity: Severity,
    /// What is wrong, in one line that stands alone.
    pub message: String,
    /// The place; none for what concerns the file as a whole.
    pub span: Option<Span>,
    /// What is said under the marked place.
    pub label: Option<String>,
    /// Other places that belong to it, each with its own label.
    pub related: Vec<(Span, String)>,
    /// What follows below.
    pub remarks: Vec<Remark>,
}

impl Diagnostic {
    /// The file cannot be used.
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, message.into())
    }

    /// The file can be used all the same.
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, message.into())
    }

    /// The same in a file that begins so many bytes further on.
    pub(super) fn shift(&mut self, by: usize) {
        let related = self.related.iter_mut().map(|(span, _)| span);
        related
            .chain(&mut self.span)
            .for_each(|span| *span = span.shifted(by));
    }

    fn new(severity: Severity, code: Code, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            span: None,
            label: None,
            related: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// The place.
    #[must_use]
    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// What is said under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Another place that belongs to it.
    #[must_use]
    pub fn related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.related.push((span, label.into()));
        self
    }

    /// What to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.remarks.push(Remark::Help(help.into()));
        self
    }

    /// What else is worth knowing.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.remarks.push(Remark::Note(note.into()));
        self
    }

    /// "did you mean ...", if there is a near name.
    #[must_use]
    pub fn did_you_mean(self, nearest: Option<&str>) -> Self {
        match nearest {
            Some(name) => self.help(format!("did you mean `{name}`?")),
            None => self,
        }
    }
}

/// After so many findings nobody reads on.
const SHOWN_MAX: usize = 200;

/// Everything that was found about a file and those that it includes: what a refused file comes back with.
#[derive(Debug, Clone)]
pub struct Report {
    /// The files.
    pub source: Source,
    /// What was found, in the order of the files. No secret is quoted.
    pub diagnostics: Vec<Diagnostic>,
    /// What was read to find it.
    pub inputs: Inputs,
}

impl Report {
    /// A report in the order of the files; what was found twice at one place is said once, and secrets are hidden.
    #[must_use]
    pub fn new(source: Source, mut diagnostics: Vec<Diagnostic>) -> Self {
        diagnostics.sort_by(|a, b| (a.span, &a.message).cmp(&(b.span, &b.message)));
        diagnostics.dedup_by(|b, a| a.span == b.span && a.message == b.message);
        let more = diagnostics.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            let has_errors = diagnostics.iter().any(|d| d.severity == Severity::Error);
            diagnostics.truncate(SHOWN_MAX);
            let message = format!("{more} more, not shown");
            diagnostics.push(match has_errors {
                true => Diagnostic::error(code::MORE, message),
                false => Diagnostic::warning(code::MORE_WARNINGS, message),
            });
        }
        for finding in &mut diagnostics {
            if let Some(span) = finding.span {
                quotes::explain(finding, source.written(span));
            }
            source.secrets().hide(finding);
        }
        Self {
            source,
            diagnostics,
            inputs: Inputs::default(),
        }
    }

    /// The same, of a load that read these.
    #[must_use]
    pub fn after(mut self, inputs: Inputs) -> Self {
        self.inputs = inputs;
        self
    }

    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.count(Severity::Error)
    }

    /// How many warnings there are.
    #[must_use]
    pub fn warnings(&self) -> usize {
        self.count(Severity::Warning)
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == severity)
            .count()
    }

    /// `2 errors`, `1 error and 3 warnings`.
    #[must_use]
    pub fn tally(&self) -> String {
        match (self.errors(), self.warnings()) {
            (errors, 0) => counted(errors, "error"),
            (0, warnings) => counted(warnings, "warning"),
            (errors, warnings) => format!(
                "{} and {}",
                counted(errors, "error"),
                counted(warnings, "warning")
            ),
        }
    }
}

/// `1 route`, `2 routes`.
pub(crate) fn counted(n: usize, noun: &str) -> String {
    if n == 1 {
        format!("1 {noun}")
    } else {
        format!("{n} {noun}s")
    }
}

/// Without colour.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(super::Colour::Never))
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    /// A report about a file with so many warnings, and an error or none at the end.
    fn report(warnings: usize, error: Option<Diagnostic>) -> Report {
        let warning = |number| {
            let place = Span::new(number, number);
            Diagnostic::warning(code::UPSTREAM_UNUSED, "unused").at(place)
        };
        let all = (0..warnings).map(warning).chain(error).collect();
        Report::new(Source::new("a.yaml", ""), all)
    }

    #[test]
    fn many_warnings_refuse_nothing() {
        let report = report(SHOWN_MAX + 3, None);
        assert_eq!((report.errors(), report.warnings()), (0, SHOWN_MAX + 1));
        let last = report.diagnostics.last().unwrap();
        assert_eq!(
            (last.code, last.message.as_str()),
            (code::MORE_WARNINGS, "3 more, not shown")
        );
    }

    #[test]
    fn an_error_behind_many_warnings_still_refuses() {
        let error = Diagnostic::error(code::NO_SERVERS, "none").at(Span::new(900, 901));
        let report = report(SHOWN_MAX, Some(error));
        assert_eq!(report.errors(), 1);
        assert_eq!(report.diagnostics.last().unwrap().code, code::MORE);
    }
}
