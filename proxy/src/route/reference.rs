//! The same rules as the table's, slow and obvious: every match of every route is looked at, and of those that take the
//! request the documentation's list picks one, line by line. Property tests compare the two.

use super::condition::{Condition, Host, PathCondition, Request};
use super::{Entry, Match};

/// A match of a route, for one of its hosts.
#[derive(Clone, Copy)]
struct Candidate<'r> {
    route: usize,
    entry: &'r Entry,
    one: &'r Match,
    host: Option<&'r Host>,
}

/// The route that takes this request.
pub(super) fn find(routes: &[Entry], request: &Request<'_>) -> Option<usize> {
    let mut winner: Option<Candidate<'_>> = None;
    for (route, entry) in routes.iter().enumerate() {
        for one in &entry.matches {
            let any = one.hosts.is_empty().then_some(None);
            for host in one.hosts.iter().map(Some).chain(any) {
                let candidate = Candidate {
                    route,
                    entry,
                    one,
                    host,
                };
                if takes(candidate, request) && winner.is_none_or(|other| beats(candidate, other)) {
                    winner = Some(candidate);
                }
            }
        }
    }
    winner.map(|winner| winner.route)
}

fn takes(candidate: Candidate<'_>, request: &Request<'_>) -> bool {
    candidate.host.is_none_or(|host| host.holds(request.host))
        && is_path(&candidate.one.path, request.path)
        && candidate
            .one
            .conditions
            .iter()
            .all(|one| one.holds(request))
}

fn is_path(condition: &PathCondition, path: &str) -> bool {
    match condition {
        PathCondition::Any => true,
        PathCondition::Exact(exact) => path == exact,
        PathCondition::Prefix(prefix) => {
            path == prefix || path.starts_with(&format!("{prefix}/")) || prefix.is_empty()
        }
        PathCondition::Pattern(pattern) => pattern.is_match(path),
    }
}

/// "Which rule wins" in `docs/routing.md`, from top to bottom.
fn beats(one: Candidate<'_>, other: Candidate<'_>) -> bool {
    let kinds: [fn(&Condition) -> bool; 5] = [
        |one| matches!(one, Condition::Header(..)),
        |one| matches!(one, Condition::Query(..)),
        |one| matches!(one, Condition::Cookie(..)),
        |one| matches!(one, Condition::Method(..)),
        |one| matches!(one, Condition::Client(..)),
    ];
    let [header, query, cookie, method, client] = kinds;
    let count = |candidate: Candidate<'_>, is: fn(&Condition) -> bool| {
        candidate
            .one
            .conditions
            .iter()
            .filter(|one| is(one))
            .count()
    };
    let rest = |candidate: Candidate<'_>| {
        let others = candidate.one.conditions.iter();
        others.filter(|one| !kinds.iter().any(|is| is(one))).count()
    };
    // Each line: larger wins, equal goes on with the next.
    let lines = [
        (
            i64::from(one.entry.priority),
            i64::from(other.entry.priority),
        ),
        (host(one), host(other)),
        (path(one), path(other)),
        (flag(count(one, method)), flag(count(other, method))),
        (number(count(one, header)), number(count(other, header))),
        (number(count(one, query)), number(count(other, query))),
        (number(count(one, cookie)), number(count(other, cookie))),
        (flag(count(one, client)), flag(count(other, client))),
        (number(rest(one)), number(rest(other))),
    ];
    match lines.iter().find(|(one, other)| one != other) {
        Some((one, other)) => one > other,
        None => one.entry.name < other.entry.name,
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap()
}

fn flag(count: usize) -> i64 {
    i64::from(count > 0)
}

fn host(candidate: Candidate<'_>) -> i64 {
    match candidate.host {
        Some(Host::Exact(_)) => i64::MAX,
        Some(Host::Below(name)) => number(name.len()),
        None => 0,
    }
}

fn path(candidate: Candidate<'_>) -> i64 {
    match &candidate.one.path {
        PathCondition::Exact(_) => i64::MAX,
        PathCondition::Pattern(_) => i64::MAX - 1,
        PathCondition::Prefix(prefix) => number(prefix.len()),
        PathCondition::Any => 0,
    }
}
