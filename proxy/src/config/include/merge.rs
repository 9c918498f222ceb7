//! From the trees of several files to one.

use std::collections::HashMap;

use super::INCLUDE;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::document::{Node, Value, shortened};
use crate::config::spanned::Span;

/// Sections of things with names: several files may say some of them. All others are settings, and stand in one file.
const NAMED: [&str; 5] = ["listeners", "upstreams", "filters", "routes", "tests"];

/// What a file cannot do without; it may stand in one that could not be read.
const REQUIRED: &str = "listeners";

/// The tree so far; that of the first file is a group of keys.
pub(super) struct Merged {
    span: Span,
    sections: Vec<(Node, Node)>,
    /// Of a section, and of the names in it.
    places: HashMap<String, Section>,
}

struct Section {
    /// Its position among the sections.
    index: usize,
    names: HashMap<String, Span>,
}

impl Merged {
    pub(super) fn new(root: Node) -> Self {
        let mut merged = Self {
            span: root.span,
            sections: Vec::new(),
            places: HashMap::new(),
        };
        if let Value::Map(sections) = root.value {
            let sections = sections.into_iter();
            sections.for_each(|(key, value)| merged.push(key, value));
        }
        merged
    }

    /// What another file says.
    pub(super) fn add(&mut self, part: Node, diagnostics: &mut Vec<Diagnostic>) {
        let sections = match part.value {
            Value::Map(sections) => sections,
            Value::Null | Value::Broken => return,
            _ => {
                let problem =
                    Diagnostic::error(code::WRONG_TYPE, format!("the file is {}", part.describe()));
                let problem = problem
                    .at(part.span)
                    .label("expected keys such as `routes: ...`");
                return diagnostics
                    .push(problem.note("an included file has the shape of the whole one"));
            }
        };
        for (key, value) in sections {
            match key.text() {
                Some(INCLUDE) | None => {}
                Some(name) if NAMED.contains(&name) => self.names(key, value, diagnostics),
                Some(_) => self.setting(key, value, diagnostics),
            }
        }
    }

    pub(super) fn finish(mut self, is_partial: bool) -> Node {
        if is_partial && !self.places.contains_key(REQUIRED) {
            let scalar = |value| Node {
                span: self.span,
                value,
            };
            let key = Value::Scalar {
                text: REQUIRED.to_owned(),
                quoted: false,
                literal: Vec::new(),
            };
            let entry = (scalar(key), scalar(Value::Broken));
            self.sections.push(entry);
        }
        Node {
            span: self.span,
            value: Value::Map(self.sections),
        }
    }

    fn push(&mut self, key: Node, value: Node) {
        if let Some(name) = key.text() {
            let names = value.entries().iter();
            let section = Section {
                index: self.sections.len(),
                names: names
                    .filter_map(|(name, _)| Some((name.text()?.to_owned(), name.span)))
                    .collect(),
            };
            self.places.insert(name.to_owned(), section);
        }
        self.sections.push((key, value));
    }

    /// Settings in two files would be read by nobody as they are meant.
    fn setting(&mut self, key: Node, value: Node, diagnostics: &mut Vec<Diagnostic>) {
        match self.first(&key) {
            Some(first) => diagnostics.push(twice(&key, first).help("settings stand in one file")),
            None => self.push(key, value),
        }
    }

    /// Where a section was written first.
    fn first(&self, key: &Node) -> Option<Span> {
        let section = self.places.get(key.text()?)?;
        self.sections.get(section.index).map(|(key, _)| key.span)
    }

    fn names(&mut self, key: Node, value: Node, diagnostics: &mut Vec<Diagnostic>) {
        let known = key.text().and_then(|name| self.places.get_mut(name));
        let Some(section) = known else {
            return self.push(key, value);
        };
        let Some((_, written)) = self.sections.get_mut(section.index) else {
            return;
        };
        if written.value == Value::Null {
            written.value = Value::Map(Vec::new());
        }
        match (&mut written.value, value.value) {
            (Value::Map(entries), Value::Map(more)) => {
                for (name, value) in more {
                    if let Some(problem) = section.claim(&name) {
                        diagnostics.push(problem);
                    } else {
                        entries.push((name, value));
                    }
                }
            }
            // What is wrong with the first one is said by whoever decodes it.
            (_, Value::Null | Value::Broken | Value::Map(_)) => {}
            (_, other) => {
                let span = value.span;
                let what = Node { span, value: other };
                let key = key.text().unwrap_or_default();
                let message = format!("`{key}` is {}", what.describe());
                let problem = Diagnostic::error(code::WRONG_TYPE, message).at(span);
                diagnostics
                    .push(problem.label("expected names with their settings (`name: { ... }`)"));
            }
        }
    }
}

impl Section {
    /// Takes a name, or says that it is taken.
    fn claim(&mut self, name: &Node) -> Option<Diagnostic> {
        let text = name.text()?;
        if let Some(first) = self.names.get(text) {
            return Some(twice(name, *first));
        }
        self.names.insert(text.to_owned(), name.span);
        None
    }
}

fn twice(key: &Node, first: Span) -> Diagnostic {
    let key_text = shortened(key.text().unwrap_or_default());
    Diagnostic::error(
        code::KEY_TWICE,
        format!("the key `{key_text}` is written twice"),
    )
    .at(key.span)
    .label("written again here")
    .related(first, "first written here")
}
