//! Merge conflicts that nobody has resolved: YAML might take their marks for a part of a value, or fail far from them.

use super::surroundings::Surroundings;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Span;

/// What a version control system left where two edits met: its marks stand at the beginning of a line.
pub(super) fn whole(text: &str) -> Option<Diagnostic> {
    let mut marks = marks(text);
    let (kind, span) = marks.next()?;
    let mut problem = unresolved(kind, span);
    let mut last = kind;
    for (kind, span) in marks {
        if kind <= last {
            break;
        }
        problem = problem.related(span, kind.label());
        last = kind;
    }
    Some(problem)
}

fn unresolved(mark: Mark, span: Span) -> Diagnostic {
    Diagnostic::error(code::NOT_YAML, "a merge conflict that nobody has resolved")
        .at(span)
        .label(mark.label())
        .help("keep one of the two sides, and remove the lines of `<`, `=` and `>`")
}

/// A line between the sides of a conflict.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    First,
    Base,
    Second,
    End,
}

impl Mark {
    fn of(line: &str) -> Option<Self> {
        let is = |mark: &str| {
            line.strip_prefix(mark)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        match line {
            "=======" => Some(Self::Second),
            _ if is("<<<<<<<") => Some(Self::First),
            _ if is("|||||||") => Some(Self::Base),
            _ if is(">>>>>>>") => Some(Self::End),
            _ => None,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::First => "one side begins here",
            Self::Base => "what both were made of begins here",
            Self::Second => "the other side begins here",
            Self::End => "the other side ends here",
        }
    }
}

fn marks(text: &str) -> impl Iterator<Item = (Mark, Span)> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        let line = line.trim_end();
        Some((Mark::of(line)?, Span::new(start, start + line.len())))
    })
}

/// A mark of a conflict that something has indented: only where it is what YAML does not understand.
pub(super) fn indented(near: &Surroundings<'_>) -> Option<Diagnostic> {
    let (span, line) = near.line();
    let kind = Mark::of(line)?;
    Some(unresolved(kind, span))
}
