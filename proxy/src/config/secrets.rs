//! What was read by `${file:...}`, and that nobody gets to see it.
//!
//! A finding may quote a value, cut it, or name a part of it. Where the place of the finding is such a value, everything
//! quoted that has to do with it is hidden, and advice that could spell it out is left away; in all other findings, and in
//! whatever else is printed, the secrets themselves are.
//!
//! A secret that is one short word (`route`) would take words of ours out of messages: in a message it is hidden where
//! something is quoted, between backticks, but for names that begin or end with it (`routes`); in a value, wherever it is. One of
//! less than four bytes, and `true` and `false`, are hidden where they are all that is quoted, or the whole value. All others are
//! hidden wherever they are.

mod finder;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use self::finder::{Finder, merged};
use percent_encoding::utf8_percent_encode;

use super::diagnostic::{Diagnostic, Remark};
use super::encoding::{IN_PATH, NOT_IN_PATH, RESERVED};
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

/// The last words of names that tell something about a secret: `X-Token-Expiry`.
const ABOUT: [&str; 14] = [
    "age",
    "count",
    "expires",
    "expiry",
    "expiration",
    "header",
    "length",
    "lifetime",
    "limit",
    "name",
    "ttl",
    "type",
    "uri",
    "url",
];

/// Whether a name says that its value is not the secret itself.
pub(crate) fn is_about_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let last = name.rsplit(['-', '_', '.']).next();
    last.is_some_and(|last| ABOUT.contains(&last))
}

/// What a value may be shown as that has this name.
pub(crate) fn shown<'v>(name: &str, value: &'v str) -> &'v str {
    if is_of_a_secret(name) { SHOWN } else { value }
}

/// What stands for a secret.
pub(crate) const SHOWN: &str = "***";

const NOTE: &str =
    "the value is a secret (`${file:...}`, or a variable whose name says so) and is not shown";

/// The texts that are not shown.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Arc<Hidden>);

#[derive(Clone, Default)]
struct Hidden {
    /// Each with its other spellings.
    texts: BTreeSet<String>,
    /// Values that hold one.
    values: Vec<(Span, String)>,
    /// Made when they are first looked for.
    finder: OnceLock<Finder>,
}

impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts && self.values == other.values
    }
}

impl Eq for Hidden {}

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
            hidden.texts.extend(spellings(text));
        }
        hidden.values.push((span, value.to_owned()));
        hidden.finder = OnceLock::new();
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

    fn finder(&self) -> &Finder {
        self.0.finder.get_or_init(|| Finder::new(&self.0.texts))
    }

    /// Whether one of them is in a value, or is all of it.
    #[must_use]
    pub fn are_in(&self, value: &str) -> bool {
        let finder = self.finder();
        finder.is_short(value)
            || !finder.words(value).is_empty()
            || !finder.others(value).is_empty()
    }

    /// A message with `***` in place of every secret in it. Its own words stay.
    #[must_use]
    pub fn mask(&self, message: &str) -> String {
        if self.is_empty() {
            return message.to_owned();
        }
        let finder = self.finder();
        let mut found = finder.others(message);
        let mut start = 0;
        for (index, piece) in message.split('`').enumerate() {
            if index % 2 == 1 {
                let end = start + piece.len();
                let words = moved(finder.words(piece), start);
                if finder.is_short(piece) {
                    found.push(start..end);
                } else if is_name(piece) {
                    found.extend(words.filter(|word| *word == (start..end)));
                } else {
                    found.extend(words);
                }
            }
            start += piece.len() + 1;
        }
        without(message, found)
    }

    /// A value with `***` in place of every secret in it. Nothing of it is ours to say.
    #[must_use]
    pub fn mask_value(&self, value: &str) -> String {
        if self.is_empty() {
            return value.to_owned();
        }
        let finder = self.finder();
        if finder.is_short(value) {
            return SHOWN.to_owned();
        }
        let mut found = finder.others(value);
        found.extend(finder.words(value));
        without(value, found)
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

/// Of a key, or of something in the file.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphabetic() || c == '_')
}

fn moved(ranges: Vec<Range<usize>>, by: usize) -> impl Iterator<Item = Range<usize>> {
    ranges
        .into_iter()
        .map(move |range| range.start + by..range.end + by)
}

fn without(text: &str, found: Vec<Range<usize>>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for range in merged(found) {
        out.push_str(text.get(end..range.start).unwrap_or_default());
        out.push_str(SHOWN);
        end = range.end;
    }
    out + text.get(end..).unwrap_or_default()
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
        utf8_percent_encode(text, IN_PATH).to_string(),
        utf8_percent_encode(text, NOT_IN_PATH).to_string(),
        utf8_percent_encode(text, RESERVED).to_string(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_ours_stay_and_values_do_not() {
        let secrets = Secrets::of(&["route", "true", "api", "7"]);
        let said =
            "route a: expected `true` or `false`, for an api of 7 routes, not `my route` or `api`";
        assert_eq!(
            secrets.mask(said),
            "route a: expected `***` or `false`, for an api of 7 routes, not `my ***` or `***`"
        );
        assert_eq!(
            secrets.mask("`routes` and `route_a`"),
            "`routes` and `route_a`"
        );
        assert_eq!(secrets.mask_value("Bearer route"), "Bearer ***");
        assert_eq!(secrets.mask_value("api"), SHOWN);
        assert_eq!(secrets.mask("`7route`"), "`7***`");
        assert_eq!(secrets.mask_value("/api/routes"), "/api/***s");
        assert!(secrets.are_in("the route") && secrets.are_in("true"));
        assert!(!secrets.are_in("rout") && !secrets.are_in("is it true?"));
    }

    #[test]
    fn what_is_no_word_of_ours_is_hidden_everywhere() {
        let long = "correcthorsebatterystaple";
        let secrets = Secrets::of(&["hunter2", long, "a b c d"]);
        assert_eq!(
            secrets.mask("xhunter2x, correcthorsebatterystaples: `a b c d`"),
            "x***x, ***s: `***`"
        );
        // One that overlaps another does not leave its end.
        let secrets = Secrets::of(&["ab12", "b12345"]);
        assert_eq!(secrets.mask("ab12345 ab12"), "*** ***");
    }

    #[test]
    fn in_a_url_it_is_hidden_as_it_is_spelled_there() {
        let secrets = Secrets::of(&["s3cr{et}/K\"<x>"]);
        assert_eq!(
            secrets.mask("//h/y/s3cr%7Bet%7D/K%22%3Cx%3E?a"),
            "//h/y/***?a"
        );
        assert_eq!(secrets.mask("?k=s3cr%7Bet%7D%2FK%22%3Cx%3E"), "?k=***");
    }

    #[test]
    fn of_a_long_one_what_is_there_is_hidden() {
        let long = format!("-----BEGIN KEY-----{}", "k1é".repeat(100));
        let secrets = Secrets::of(&[&long]);
        assert_eq!(secrets.mask(&format!("<{long}>")), "<***>");
        let cut: String = long.chars().take(120).collect();
        assert_eq!(secrets.mask(&format!("{cut}...")), "***...");
        assert_eq!(secrets.mask("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    /// Each value by each text would take minutes.
    #[test]
    fn thousands_of_secrets_are_looked_for_at_once() {
        let all: Vec<String> = (0..20_000)
            .map(|n| format!("secret-number-{n:06}"))
            .collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let secrets = Secrets::of(&all);
        for _ in 0..20_000 {
            assert!(!secrets.are_in("the text of a value that is no secret-number-"));
        }
        assert_eq!(secrets.mask("secret-number-019999!"), "***!");
    }
}
