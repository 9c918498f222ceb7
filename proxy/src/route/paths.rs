//! The rules of one host, found by path: a tree of segments, and beside it all patterns as one.

use std::collections::HashMap;

use regex::{RegexSet, RegexSetBuilder};

use super::condition::PathCondition;

/// What the patterns of one host may become together, in bytes, and what is kept of their automaton as it is built: with too
/// little, some hundreds of patterns would be run one by one.
const PATTERNS_MAX: usize = 64 << 20;

/// Rules are numbers, and lists of them are in order.
#[derive(Debug, Default)]
pub(super) struct Paths {
    root: Node,
    patterns: Vec<(String, usize)>,
    /// All patterns, in the order of their rules.
    set: Option<RegexSet>,
    /// The lowest of all rules here.
    first: Option<usize>,
}

/// A segment of a path, and what may follow.
#[derive(Debug, Default)]
struct Node {
    next: HashMap<Box<str>, Node>,
    /// For a path that ends here.
    exact: Vec<usize>,
    /// For this path and everything below it.
    prefix: Vec<usize>,
}

impl Paths {
    /// Rules come in order.
    pub(super) fn add(&mut self, path: &PathCondition, rule: usize) {
        self.first.get_or_insert(rule);
        match path {
            PathCondition::Any => self.root.prefix.push(rule),
            PathCondition::Prefix(prefix) => self.root.at(prefix).prefix.push(rule),
            PathCondition::Exact(path) => self.root.at(path).exact.push(rule),
            PathCondition::Pattern(pattern) => {
                self.patterns.push((pattern.as_str().to_owned(), rule));
            }
        }
    }

    /// Makes one automaton of the patterns.
    pub(super) fn finish(&mut self) -> Result<(), regex::Error> {
        if !self.patterns.is_empty() {
            let patterns = self.patterns.iter().map(|(pattern, _)| pattern.as_str());
            let set = RegexSetBuilder::new(patterns)
                .size_limit(PATTERNS_MAX)
                .dfa_size_limit(PATTERNS_MAX)
                .build()?;
            self.set = Some(set);
        }
        Ok(())
    }

    /// Lowers `best` to the lowest rule for this path that takes the request.
    pub(super) fn find(&self, path: &str, takes: &impl Fn(usize) -> bool, best: &mut usize) {
        if self.first.is_none_or(|first| first >= *best) {
            return;
        }
        self.root.find(path.strip_prefix('/'), takes, best);
        if let Some(set) = &self.set {
            let rules = set.matches(path).into_iter();
            lower(
                rules.filter_map(|index| Some(self.patterns.get(index)?.1)),
                takes,
                best,
            );
        }
    }
}

impl Node {
    /// The node of a path, made if need be. That of the empty path is the root.
    fn at(&mut self, path: &str) -> &mut Self {
        match path.strip_prefix('/') {
            None => self,
            Some(path) => path.split('/').fold(self, |node, segment| {
                node.next.entry(segment.into()).or_default()
            }),
        }
    }

    /// `rest` is what follows this segment, without the slash between. The deepest nodes come first: most rules are in the
    /// order of their depth, and the others need not be tried.
    fn find(&self, rest: Option<&str>, takes: &impl Fn(usize) -> bool, best: &mut usize) {
        match rest {
            None => lower(self.exact.iter().copied(), takes, best),
            Some(rest) => {
                let (segment, rest) = match rest.split_once('/') {
                    Some((segment, rest)) => (segment, Some(rest)),
                    None => (rest, None),
                };
                if let Some(next) = self.next.get(segment) {
                    next.find(rest, takes, best);
                }
            }
        }
        lower(self.prefix.iter().copied(), takes, best);
    }
}

fn lower(rules: impl Iterator<Item = usize>, takes: impl Fn(usize) -> bool, best: &mut usize) {
    let mut lower = rules.take_while(|rule| rule < best);
    if let Some(rule) = lower.find(|rule| takes(*rule)) {
        *best = rule;
    }
}
