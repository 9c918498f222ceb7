//! Which route: host, then path, then whatever else it asks for. Pure, no I/O.
//!
//! Precedence as in the Kubernetes Gateway API (HTTPRoute, `hostnames` and `matches`): an exact host before a wildcard (the
//! longest first) before none; then an exact path, a pattern, the longest prefix; then a method, more header conditions,
//! more query conditions; then the route's name. Where HTTPRoute has no word, it goes on in its manner: more cookie
//! conditions, a client's network, more of anything else. A route's `priority` stands above all of it. If the more specific
//! one does not take the request, the next one is asked.
//!
//! All of that is decided when the table is made: a rule is a number, and of the rules that take a request the lowest one
//! wins. A look-up costs a hash of the host and of each segment of the path as far as the file knows them, and one pass of
//! all patterns of a host, however many routes there are. Rules of the same host and path are tried one after the other.
//!
//! | file | holds |
//! |---|---|
//! | `path` | the normal form of a path |
//! | `condition` | what a request has to be |
//! | `matching` | from a `match:` as it was written to conditions |
//! | `rank` | which of two rules is asked first |
//! | `consider` | what a look-up decides, with its reasons |
//! | `cover` | routes that can never match |
//! | `simpler` | expressions that say no more than a path |
//! | `words` | conditions in words |
//! | `paths` | the rules of one host, found by path |

pub mod condition;
pub mod consider;
pub mod cover;
pub mod matching;
pub mod path;
mod paths;
mod rank;
#[cfg(test)]
mod reference;
pub mod simpler;
mod words;

use std::collections::{HashMap, HashSet};

use self::condition::{Condition, Host, PathCondition, Request, all_hold};
use self::paths::Paths;
use self::rank::Rank;

/// A route, as far as the table is concerned.
#[derive(Debug, Clone, Default)]
pub struct Entry {
    /// Decides between routes that are equal otherwise.
    pub name: String,
    /// Stands above everything; 0 if none is given.
    pub priority: i32,
    /// One of them has to take the request.
    pub matches: Vec<Match>,
}

/// One way to be taken: all of it must hold.
#[derive(Debug, Clone, Default)]
pub struct Match {
    /// None means any.
    pub hosts: Vec<Host>,
    /// The path, or the one of several conditions on it that is the most specific.
    pub path: PathCondition,
    /// Everything else.
    pub conditions: Vec<Condition>,
}

/// All routes. A route is named by its position in the list that the table was made from.
#[derive(Debug, Default)]
pub struct Table {
    rules: Vec<Rule>,
    exact: HashMap<Box<str>, Paths>,
    /// By what follows the star: `.example.com`.
    wildcard: HashMap<Box<str>, Paths>,
    /// Length of the longest of them.
    wildcard_longest: usize,
    any: Paths,
    /// Names of cookies and parameters that conditions ask for.
    asked: Asked,
}

#[derive(Debug, Default)]
struct Asked {
    cookies: HashSet<String>,
    parameters: HashSet<String>,
}

impl Asked {
    fn add(&mut self, conditions: &[Condition]) {
        for condition in conditions {
            match condition {
                Condition::Cookie(name, _) => drop(self.cookies.insert(name.clone())),
                Condition::Query(name, _) => drop(self.parameters.insert(name.clone())),
                Condition::Not(inner) => self.add(inner),
                Condition::Any(groups) => groups.iter().for_each(|group| self.add(group)),
                _ => {}
            }
        }
    }
}

/// A match of a route for one host. Its number, which is its position, says how early it is asked.
#[derive(Debug)]
struct Rule {
    route: usize,
    priority: i32,
    host: Option<Host>,
    path: PathCondition,
    conditions: Vec<Condition>,
}

/// The rule that takes a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its route.
    pub route: usize,
    rule: usize,
}

/// A table cannot be made.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CannotMatch {
    /// What the patterns of one host become together is too large.
    #[error("the path patterns of `{host}` are too large together: {why}")]
    Patterns {
        /// Whose; `*` for those of every host.
        host: String,
        /// In the words of the engine.
        why: String,
    },
}

impl Table {
    /// # Errors
    /// The patterns of one host are too large together.
    pub fn new(routes: &[Entry]) -> Result<Self, CannotMatch> {
        let mut places: Vec<(usize, &Entry, &Match, Option<&Host>)> = Vec::new();
        for (route, entry) in routes.iter().enumerate() {
            for one in &entry.matches {
                let hosts = one.hosts.iter().map(Some);
                let any = one.hosts.is_empty().then_some(None);
                places.extend(hosts.chain(any).map(|host| (route, entry, one, host)));
            }
        }
        places.sort_by_cached_key(|(_, entry, one, host)| {
            Rank::new(
                entry.priority,
                *host,
                &one.path,
                &one.conditions,
                &entry.name,
            )
        });
        let mut table = Self::default();
        for (number, (route, entry, one, host)) in places.into_iter().enumerate() {
            table.asked.add(&one.conditions);
            table.paths(host).add(&one.path, number);
            table.rules.push(Rule {
                route,
                priority: entry.priority,
                host: host.cloned(),
                path: one.path.clone(),
                conditions: one.conditions.clone(),
            });
        }
        table.finish()?;
        Ok(table)
    }

    fn paths(&mut self, host: Option<&Host>) -> &mut Paths {
        match host {
            Some(Host::Exact(name)) => self.exact.entry(name.as_str().into()).or_default(),
            Some(Host::Below(name)) => {
                self.wildcard_longest = self.wildcard_longest.max(name.len());
                self.wildcard.entry(name.as_str().into()).or_default()
            }
            None => &mut self.any,
        }
    }

    fn finish(&mut self) -> Result<(), CannotMatch> {
        let exact = self
            .exact
            .iter_mut()
            .map(|(host, paths)| (host.to_string(), paths));
        let below = self
            .wildcard
            .iter_mut()
            .map(|(host, paths)| (format!("*{host}"), paths));
        let any = [("*".to_owned(), &mut self.any)];
        for (host, paths) in exact.chain(below).chain(any) {
            paths.finish().map_err(|error| CannotMatch::Patterns {
                host,
                why: error.to_string(),
            })?;
        }
        Ok(())
    }

    /// The route that takes this request.
    pub fn find(&self, request: &Request<'_>) -> Option<Found> {
        let takes = |number: usize| {
            self.rules
                .get(number)
                .is_some_and(|rule| all_hold(&rule.conditions, request))
        };
        let mut best = usize::MAX;
        if let Some(paths) = self.exact.get(request.host) {
            paths.find(request.path, &takes, &mut best);
        }
        for suffix in suffixes(request.host, self.wildcard_longest) {
            if let Some(paths) = self.wildcard.get(suffix) {
                paths.find(request.path, &takes, &mut best);
            }
        }
        self.any.find(request.path, &takes, &mut best);
        let rule = self.rules.get(best)?;
        Some(Found {
            route: rule.route,
            rule: best,
        })
    }

    /// Whether a condition asks for a cookie of this name.
    pub fn asks_for_cookie(&self, name: &str) -> bool {
        self.asked.cookies.contains(name)
    }

    /// Whether a condition asks for a parameter of this name.
    pub fn asks_for_parameter(&self, name: &str) -> bool {
        self.asked.parameters.contains(name)
    }

    /// What the named groups of the pattern that took this path hold.
    pub fn captures(&self, found: Found, path: &str, name: &str) -> Option<String> {
        match &self.rules.get(found.rule)?.path {
            PathCondition::Pattern(pattern) => {
                let captures = pattern.captures(path)?;
                captures.name(name).map(|group| group.as_str().to_owned())
            }
            _ => None,
        }
    }
}

/// `a.b.c` has the suffixes `.b.c` and `.c`, the longest first. `.b.c` is not below itself.
fn suffixes(host: &str, longest: usize) -> impl Iterator<Item = &str> {
    host.match_indices('.')
        .filter(move |(dot, _)| *dot > 0 && host.len() - dot <= longest)
        .filter_map(|(dot, _)| host.get(dot..))
}

#[cfg(test)]
mod tests;
