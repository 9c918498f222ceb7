//! What a check found, for programs: editors, CI, the operator's side. People read [`Source::render`].
//!
//! ```json
//! { "file": "conf/tidegate.yaml", "ok": true, "errors": 0, "warnings": 0, "diagnostics": [],
//!   "summary": { "listeners": 1, "upstreams": 2, "routes": 2, "tests": 2 } }
//! ```

use serde::Serialize;

use super::diagnostic::{Diagnostic, Remark, Report, Severity};
use super::file::File;
use super::source::{Place, Source};
use super::{Loaded, Span};

/// What a check found.
#[derive(Debug, Clone, Serialize)]
pub struct Verdict<'c> {
    /// The file that was asked about.
    pub file: &'c str,
    /// Whether it can be used.
    pub ok: bool,
    /// How many errors there are.
    pub errors: usize,
    /// How many warnings there are.
    pub warnings: usize,
    /// All of them, in the order of the file.
    pub diagnostics: Vec<Finding<'c>>,
    /// What the file has; none if it cannot be used.
    pub summary: Option<Summary>,
}

/// One of the findings.
#[derive(Debug, Clone, Serialize)]
pub struct Finding<'c> {
    /// `E0201`.
    pub code: String,
    /// `error` or `warning`.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: &'c str,
    /// The file that it is in.
    pub file: &'c str,
    /// The first line, from 1; with the other three, none for what concerns the file as a whole.
    pub line: Option<usize>,
    /// The first character of the line, from 1.
    pub column: Option<usize>,
    /// The last line.
    pub end_line: Option<usize>,
    /// One after the last character.
    pub end_column: Option<usize>,
    /// What is said about the place.
    pub label: Option<&'c str>,
    /// Other places that belong to it.
    pub related: Vec<Related<'c>>,
    /// What to write instead.
    pub help: Vec<&'c str>,
    /// What else is worth knowing.
    pub notes: Vec<&'c str>,
}

/// Another place that belongs to a finding.
#[derive(Debug, Clone, Serialize)]
pub struct Related<'c> {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place<'c>,
    /// What is said about it.
    pub label: &'c str,
}

/// How much there is in a file that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Of listeners.
    pub listeners: usize,
    /// Of upstreams.
    pub upstreams: usize,
    /// Of routes.
    pub routes: usize,
    /// Of tests of its own, which it passed.
    pub tests: usize,
}

impl Summary {
    /// Of this file.
    #[must_use]
    pub fn of(file: &File) -> Self {
        Self {
            listeners: file.listeners.len(),
            upstreams: file.upstreams.len(),
            routes: file.routes.len(),
            tests: file.tests.len(),
        }
    }
}

impl Report {
    /// The report for programs.
    #[must_use]
    pub fn verdict(&self) -> Verdict<'_> {
        Verdict::new(&self.source, &self.diagnostics, None)
    }
}

impl<T> Loaded<T> {
    /// The warnings for programs.
    #[must_use]
    pub fn verdict(&self) -> Verdict<'_> {
        let summary = Summary::of(&self.file);
        Verdict::new(&self.source, &self.warnings, Some(summary))
    }
}

impl<'c> Verdict<'c> {
    fn new(source: &'c Source, found: &'c [Diagnostic], summary: Option<Summary>) -> Self {
        let count = |severity| found.iter().filter(|one| one.severity == severity).count();
        Self {
            file: source.name(),
            ok: summary.is_some(),
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            diagnostics: found.iter().map(|one| Finding::new(source, one)).collect(),
            summary,
        }
    }
}

impl<'c> Finding<'c> {
    fn new(source: &'c Source, found: &'c Diagnostic) -> Self {
        let place = found.span.map(|span| source.place(span));
        let related = |(span, label): &'c (Span, String)| Related {
            place: source.place(*span),
            label,
        };
        let mut help = Vec::new();
        let mut notes = Vec::new();
        for remark in &found.remarks {
            match remark {
                Remark::Help(text) => help.push(text.as_str()),
                Remark::Note(text) => notes.push(text.as_str()),
            }
        }
        Self {
            code: found.code.to_string(),
            severity: found.severity,
            message: &found.message,
            file: place.map_or(source.name(), |place| place.file),
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            end_line: place.map(|place| place.end_line),
            end_column: place.map(|place| place.end_column),
            label: found.label.as_deref(),
            related: found.related.iter().map(related).collect(),
            help,
            notes,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::{as_written, parse};

    const GOOD: &str = "listeners: { web: { address: '0.0.0.0:80' } }\n";

    fn verdict(text: &str) -> Value {
        let verdict = match parse("a.yaml", text, &|_| None, None, as_written) {
            Ok(loaded) => serde_json::to_value(loaded.verdict()),
            Err(report) => serde_json::to_value(report.verdict()),
        };
        verdict.unwrap()
    }

    #[test]
    fn a_place_is_told_by_lines_and_characters() {
        let verdict = verdict(&format!("# größer\n{GOOD}retry:\n  \"ättempts\": 3\n"));
        let found = &verdict["diagnostics"][0];
        assert_eq!(
            (&verdict["ok"], &verdict["errors"]),
            (&json!(false), &json!(1))
        );
        assert_eq!(verdict["summary"], Value::Null);
        assert_eq!(
            (&found["code"], &found["severity"]),
            (&json!("E0201"), &json!("error"))
        );
        let place = [
            &found["line"],
            &found["column"],
            &found["end_line"],
            &found["end_column"],
        ];
        assert_eq!(place, [&json!(4), &json!(3), &json!(4), &json!(13)]);
        assert_eq!(found["help"], json!(["did you mean `attempts`?"]));
        assert_eq!(
            found["notes"],
            json!([
                "known keys are `attempts`, `when`, `statuses`, `idempotency_key`, `backoff` and `budget`"
            ])
        );
    }

    #[test]
    fn related_places_come_along() {
        let verdict = verdict(&format!("{GOOD}limits: {{}}\nlimits: {{}}\n"));
        let related = &verdict["diagnostics"][0]["related"];
        let want = json!([{ "file": "a.yaml", "line": 2, "column": 1, "end_line": 2, "end_column": 7, "label": "first written here" }]);
        assert_eq!(*related, want);
    }

    #[test]
    fn what_concerns_the_file_has_no_place() {
        let verdict = verdict(GOOD);
        let found = &verdict["diagnostics"][0];
        assert_eq!(
            (&verdict["ok"], &verdict["warnings"]),
            (&json!(true), &json!(1))
        );
        assert_eq!(
            (&found["file"], &found["line"]),
            (&json!("a.yaml"), &Value::Null)
        );
        assert_eq!(
            verdict["summary"],
            json!({ "listeners": 1, "upstreams": 0, "routes": 0, "tests": 0 })
        );
    }
}
