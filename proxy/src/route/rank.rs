//! Which of two rules is asked first, and why.

use std::cmp::Reverse;

use super::Rule;
use super::condition::{Condition, Host, PathCondition, Width};

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

impl Rank {
    pub(super) fn new(
        priority: i32,
        host: Option<&Host>,
        path: &PathCondition,
        conditions: &[Condition],
        name: &str,
    ) -> Self {
        let count = |is: fn(&Condition) -> bool| conditions.iter().filter(|one| is(one)).count();
        let headers = count(|one| matches!(one, Condition::Header(..)));
        let queries = count(|one| matches!(one, Condition::Query(..)));
        let cookies = count(|one| matches!(one, Condition::Cookie(..)));
        let methods = count(|one| matches!(one, Condition::Method(..)));
        let clients = count(|one| matches!(one, Condition::Client(..)));
        let named = headers + queries + cookies + methods + clients;
        Self {
            priority: Reverse(priority),
            host: host.map_or(Width::Any, Host::width),
            path: path.width(),
            has_method: Reverse(methods > 0),
            headers: Reverse(headers),
            queries: Reverse(queries),
            cookies: Reverse(cookies),
            has_client: Reverse(clients > 0),
            others: Reverse(conditions.len() - named),
            name: name.to_owned(),
        }
    }
}

/// Why the first one is asked before the other: what both are compared by, as far as they are equal.
pub(super) fn precedence(first: (&Rule, &Rank), other: (&Rule, &Rank)) -> String {
    let ((rule, rank), (behind, after)) = (first, other);
    let name = &rank.name;
    if rank.priority != after.priority {
        let (more, less) = (rank.priority.0, after.priority.0);
        format!("the priority of `{name}` is higher: {more}, not {less}")
    } else if rank.host != after.host {
        match &rule.host {
            Some(host) => format!("`{name}` is for a narrower host: `{host}`"),
            None => format!("`{name}` is for a narrower host"),
        }
    } else if rank.path != after.path {
        let (path, wider) = (&rule.path, &behind.path);
        format!("`{name}` is more specific: {path} comes before {wider}")
    } else {
        let counts = [
            (rank.has_method != after.has_method, "names a method"),
            (rank.headers != after.headers, "asks for more headers"),
            (
                rank.queries != after.queries,
                "asks for more query parameters",
            ),
            (rank.cookies != after.cookies, "asks for more cookies"),
            (rank.has_client != after.has_client, "names a client"),
            (
                rank.others != after.others,
                "asks for more with `not` and `any`",
            ),
        ];
        match counts.into_iter().find(|(differ, _)| *differ) {
            Some((_, what)) => format!("`{name}` {what}"),
            None => format!("`{name}` comes first in the alphabet, and nothing else decides"),
        }
    }
}
