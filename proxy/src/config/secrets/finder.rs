//! Where secrets are in a text: all of them are looked for at once, however many there are.
//!
//! Those that are one short word (`route`) may well be a word of ours, so they are found apart from the others; the caller knows
//! which parts of a text are ours. Very short ones are only found where they are the whole text. Of a long one the beginning is
//! looked for, and what follows compared.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use aho_corasick::AhoCorasick;

/// A shorter text is found everywhere, and is no secret.
const SHORTEST: usize = 4;

/// A longer one, in bytes, is nothing that we would say.
const WORD_MAX: usize = 16;

/// So much of a secret is looked for, in bytes.
const BEGINNING_MAX: usize = 64;

/// So often as a text is long (and as the shortest of a page is) it is compared with what may be in it. Who repeats itself more than that
/// is hidden as a whole.
const LOOKS_MAX: usize = 64;

/// Words that say nothing by themselves; every message about a switch has them.
const SWITCHES: [&str; 2] = ["true", "false"];

/// Finds them.
#[derive(Debug, Clone, Default)]
pub(super) struct Finder {
    /// Too short to be found within something else.
    short: HashSet<String>,
    /// What may be a word of ours.
    words: Group,
    others: Group,
}

/// Texts that are looked for together.
#[derive(Debug, Clone, Default)]
struct Group {
    /// By their beginning, in the order of the patterns.
    texts: Vec<Vec<String>>,
    /// None if there are more than can be looked for.
    beginnings: Option<AhoCorasick>,
}

impl Finder {
    /// Looks for these.
    pub(super) fn new(texts: &BTreeSet<String>) -> Self {
        let is_short = |text: &&String| text.len() < SHORTEST || SWITCHES.contains(&text.as_str());
        let is_word =
            |text: &&String| text.len() <= WORD_MAX && text.chars().all(char::is_alphabetic);
        let (short, long): (Vec<&String>, Vec<_>) = texts.iter().partition(is_short);
        let (words, others): (Vec<&String>, Vec<_>) = long.into_iter().partition(is_word);
        Self {
            short: short.into_iter().cloned().collect(),
            words: Group::new(&words),
            others: Group::new(&others),
        }
    }

    /// Whether a text is one of them, and short.
    pub(super) fn is_short(&self, text: &str) -> bool {
        self.short.contains(text)
    }

    /// Where those are that may be words of ours.
    pub(super) fn words(&self, text: &str) -> Vec<Range<usize>> {
        self.words.find(text)
    }

    /// Where all others are.
    pub(super) fn others(&self, text: &str) -> Vec<Range<usize>> {
        self.others.find(text)
    }
}

impl Group {
    fn new(texts: &[&String]) -> Self {
        let mut known: HashMap<&str, Vec<String>> = HashMap::new();
        for text in texts {
            known
                .entry(beginning(text))
                .or_default()
                .push((*text).clone());
        }
        let (beginnings, texts): (Vec<&str>, Vec<_>) = known.into_iter().unzip();
        Self {
            texts,
            beginnings: AhoCorasick::new(beginnings).ok(),
        }
    }

    /// Where they are, also one over the other. What cannot be looked for may be anywhere.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        if self.texts.is_empty() {
            return Vec::new();
        }
        let Some(beginnings) = &self.beginnings else {
            return std::iter::once(0..text.len()).collect();
        };
        let mut left = LOOKS_MAX.saturating_mul(text.len().max(4096));
        let mut found = Vec::new();
        for hit in beginnings.find_overlapping_iter(text) {
            let rest = text.get(hit.start()..).unwrap_or_default();
            let known = self.texts.get(hit.pattern().as_usize());
            let mut longest = 0;
            for one in known.into_iter().flatten() {
                let length = common(one, rest);
                longest = longest.max(length);
                left = left.saturating_sub(length.max(1));
            }
            if left == 0 {
                return std::iter::once(0..text.len()).collect();
            }
            found.push(hit.start()..hit.end().max(hit.start() + longest));
        }
        found
    }
}

/// As much of it as is looked for.
fn beginning(text: &str) -> &str {
    let mut ends = (0..=BEGINNING_MAX.min(text.len())).rev();
    let end = ends.find(|at| text.is_char_boundary(*at));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// How much two texts have in common from their beginning on, in bytes.
fn common(one: &str, other: &str) -> usize {
    let both = one.chars().zip(other.chars());
    both.take_while(|(a, b)| a == b)
        .map(|(a, _)| a.len_utf8())
        .sum()
}

/// In order, and those that overlap as one.
pub(super) fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut all: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match all.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_repeats_itself_is_hidden_as_a_whole_and_soon() {
        let secret = "a".repeat(60_000);
        let finder = Finder::new(&BTreeSet::from([secret.clone()]));
        let text = format!("{secret}{secret} and more");
        let found = merged(finder.others(&text));
        assert!(
            found
                .first()
                .is_some_and(|all| all.start == 0 && all.end >= 2 * secret.len())
        );
    }
}
