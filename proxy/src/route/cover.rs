//! Routes that can never match, because rules that are asked before theirs take every request that they would take.
//!
//! Only what is certain counts: a rule is covered by an earlier one whose host and path are as wide or wider, and whose
//! conditions follow, each by itself, from those of the covered one. That two rules together leave nothing for a third one,
//! or what expressions have in common, is not looked for.
//!
//! Of rules with the same priority, a wider one is asked earlier only if it is an expression; so a table with one priority
//! and no expression that is wide is not looked at beyond the rules of one host and path. Of these, the first `LOOKED_AT` are.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::iter::successors;

use super::condition::{Condition, Host, PathCondition, Test};
use super::rank::precedence;
use super::simpler::{Taken, taken};
use super::{Rule, Table, suffixes};

/// Rules of one host and path that a rule is compared with: a bound on what a look at thousands of them costs.
const LOOKED_AT: usize = 32;

/// A route that can never match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hidden {
    /// Its position.
    pub route: usize,
    /// Those that take its requests, in the order in which they are asked.
    pub by: Vec<By>,
}

/// A route that takes requests before another one is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Its position.
    pub route: usize,
    /// Why it is asked first.
    pub why: String,
}

impl Table {
    /// The routes that can never match, by their position. `names` are the routes' by position.
    pub fn hidden(&self, names: &[&str]) -> Vec<Hidden> {
        // For each route, the rules that cover those of its own; none as soon as one of them is not covered.
        let mut pairs: Vec<Option<Vec<(usize, usize)>>> = vec![Some(Vec::new()); names.len()];
        let mut places = Places::new(self.rules.len());
        let highest = self.rules.first().map_or(0, |rule| rule.priority);
        for (number, rule) in self.rules.iter().enumerate() {
            if let Some(pairs) = pairs.get_mut(rule.route) {
                let has_higher = highest > rule.priority;
                match places.covering(rule, self, has_higher) {
                    Some(by) => pairs.iter_mut().for_each(|pairs| pairs.push((by, number))),
                    None => *pairs = None,
                }
            }
            places.add(rule, number);
        }
        let all = pairs.into_iter().enumerate();
        all.filter_map(|(route, pairs)| {
            let by = self.by(route, &pairs?, names);
            (!by.is_empty()).then_some(Hidden { route, by })
        })
        .collect()
    }

    /// Each route once that covers rules of this one. A rule may also be covered by one of its own route.
    fn by(&self, route: usize, pairs: &[(usize, usize)], names: &[&str]) -> Vec<By> {
        let mut pairs = pairs.to_vec();
        pairs.sort_unstable();
        let name = |rule: &Rule| names.get(rule.route).copied().unwrap_or_default();
        let mut by: Vec<By> = Vec::new();
        for (first, behind) in pairs {
            let (Some(first), Some(behind)) = (self.rules.get(first), self.rules.get(behind))
            else {
                continue;
            };
            if first.route != route && by.iter().all(|known| known.route != first.route) {
                by.push(By {
                    route: first.route,
                    why: precedence(
                        (first, &first.rank(name(first))),
                        (behind, &behind.rank(name(behind))),
                    ),
                });
            }
        }
        by
    }
}

/// What the rules of one place have in common beside the host: the paths that they take.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key<'r> {
    Exact(&'r str),
    /// That of every path is the empty one.
    Prefix(Cow<'r, str>),
    /// All that begin like this, also in the middle of a segment. `*` begins like the empty one, and not like `/`.
    Beginning(Cow<'r, str>),
    Pattern(&'r str),
}

fn key(path: &PathCondition) -> Key<'_> {
    match path {
        PathCondition::Any => Key::Prefix("".into()),
        PathCondition::Exact(path) => Key::Exact(path),
        PathCondition::Prefix(prefix) => Key::Prefix(prefix.into()),
        PathCondition::Pattern(pattern) => match taken(bare(pattern.as_str())) {
            Some(Taken::Tree(path)) => Key::Prefix(path.into()),
            Some(Taken::Beginning(path)) => Key::Beginning(path.into()),
            None => Key::Pattern(pattern.as_str()),
        },
    }
}

/// The expression as it was written.
fn bare(anchored: &str) -> &str {
    let bare = anchored.strip_prefix("^(?:");
    bare.and_then(|rest| rest.strip_suffix(")$"))
        .unwrap_or(anchored)
}

impl Key<'_> {
    /// Whether it takes every path that the other one takes.
    fn covers(&self, narrow: &Key<'_>) -> bool {
        match (self, narrow) {
            (Key::Prefix(wide) | Key::Beginning(wide), _) if wide.is_empty() => true,
            (Key::Beginning(wide), narrow) => {
                narrow.text().is_some_and(|text| text.starts_with(&**wide))
            }
            (Key::Prefix(wide), Key::Beginning(text)) => text
                .strip_prefix(&**wide)
                .is_some_and(|rest| rest.starts_with('/')),
            (Key::Prefix(wide), narrow) => narrow
                .text()
                .and_then(|text| text.strip_prefix(&**wide))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            (wide, narrow) => wide == narrow,
        }
    }

    /// How all paths begin that it takes.
    fn text(&self) -> Option<&str> {
        match self {
            Self::Exact(text) => Some(text),
            Self::Prefix(text) | Self::Beginning(text) => Some(text),
            Self::Pattern(_) => None,
        }
    }
}

/// The rules that are asked earlier, by host and path, in their order.
struct Places<'r> {
    /// The first and the last rule of each place.
    ends: HashMap<(Option<&'r Host>, Key<'r>), (usize, usize)>,
    /// For each rule, the next one of its place. Most places have one rule: it needs no list.
    next: Vec<Option<usize>>,
    /// Lengths of the beginnings among the places: none if no expression is that wide.
    beginnings: BTreeSet<usize>,
    /// Whether an expression is as wide as a prefix.
    has_wide_pattern: bool,
}

impl<'r> Places<'r> {
    fn new(rules: usize) -> Self {
        Self {
            ends: HashMap::with_capacity(rules),
            next: vec![None; rules],
            beginnings: BTreeSet::new(),
            has_wide_pattern: false,
        }
    }

    fn add(&mut self, rule: &'r Rule, number: usize) {
        let key = key(&rule.path);
        if let Key::Beginning(text) = &key {
            self.beginnings.insert(text.len());
        }
        let is_pattern = matches!(rule.path, PathCondition::Pattern(_));
        self.has_wide_pattern |= is_pattern && !matches!(key, Key::Pattern(_));
        let place = self.ends.entry((rule.host.as_ref(), key));
        let (_, last) = place.or_insert((number, number));
        if let Some(next) = self.next.get_mut(*last).filter(|_| *last != number) {
            *next = Some(number);
        }
        *last = number;
    }

    /// The first rule that takes everything that this one would take.
    fn covering(&self, rule: &Rule, table: &Table, has_higher: bool) -> Option<usize> {
        let own_key = key(&rule.path);
        let own = self.first_at(rule.host.as_ref(), own_key.clone(), rule, table);
        if !has_higher && !self.has_wide_pattern {
            return own;
        }
        let hosts = wider_hosts(rule.host.as_ref(), table.wildcard_longest);
        let hosts = hosts.iter().map(Some).chain([rule.host.as_ref(), None]);
        hosts
            .flat_map(|host| {
                let wider = wider_paths(&own_key, &self.beginnings);
                wider.map(move |path| (host, path))
            })
            .filter_map(|(host, path)| self.first_at(host, path, rule, table))
            .chain(own)
            .min()
    }

    fn first_at(
        &self,
        host: Option<&Host>,
        path: Key<'_>,
        rule: &Rule,
        table: &Table,
    ) -> Option<usize> {
        let (first, _) = self.ends.get(&(host, path))?;
        let here = successors(Some(*first), |number| *self.next.get(*number)?);
        let covers = |number: &usize| {
            let earlier = table.rules.get(*number);
            earlier.is_some_and(|earlier| follow(&earlier.conditions, rule))
        };
        here.take(LOOKED_AT).find(covers)
    }
}

/// The wildcards that it is below.
fn wider_hosts(host: Option<&Host>, longest: usize) -> Vec<Host> {
    let name = match host {
        Some(Host::Exact(name) | Host::Below(name)) => name.as_str(),
        None => "",
    };
    let below = suffixes(name, longest).map(str::to_owned);
    below.map(Host::Below).collect()
}

/// These paths, the prefixes that they are below, the empty one, and how they begin as far as any expression looks.
fn wider_paths<'k>(
    path: &'k Key<'k>,
    lengths: &'k BTreeSet<usize>,
) -> impl Iterator<Item = Key<'k>> {
    let text = path.text().unwrap_or_default();
    let up = |path: &&'k str| path.get(..path.rfind('/')?);
    let from = match path {
        Key::Beginning(_) => up(&text).or(Some("")),
        _ => Some(text),
    };
    let above = successors(from, up).map(|path| Key::Prefix(path.into()));
    let beginnings = lengths.range(..=text.len());
    let beginnings = beginnings.filter_map(move |end| text.get(..*end));
    let beginnings = beginnings.map(|text| Key::Beginning(text.into()));
    [path.clone()].into_iter().chain(above).chain(beginnings)
}

/// Whether all of these conditions hold for each request that the rule takes.
fn follow(conditions: &[Condition], rule: &Rule) -> bool {
    conditions.iter().all(|one| follows(one, rule))
}

fn follows(condition: &Condition, rule: &Rule) -> bool {
    let from_place = match condition {
        Condition::Path(wide) => is_wider_path(wide, &rule.path),
        Condition::Host(wide) => rule.host.as_ref().is_some_and(|host| is_among(host, wide)),
        Condition::Any(groups) => groups.iter().any(|group| follow(group, rule)),
        _ => false,
    };
    from_place
        || rule
            .conditions
            .iter()
            .any(|given| implies(given, condition))
}

/// Whether the second one holds for each request for which the first one does.
fn implies(given: &Condition, wanted: &Condition) -> bool {
    use Condition::{Any, Client, Cookie, Header, Method, Not, Path, Query};
    match (given, wanted) {
        (Condition::Host(these), Condition::Host(wide)) => {
            these.iter().all(|host| is_among(host, wide))
        }
        (Path(narrow), Path(wide)) => is_wider_path(wide, narrow),
        (Method(these), Method(wide)) => these.iter().all(|method| wide.contains(method)),
        (Header(name, these), Header(other, wide)) => name == other && imply(these, wide),
        (Query(name, these), Query(other, wide)) | (Cookie(name, these), Cookie(other, wide)) => {
            name == other && imply(these, wide)
        }
        (Client(these), Client(wide)) => these
            .iter()
            .all(|one| wide.iter().any(|network| network.contains(one))),
        (Not(these), Not(fewer)) => all_imply(fewer, these),
        (Any(groups), Any(wide)) => groups
            .iter()
            .all(|group| wide.iter().any(|other| all_imply(group, other))),
        _ => false,
    }
}

/// Whether each of `wanted` follows from one of `given`.
fn all_imply(given: &[Condition], wanted: &[Condition]) -> bool {
    let follows = |wanted| given.iter().any(|given| implies(given, wanted));
    wanted.iter().all(follows)
}

/// Of several tests one has to hold.
fn imply(these: &[Test], wide: &[Test]) -> bool {
    let one = |given: &Test| wide.iter().any(|wanted| implies_test(given, wanted));
    these.iter().all(one)
}

fn implies_test(given: &Test, wanted: &Test) -> bool {
    match (given, wanted) {
        (Test::Exact(value), wanted) => wanted.holds(Some(value.as_bytes())),
        (Test::Prefix(value), Test::Prefix(wide)) => value.starts_with(wide.as_str()),
        (Test::Pattern(one), Test::Pattern(other)) => one.as_str() == other.as_str(),
        (Test::Absent, Test::Absent)
        | (Test::Prefix(_) | Test::Pattern(_) | Test::Present, Test::Present) => true,
        _ => false,
    }
}

fn is_among(host: &Host, wide: &[Host]) -> bool {
    wide.iter().any(|wide| is_wider_host(wide, host))
}

fn is_wider_host(wide: &Host, narrow: &Host) -> bool {
    match (wide, narrow) {
        (wide, Host::Exact(name)) => wide.holds(name),
        (Host::Below(wide), Host::Below(name)) => name.ends_with(wide.as_str()),
        (Host::Exact(_), Host::Below(_)) => false,
    }
}

fn is_wider_path(wide: &PathCondition, narrow: &PathCondition) -> bool {
    match narrow {
        PathCondition::Exact(path) => wide.holds(path),
        narrow => key(wide).covers(&key(narrow)),
    }
}
