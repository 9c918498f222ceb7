//! What a look-up decides, with its reasons: which routes take a request, which one is asked first and why, and what the
//! others lack. It asks every rule, where a look-up goes straight to few; both must say the same (`tests/property.rs`).

use std::collections::HashMap;

use super::condition::{PathCondition, Request};
use super::rank::{Rank, precedence};
use super::words::first;
use super::{Host, Rule, Table};

/// A route, as seen by a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Considered {
    /// Its position.
    pub route: usize,
    /// What it asks for, in the words of the file: the way that takes the request, or that came nearest.
    pub asks: String,
    /// How it went.
    pub seen: Seen,
}

/// How a request stands to a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is taken.
    Taken,
    /// It would be taken, but another one is asked first, for this reason.
    Later(String),
    /// It is not taken: this is the first condition that does not hold.
    Refused(String),
}

/// How far a rule came, and what stopped it. More is nearer.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Came {
    ToHost,
    ToPath,
    /// So many conditions held.
    ToCondition(usize),
    Through,
}

impl Table {
    /// Every route, the one that takes the request first, then those that also would, then the others, the nearest first.
    /// `names` are the routes' by position.
    pub fn consider(&self, request: &Request<'_>, names: &[&str]) -> Vec<Considered> {
        let mut nearest: HashMap<usize, (Came, usize, &Rule, Option<String>)> = HashMap::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let (came, why) = rule.how_far(request);
            match nearest.get(&rule.route) {
                Some((known, ..)) if *known >= came => {}
                _ => drop(nearest.insert(rule.route, (came, number, rule, why))),
            }
        }
        let mut all: Vec<_> = nearest.into_values().collect();
        all.sort_by(|(came, number, ..), (other, behind, ..)| {
            other.cmp(came).then(number.cmp(behind))
        });
        let winner = all.first().map(|(_, _, rule, _)| *rule);
        let name = |rule: &Rule| names.get(rule.route).copied().unwrap_or_default();
        all.iter()
            .map(|(_, _, rule, why)| Considered {
                route: rule.route,
                asks: rule.asks(),
                seen: match (why, winner) {
                    (Some(why), _) => Seen::Refused(why.clone()),
                    (None, Some(winner)) if winner.route != rule.route => Seen::Later(precedence(
                        (winner, &winner.rank(name(winner))),
                        (rule, &rule.rank(name(rule))),
                    )),
                    (None, _) => Seen::Taken,
                },
            })
            .collect()
    }
}

impl Rule {
    fn how_far(&self, request: &Request<'_>) -> (Came, Option<String>) {
        if let Some(host) = &self.host
            && !host.holds(request.host)
        {
            let why = format!("the host is `{}`, not `{host}`", request.host);
            return (Came::ToHost, Some(why));
        }
        if !self.path.holds(request.path) {
            return (Came::ToPath, Some(self.path.refusal(request.path)));
        }
        let held = self.conditions.iter().take_while(|one| one.holds(request));
        match first(&self.conditions, request) {
            None => (Came::Through, None),
            why => (Came::ToCondition(held.count()), why),
        }
    }

    /// In the words of the file.
    fn asks(&self) -> String {
        let host = self.host.as_ref().map(|host| format!("host {host}"));
        let path = match &self.path {
            PathCondition::Any => None,
            path => Some(path.to_string()),
        };
        let others = self.conditions.iter().map(ToString::to_string);
        let all: Vec<String> = host.into_iter().chain(path).chain(others).collect();
        if all.is_empty() {
            "every request".to_owned()
        } else {
            all.join(", ")
        }
    }

    pub(super) fn rank(&self, name: &str) -> Rank {
        let host: Option<&Host> = self.host.as_ref();
        Rank::new(self.priority, host, &self.path, &self.conditions, name)
    }
}
