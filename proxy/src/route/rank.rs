//! Which of two rules is asked first.

use std::cmp::Reverse;

use super::condition::{Condition, Host, Width};
use super::{Entry, Match};

/// Smaller is earlier. Only rules that can take the same request are ever compared by it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Reverse<i32>,
    host: Width,
    path: Width,
    has_method: Reverse<bool>,
    headers: Reverse<usize>,
    queries: Reverse<usize>,
    cookies: Reverse<usize>,
    has_client: Reverse<bool>,
    others: Reverse<usize>,
    name: String,
}

pub(super) fn rank(entry: &Entry, one: &Match, host: Option<&Host>) -> Rank {
    let count = |is: fn(&Condition) -> bool| one.conditions.iter().filter(|one| is(one)).count();
    let headers = count(|one| matches!(one, Condition::Header(..)));
    let queries = count(|one| matches!(one, Condition::Query(..)));
    let cookies = count(|one| matches!(one, Condition::Cookie(..)));
    let methods = count(|one| matches!(one, Condition::Method(..)));
    let clients = count(|one| matches!(one, Condition::Client(..)));
    let named = headers + queries + cookies + methods + clients;
    Rank {
        priority: Reverse(entry.priority),
        host: host.map_or(Width::Any, Host::width),
        path: one.path.width(),
        has_method: Reverse(methods > 0),
        headers: Reverse(headers),
        queries: Reverse(queries),
        cookies: Reverse(cookies),
        has_client: Reverse(clients > 0),
        others: Reverse(one.conditions.len() - named),
        name: entry.name.clone(),
    }
}
