//! What was read by `${file:...}`, and that nobody gets to see it.
//!
//! A finding may quote a value, cut it, or name a part of it. Where the place of the finding is such a value, everything
//! quoted that has to do with it is hidden, and advice that could spell it out is left away; in all other findings, and in
//! whatever else is printed, the secrets themselves are.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Remark};
use super::spanned::Span;

/// Fields that say who somebody is, whatever they hold.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
];

/// What the names of secrets have in them, without what stands between words.
const TELLING: [&str; 5] = ["token", "secret", "password", "passwd", "apikey"];

/// Whether a field, or whatever else has this name, holds a secret.
pub(crate) fn is_of_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CREDENTIALS.contains(&name.as_str()) || tells(&name)
}

/// Whether a name says itself that it is one of a secret.
pub(crate) fn tells(name: &str) -> bool {
    let words = name.to_ascii_lowercase().replace(['-', '_'], "");
    TELLING.iter().any(|part| words.contains(part))
}

/// What stands for a secret.
pub(crate) const SHOWN: &str = "***";

const NOTE: &str =
    "the value is a secret (`${file:...}`, or a variable whose name says so) and is not shown";

/// A shorter text is found everywhere, and is no secret.
const SHORTEST: usize = 4;

/// The texts that are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<Hidden>);

#[derive(Clone, Default, PartialEq, Eq)]
struct Hidden {
    /// Each with its other spellings, longest first.
    texts: BTreeSet<(Reverse<usize>, String)>,
    /// Values that hold one.
    values: Vec<(Span, String)>,
}

/// Not even to whoever looks for bugs.
impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} values with secrets", self.0.values.len())
    }
}

impl Secrets {
    /// A value at a place, and the texts within it that came from files.
    pub(super) fn note(&mut self, span: Span, value: &str, texts: &[String]) {
        let hidden = Arc::make_mut(&mut self.0);
        for text in texts.iter().map(String::as_str).chain([value]) {
            let spellings = spellings(text).into_iter();
            hidden
                .texts
                .extend(spellings.map(|spelling| (Reverse(spelling.len()), spelling)));
        }
        hidden.values.push((span, value.to_owned()));
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.values.is_empty()
    }

    /// These, wherever they are.
    #[cfg(test)]
    pub(crate) fn of(texts: &[&str]) -> Self {
        let mut secrets = Self::default();
        for text in texts {
            secrets.note(Span::default(), text, &[]);
        }
        secrets
    }

    /// Whether one of them is in a text, or is all of it.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        let mut texts = self.0.texts.iter().map(|(_, secret)| secret);
        texts.any(|secret| match secret.len() {
            0 => false,
            1..SHORTEST => secret == text,
            _ => text.contains(secret.as_str()),
        })
    }

    /// The text with `***` in place of every secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut masked = text.to_owned();
        for (_, secret) in &self.0.texts {
            if secret.len() >= SHORTEST {
                if masked.contains(secret) {
                    masked = masked.replace(secret, SHOWN);
                }
            } else {
                masked = masked.replace(&format!("`{secret}`"), &format!("`{SHOWN}`"));
            }
        }
        masked
    }

    /// The finding without what it must not tell.
    pub(super) fn hide(&self, finding: &mut Diagnostic) {
        if self.is_empty() {
            return;
        }
        let at = |span: Span| {
            self.0
                .values
                .iter()
                .filter(move |(place, _)| place.contains(span))
        };
        let values: Vec<&str> = finding
            .span
            .into_iter()
            .flat_map(at)
            .map(|(_, value)| value.as_str())
            .collect();
        let hide = |text: &str| {
            let masked = values
                .iter()
                .fold(text.to_owned(), |text, value| hide_parts(&text, value));
            self.mask(&masked)
        };
        finding.message = hide(&finding.message);
        finding.label = finding.label.as_deref().map(hide);
        for (_, label) in &mut finding.related {
            *label = hide(label);
        }
        if !values.is_empty() {
            finding
                .remarks
                .retain(|remark| matches!(remark, Remark::Note(_)));
        }
        for remark in &mut finding.remarks {
            let (Remark::Help(text) | Remark::Note(text)) = remark;
            *text = hide(text);
        }
        let note = Remark::Note(NOTE.to_owned());
        if !values.is_empty() && !finding.remarks.contains(&note) {
            finding.remarks.push(note);
        }
    }
}

/// The ways in which a message may write it.
fn spellings(text: &str) -> Vec<String> {
    let mut all = vec![
        text.to_owned(),
        text.trim().to_owned(),
        text.replace(['\n', '\r'], " "),
        text.escape_debug().to_string(),
        text.to_lowercase(),
        super::document::shortened(text),
    ];
    all.retain(|spelling| !spelling.trim().is_empty());
    all
}

/// Hides whatever stands between backticks and has a part in common with the value, and numbers of it anywhere.
fn hide_parts(text: &str, value: &str) -> String {
    let value = value.to_lowercase();
    let words: Vec<&str> = words(&value).collect();
    let mut out = String::with_capacity(text.len());
    for (index, piece) in text.split('`').enumerate() {
        if index > 0 {
            out.push('`');
        }
        if index % 2 == 1 && is_part(piece, &value, &words) {
            out.push_str(SHOWN);
        } else {
            out.push_str(&without_numbers(piece, &words));
        }
    }
    out
}

fn is_part(quoted: &str, value: &str, words: &[&str]) -> bool {
    let quoted = quoted.trim_end_matches("...").to_lowercase();
    let is_word = |word: &&str| words.contains(word);
    !quoted.is_empty()
        && (value.contains(&quoted)
            || spellings(value)
                .iter()
                .any(|spelling| spelling.contains(&quoted))
            || self::words(&quoted).any(|word| is_word(&word)))
}

fn without_numbers(text: &str, words: &[&str]) -> String {
    let mut out = text.to_owned();
    for word in words
        .iter()
        .filter(|word| word.contains(|c: char| c.is_ascii_digit()))
    {
        out = out
            .split(' ')
            .map(|part| if part == *word { SHOWN } else { part })
            .collect::<Vec<_>>()
            .join(" ");
    }
    out
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
}
