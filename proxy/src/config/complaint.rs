//! What a value of ours has to say about itself, on its way through serde, whose errors are a string and nothing more.
//!
//! The string has one line for each part, which the decoder takes apart again. Another deserializer shows the lines.

use std::fmt;

use super::code::{self, Code};
use super::diagnostic::{Diagnostic, Remark};

/// What is wrong with a value, by the code that reads it; the place is added by the decoder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    code: Code,
    message: String,
    label: Option<String>,
    remarks: Vec<Remark>,
}

impl Complaint {
    /// What is wrong, in one line.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: one_line(message.into()),
            label: None,
            remarks: Vec::new(),
        }
    }

    /// What is said under the marked place.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(one_line(label.into()));
        self
    }

    /// What to write instead.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.remarks.push(Remark::Help(one_line(help.into())));
        self
    }

    /// What else is worth knowing.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.remarks.push(Remark::Note(one_line(note.into())));
        self
    }

    /// The parts of what [`fmt::Display`] wrote. What has no code is no text of ours: a filter of somebody's own decodes a type
    /// of another library.
    pub(super) fn parse(text: &str) -> Self {
        let mut lines = text.lines().peekable();
        let message = lines.next().unwrap_or_default();
        let written = lines.peek().and_then(|line| line.strip_prefix("code: "));
        let code = written.and_then(Code::parse);
        let mut complaint = Self::new(code.unwrap_or(code::REFUSED_BY_FILTER), message);
        for line in lines.skip(usize::from(code.is_some())) {
            complaint = match line.split_once(": ") {
                Some(("label", text)) => complaint.label(text),
                Some(("help", text)) => complaint.help(text),
                Some(("note", text)) => complaint.note(text),
                _ => complaint.note(line),
            };
        }
        complaint
    }

    /// The diagnostic, still without a place.
    #[must_use]
    pub fn into_diagnostic(self) -> Diagnostic {
        Diagnostic {
            label: self.label,
            remarks: self.remarks,
            ..Diagnostic::error(self.code, self.message)
        }
    }
}

/// Values are quoted in messages, and a value may hold line breaks.
fn one_line(text: String) -> String {
    if text.contains(['\n', '\r']) {
        text.replace(['\n', '\r'], " ")
    } else {
        text
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\ncode: {}", self.message, self.code)?;
        if let Some(label) = &self.label {
            write!(f, "\nlabel: {label}")?;
        }
        self.remarks.iter().try_for_each(|remark| match remark {
            Remark::Help(text) => write!(f, "\nhelp: {text}"),
            Remark::Note(text) => write!(f, "\nnote: {text}"),
        })
    }
}

impl std::error::Error for Complaint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_the_way_through_a_string() {
        let complaint = Complaint::new(code::ADDRESS, "a\nb")
            .label("c: d")
            .help("e")
            .note("help: f");
        assert_eq!(Complaint::parse(&complaint.to_string()), complaint);
        let bare = Complaint::new(code::QUANTITY, "code: E0201");
        assert_eq!(Complaint::parse(&bare.to_string()), bare);
    }

    #[test]
    fn what_others_say_has_a_code_of_its_own() {
        let parsed = Complaint::parse("invalid port\nvalue");
        let complaint = Complaint::new(code::REFUSED_BY_FILTER, "invalid port").note("value");
        assert_eq!(parsed, complaint);
    }
}
