//! What is left of a text that is no YAML: the rest of its mistakes are told together with the one that stops the reader.
//!
//! The lines around that one are blanked, so that all others keep their places: an item of a list, what has a name, or a
//! whole section. What is lost is remembered by its name, as broken: nobody is told that it does not exist.

use std::borrow::Cow;
use std::ops::Range;

use super::read::{Read, Root, once};
use super::{Node, Value};
use crate::config::code::{self, Code};
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Span;

/// A text with more than so many mistakes of this kind is not worth more.
const ROUNDS: usize = 10;

/// Larger texts are not read again.
const BYTES_MAX: usize = 2 << 20;

/// These stop the reader at one place, and say nothing about the others.
const LOCAL: [Code; 11] = [
    code::TAB,
    code::INDENTATION,
    code::COLON_MISSING,
    code::SECOND_COLON,
    code::QUOTES,
    code::ESCAPE,
    code::BRACKETS,
    code::COMMA_MISSING,
    code::NEEDS_QUOTES,
    code::LIST_MISPLACED,
    code::ODD_KEY,
];

/// Of these it is not known where they end: what follows may only be a consequence.
const OPEN: [Code; 2] = [code::QUOTES, code::BRACKETS];

/// Reads a text, and what is left of it where it is no YAML.
pub(super) fn read(text: &str, nodes_max: usize) -> Read {
    let mut salvage = Salvage::default();
    let mut stopped = Vec::new();
    let mut left = Cow::Borrowed(text);
    loop {
        let (result, mut read) = once(&left, nodes_max);
        let rest = match result {
            Ok(Some(mut root)) => {
                read.is_partial = salvage.is_partial();
                if read.is_partial {
                    // Who uses it may stand in what is lost.
                    let findings = &mut read.diagnostics;
                    findings.retain(|finding| finding.code != code::ANCHOR_UNUSED);
                }
                salvage.restore(&mut root);
                read.root = Root::Node(root);
                None
            }
            Ok(None) => {
                if stopped.is_empty() {
                    read.root = Root::Empty;
                }
                None
            }
            Err(_) if salvage.is_open => None,
            Err(fatal) => {
                let rest = salvage.without(&left, &fatal);
                stopped.push(*fatal);
                rest
            }
        };
        match rest {
            Some(rest) => left = Cow::Owned(rest),
            None => {
                read.diagnostics.append(&mut stopped);
                return read;
            }
        }
    }
}

/// What was taken out so far.
#[derive(Default)]
struct Salvage {
    lost: Vec<Lost>,
    rounds: usize,
    /// Whether what stops the reader next may follow from what stopped it before.
    is_open: bool,
}

/// Something with a name, or a section without it.
struct Lost {
    section: (String, Span),
    name: Option<(String, Span)>,
}

impl Salvage {
    /// The text without what the mistake stands in; none if nothing can be told of the rest.
    fn without(&mut self, text: &str, mistake: &Diagnostic) -> Option<String> {
        self.rounds += 1;
        let at = mistake.span?.start;
        let is_local = LOCAL.contains(&mistake.code);
        if self.rounds > ROUNDS || text.len() > BYTES_MAX || !is_local {
            return None;
        }
        let lines = Lines::new(text);
        let line = lines.of(at)?;
        let section = lines.section(line)?;
        let is_item = matches!(mistake.code, code::INDENTATION | code::LIST_MISPLACED);
        let out = match is_item.then(|| lines.items(line, &section)).flatten() {
            Some(items) => items,
            None => self.lose(&lines, line, &section, mistake.code == code::INDENTATION),
        };
        let out = lines.bytes(&out);
        let written = text.get(out.clone())?;
        let goes_on = written.trim_end().ends_with(['{', '[', ',']);
        // An alias elsewhere may stand for what is named here.
        if goes_on || written.contains('&') {
            return None;
        }
        self.is_open |= OPEN.contains(&mistake.code);
        let blank = |c: char| {
            if c == '\n' {
                "\n".to_owned()
            } else {
                " ".repeat(c.len_utf8())
            }
        };
        let blanked: String = written.chars().map(blank).collect();
        let mut left = text.to_owned();
        left.replace_range(out, &blanked);
        Some(left)
    }

    /// Whether a whole section is missing, whatever it was, or a filter, whose name nobody keeps without what it does.
    fn is_partial(&self) -> bool {
        let mut lost = self.lost.iter();
        lost.any(|lost| lost.name.is_none() || lost.section.0 == "filters")
    }

    /// Puts back the names of what was taken out.
    fn restore(&mut self, root: &mut Node) {
        for Lost { section, name } in self.lost.drain(..) {
            let broken = Node {
                span: section.1,
                value: Value::Broken,
            };
            match name {
                None => put(root, section, broken),
                Some(name) => {
                    if let Some(section) = root.get_mut(&section.0) {
                        put(section, name, broken);
                    }
                }
            }
        }
    }

    /// `is_shifted` is whether what stands at the mistake may be meant to stand beside what it seems to be in.
    fn lose(
        &mut self,
        lines: &Lines<'_>,
        line: usize,
        section: &Range<usize>,
        is_shifted: bool,
    ) -> Range<usize> {
        let entry = lines.entry(line, section);
        let key = |line: usize| lines.key(line);
        let indent = |line: usize| lines.0.get(line).map_or(0, Line::indent);
        // Less than a step of indentation further in.
        let is_near = |entry: &&Range<usize>| indent(line) < 2 * indent(entry.start);
        let shifted = entry.iter().filter(|_| is_shifted).filter(is_near);
        let shifted = shifted.flat_map(|entry| {
            let indent = lines.0.get(line).map(Line::indent);
            let below = (line..entry.end).filter(move |number| {
                let other = lines.0.get(*number);
                other.is_some_and(|other| !other.is_blank() && Some(other.indent()) == indent)
            });
            below.filter(|number| *number != entry.start)
        });
        let shifted: Vec<_> = shifted.map(key).collect();
        self.lost.extend(shifted.into_iter().map(|name| Lost {
            section: key(section.start),
            name: Some(name),
        }));
        self.lost.push(Lost {
            section: key(section.start),
            name: entry.as_ref().map(|entry| key(entry.start)),
        });
        entry.unwrap_or_else(|| section.clone())
    }
}

fn put(map: &mut Node, (name, span): (String, Span), value: Node) {
    if map.value == Value::Null {
        map.value = Value::Map(Vec::new());
    }
    if map.get(&name).is_some() {
        return;
    }
    if let Value::Map(entries) = &mut map.value {
        // Nobody asks whether it can be a name.
        let key = Node {
            span,
            value: Value::Misnamed(name),
        };
        entries.push((key, value));
    }
}

/// A line: where it begins, and what stands on it.
struct Line<'t> {
    start: usize,
    text: &'t str,
}

impl Line<'_> {
    fn indent(&self) -> usize {
        self.text.len() - self.text.trim_start_matches([' ', '\t']).len()
    }

    /// Whether nothing but a comment stands on it.
    fn is_blank(&self) -> bool {
        let text = self.text.trim();
        text.is_empty() || text.starts_with('#')
    }

    fn is_item(&self) -> bool {
        let text = self.text.trim();
        text == "-" || text.starts_with("- ")
    }
}

struct Lines<'t>(Vec<Line<'t>>);

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let mut start = 0;
        let line = |text: &'t str| {
            let line = Line { start, text };
            start += text.len();
            line
        };
        Self(text.split_inclusive('\n').map(line).collect())
    }

    fn of(&self, at: usize) -> Option<usize> {
        self.0
            .partition_point(|line| line.start <= at)
            .checked_sub(1)
    }

    fn bytes(&self, lines: &Range<usize>) -> Range<usize> {
        let start = self.0.get(lines.start).map_or(0, |line| line.start);
        let last = lines.end.checked_sub(1).and_then(|last| self.0.get(last));
        start..last.map_or(start, |last| last.start + last.text.len())
    }

    /// The first line from this one on, within, that says something and is like this.
    fn next(&self, within: Range<usize>, is: impl Fn(&Line<'_>) -> bool) -> usize {
        let end = within.end;
        let lines = within.filter_map(|number| Some((number, self.0.get(number)?)));
        let mut lines = lines.filter(|(_, line)| !line.is_blank());
        lines
            .find(|(_, line)| is(line))
            .map_or(end, |(number, _)| number)
    }

    fn last(&self, within: Range<usize>, is: impl Fn(&Line<'_>) -> bool) -> Option<usize> {
        within.rev().find(|number| {
            self.0
                .get(*number)
                .is_some_and(|line| !line.is_blank() && is(line))
        })
    }

    /// The lines of a section: from a key at the beginning of a line to the next.
    fn section(&self, line: usize) -> Option<Range<usize>> {
        let begins = |line: &Line<'_>| {
            let is_key = |c: char| c.is_alphanumeric() || matches!(c, '_' | '"' | '\'');
            line.text.starts_with(is_key)
        };
        let start = self.last(0..line + 1, begins)?;
        Some(start..self.next(start + 1..self.0.len(), begins))
    }

    /// The lines of what has a name in a section: from a key in the column of the first one to the next.
    fn entry(&self, line: usize, section: &Range<usize>) -> Option<Range<usize>> {
        let first = self.next(section.start + 1..section.end, |_| true);
        let first = self.0.get(first).filter(|_| first < section.end)?;
        let column = first.indent();
        let inner = section.start + 1..line + 1;
        let is_less = |line: &Line<'_>| line.indent() < column;
        let is_key = |line: &Line<'_>| line.indent() == column;
        if column == 0 || first.is_item() || self.last(inner.clone(), is_less).is_some() {
            return None;
        }
        let start = self.last(inner, is_key)?;
        let end = self.next(start + 1..section.end, |line| line.indent() <= column);
        Some(start..end)
    }

    /// An item of a list that stands in a column of its own, and those in the same column below it.
    fn items(&self, line: usize, section: &Range<usize>) -> Option<Range<usize>> {
        let first = self.0.get(line).filter(|line| line.is_item())?;
        // What is included is more than an item.
        if self.key(section.start).0 == "include" {
            return None;
        }
        let column = first.indent();
        let above = self.last(section.start..line, |line| line.is_item());
        let above = above
            .and_then(|above| self.0.get(above))
            .map(|line| line.indent());
        let is_part = |line: &Line<'_>| match line.indent() {
            indent if line.is_item() && Some(indent) == above => false,
            indent => indent > column || (indent == column && line.is_item()),
        };
        Some(line..self.next(line + 1..section.end, |line| !is_part(line)))
    }

    /// What stands before the colon.
    fn key(&self, line: usize) -> (String, Span) {
        let Some(line) = self.0.get(line) else {
            return Default::default();
        };
        let text = line.text.trim();
        let key = text.split(':').next().unwrap_or_default().trim_end();
        let start = line.start + line.text.find(key).unwrap_or_default();
        let name = key.trim_matches(['"', '\'']).to_owned();
        (name, Span::new(start, start + key.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "listeners:\n  web: { address: \"a:1\" }\n  \"two\":\n    address: 'b'\nupstreams:\n  api:\n    servers:\n      - a\n      - ü\nroutes: { r: [ x ] }\n";

    /// What is left of a text, and what stopped the reader on the way.
    fn left(text: &str) -> (Option<Node>, Vec<Code>) {
        let read = read(text, 1000);
        let all = read.diagnostics.iter();
        assert!(
            all.clone()
                .all(|one| one.span.is_none_or(|span| span.end <= text.len()))
        );
        let codes = all.map(|one| one.code).collect();
        match read.root {
            Root::Node(root) => (Some(root), codes),
            _ => (None, codes),
        }
    }

    #[test]
    fn no_text_is_too_strange() {
        for (at, _) in TEXT.char_indices() {
            for put in [
                "", "\"", "'", "{", "]", "\t", " ", "- ", ":", ": ", "\n", "&a ", "*a", "ü",
            ] {
                let (before, after) = TEXT.split_at(at);
                left(&format!("{before}{put}{after}"));
                left(&format!("{before}{put}"));
            }
        }
    }

    #[test]
    fn as_little_as_possible_is_lost_and_known_by_its_name() {
        let broken = |root: &Node, section: &str, name: &str| {
            let section = root.get(section).unwrap();
            section.get(name).unwrap().is_broken()
        };
        let (root, codes) = left(&TEXT.replace("'b'", "'b"));
        assert_eq!(codes, [code::QUOTES]);
        let root = root.unwrap();
        assert!(broken(&root, "listeners", "two") && !broken(&root, "listeners", "web"));
        assert!(!broken(&root, "upstreams", "api"));

        let (root, codes) = left(&TEXT.replace("      - ü", "     - ü"));
        assert_eq!(codes, [code::INDENTATION]);
        assert!(!broken(&root.unwrap(), "upstreams", "api"));

        let (root, codes) = left(&TEXT.replace("listeners:", "listeners").replace("x ]", "x"));
        assert_eq!(codes, [code::COLON_MISSING, code::BRACKETS]);
        let root = root.unwrap();
        assert!(root.get("listeners").unwrap().is_broken());
        assert!(root.get("routes").unwrap().is_broken());
    }

    #[test]
    fn what_an_alias_may_stand_for_is_not_taken_out() {
        let text = "a: { b: &x 1, c: \"d }\ne: *x\n";
        let (root, codes) = left(text);
        assert!(root.is_none());
        assert_eq!(codes.len(), 1);
    }
}
