//! What stands around a place in a text that is not YAML: enough to guess what was meant.

use crate::config::spanned::Span;

/// The lines of a section of the top level, with that of its key.
pub(in crate::config) fn lines_of(key: &str, text: &str) -> Option<String> {
    let begins = |line: &str| {
        line.strip_prefix(key)
            .is_some_and(|rest| rest.starts_with(':'))
    };
    let mut lines = text.lines().skip_while(|line| !begins(line));
    let first = lines.next()?;
    let rest = lines.take_while(|line| line.is_empty() || line.starts_with([' ', '\t', '#']));
    Some(
        std::iter::once(first)
            .chain(rest)
            .fold(String::with_capacity(256), |text, line| text + line + "\n"),
    )
}

/// A place in a text.
pub(super) struct Surroundings<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Surroundings<'t> {
    /// `at` may lie anywhere; it is brought to the beginning of a character.
    pub(super) fn new(text: &'t str, at: usize) -> Self {
        let mut at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        Self { text, at }
    }

    fn before(&self) -> &'t str {
        self.text.get(..self.at).unwrap_or_default()
    }

    fn after(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    /// Whether nothing but space follows.
    pub(super) fn at_end(&self) -> bool {
        self.after().trim().is_empty()
    }

    pub(super) fn first_char(&self) -> char {
        self.after().chars().next().unwrap_or(' ')
    }

    /// The one character at the place.
    pub(super) fn here(&self) -> Span {
        Span::new(
            self.at,
            self.at + self.after().chars().next().map_or(0, char::len_utf8),
        )
    }

    /// The word at the place.
    pub(super) fn word(&self) -> Span {
        Span::new(
            self.at,
            self.at + self.word_text().len().max(self.here().end - self.at),
        )
    }

    pub(super) fn word_text(&self) -> &'t str {
        self.after()
            .split([' ', '\t', '\r', '\n', ',', '}', ']'])
            .next()
            .unwrap_or_default()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text
            .get(..at)
            .and_then(|before| before.rfind('\n'))
            .map_or(0, |found| found + 1)
    }

    /// The line of the place without indentation and comment.
    pub(super) fn line(&self) -> (Span, &'t str) {
        self.line_at(self.line_start(self.at))
    }

    fn line_at(&self, start: usize) -> (Span, &'t str) {
        let line = self
            .text
            .get(start..)
            .and_then(|rest| rest.split('\n').next())
            .unwrap_or_default();
        let line = line.split(" #").next().unwrap_or_default();
        let start = start + (line.len() - line.trim_start().len());
        let line = line.trim();
        (Span::new(start, start + line.len()), line)
    }

    /// The nearest line above with something on it.
    pub(super) fn line_above(&self) -> Option<(Span, &'t str)> {
        let mut start = self.line_start(self.at);
        while start > 0 {
            start = self.line_start(start - 1);
            let (span, line) = self.line_at(start);
            if !line.is_empty() && !line.starts_with('#') {
                return Some((span, line));
            }
        }
        None
    }

    /// By how much the line of the place is indented.
    pub(super) fn indent(&self) -> usize {
        self.indent_at(self.line().0.start)
    }

    pub(super) fn indent_at(&self, at: usize) -> usize {
        at - self.line_start(at)
    }

    /// The tabs in the indentation of the line, or the place itself.
    pub(super) fn tabs(&self) -> Span {
        let start = self.line_start(self.at);
        let line = self.text.get(start..).unwrap_or_default();
        let indentation = line.len() - line.trim_start_matches([' ', '\t']).len();
        match line.get(..indentation).and_then(|space| space.find('\t')) {
            Some(tab) => Span::new(start + tab, start + indentation),
            None => self.here(),
        }
    }

    /// Whether a place is on the same line.
    pub(super) fn on_line_of(&self, other: usize) -> bool {
        self.line_start(other) == self.line_start(self.at)
    }

    /// The end of the same text.
    pub(super) fn end(&self) -> Self {
        Self {
            text: self.text,
            at: self.text.len(),
        }
    }

    /// Whether a `]` stands right before the place.
    pub(super) fn follows_bracket(&self) -> bool {
        self.before().ends_with(']')
    }

    /// Whether a closing quote stands right before the place.
    pub(super) fn follows_quote(&self) -> bool {
        self.before()
            .trim_end_matches([' ', '\t'])
            .ends_with(['"', '\''])
    }

    /// A `${...}` that begins at the place or just before it.
    pub(super) fn variable(&self) -> Option<(Span, &'t str)> {
        let start = self.line_start(self.at);
        let end = self.at + "${".len();
        let line = self
            .text
            .get(start..)
            .and_then(|rest| rest.split('\n').next())
            .unwrap_or_default();
        let found = line
            .match_indices("${")
            .map(|(at, _)| at + start)
            .find(|at| (self.at..=end).contains(&(at + 2)))?;
        let word_start = self
            .text
            .get(start..found)?
            .rfind([' ', ',', '[', '{'])
            .map_or(start, |at| start + at + 1);
        let rest = self.text.get(word_start..)?;
        let closed = rest
            .find('}')
            .filter(|at| !rest.get(..*at).is_some_and(|inner| inner.contains('\n')))?;
        Some((
            Span::new(word_start, word_start + closed + 1),
            rest.get(..=closed)?,
        ))
    }

    /// The value on this line in which the colon at the place stands.
    pub(super) fn value_with_colon(&self) -> Option<&'t str> {
        let (span, line) = self.line();
        let colon = line.find(": ")?;
        (span.start + colon < self.at).then(|| line.get(colon + 1..).unwrap_or_default().trim())
    }

    /// The first backslash after the place that begins no escape of YAML's.
    pub(super) fn backslash(&self) -> (Span, &'t str) {
        const KNOWN: &str = "0abt\tnvfre \"/\\N_LPxuU\n\r";
        let text = self.after();
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if c != '\\' {
                continue;
            }
            let Some((next, escaped)) = chars.next() else {
                break;
            };
            if !KNOWN.contains(escaped) {
                let end = next + escaped.len_utf8();
                return (
                    Span::new(self.at + at, self.at + end),
                    text.get(at..end).unwrap_or_default(),
                );
            }
        }
        (self.here(), "\\")
    }

    /// The innermost `[` or `{` before the place that is still open there. Quotes and comments are passed over.
    pub(super) fn open_bracket(&self) -> Option<(usize, char)> {
        self.open().0
    }

    /// The quote before the place that is still open there.
    pub(super) fn open_quote(&self) -> Option<Span> {
        self.open().1
    }

    fn open(&self) -> (Option<(usize, char)>, Option<Span>) {
        let mut open = Vec::new();
        let mut quote = None;
        let mut comment = false;
        let mut previous = '\n';
        for (at, c) in self.before().char_indices() {
            match (quote, c) {
                _ if comment => comment = c != '\n',
                (Some((_, q)), _) if c == q && !(q == '"' && previous == '\\') => quote = None,
                (Some(_), _) => {}
                (None, '"' | '\'') if !previous.is_alphanumeric() => quote = Some((at, c)),
                (None, '#') if previous.is_whitespace() => comment = true,
                (None, '[' | '{') => open.push((at, c)),
                (None, ']' | '}') => drop(open.pop()),
                _ => {}
            }
            previous = c;
        }
        (open.pop(), quote.map(|(at, _)| Span::new(at, at + 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_bracket_is_found() {
        let text = "a: [ \"]\", 'x' # ]\n b: { c }";
        assert_eq!(
            Surroundings::new(text, text.len()).open_bracket(),
            Some((3, '['))
        );
        assert_eq!(Surroundings::new("a: [ b ]", 8).open_bracket(), None);
    }

    #[test]
    fn no_place_is_too_strange() {
        for text in ["", "ü", "\n\n", "a\r\n\tb", "\\", "${", "\u{feff}\0"] {
            for at in 0..text.len() + 3 {
                let near = Surroundings::new(text, at);
                let spans = [near.word(), near.line().0, near.tabs(), near.backslash().0];
                assert!(spans.iter().all(|span| span.start <= span.end));
                assert!(
                    near.indent() <= text.len()
                        && near
                            .line_above()
                            .is_none_or(|(span, _)| span.end <= text.len())
                );
                assert!(
                    near.variable().is_none()
                        && near.value_with_colon().is_none()
                        && near.open_bracket().is_none_or(|(at, _)| at < text.len())
                );
            }
        }
    }
}
