//! Which route the table finds.

mod cover;
mod gateway_api;
mod property;

use http::header::HeaderName;
use http::{HeaderMap, Method};
use regex::Regex;

use super::condition::Test;
use super::*;

fn exact(value: &str) -> Vec<Test> {
    vec![Test::Exact(value.to_owned())]
}

fn header(name: &'static str, value: &str) -> Condition {
    Condition::Header(HeaderName::from_static(name), exact(value))
}

fn query(name: &str, value: &str) -> Condition {
    Condition::Query(name.to_owned(), exact(value))
}

fn prefix(path: &str) -> PathCondition {
    PathCondition::Prefix(path.trim_end_matches('/').to_owned())
}

fn path(path: &str) -> PathCondition {
    PathCondition::Exact(path.to_owned())
}

fn pattern(pattern: &str) -> PathCondition {
    PathCondition::Pattern(Regex::new(&format!("^(?:{pattern})$")).unwrap())
}

fn one(path: PathCondition, conditions: Vec<Condition>) -> Match {
    Match {
        hosts: Vec::new(),
        path,
        conditions,
    }
}

/// Routes named `a`, `b`, `c`, ..., so that the first one written wins where nothing else decides.
fn routes(matches: Vec<Vec<Match>>) -> Vec<Entry> {
    let named = |(index, matches)| Entry {
        name: format!("{index:03}"),
        priority: 0,
        matches,
    };
    matches.into_iter().enumerate().map(named).collect()
}

/// Which route takes `METHOD path?query`.
fn found(table: &Table, request: &str, fields: &[(&'static str, &str)]) -> Option<usize> {
    let (method, target) = request.split_once(' ').unwrap_or(("GET", request));
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let (host, path) = path.split_at(path.find(['/', '*']).unwrap());
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, value.parse().unwrap());
    }
    let found = table.find(&Request {
        host,
        path,
        query,
        method: &method.parse().unwrap(),
        headers: &headers,
        client: None,
    });
    found.map(|found| found.route)
}

/// A request, its fields, and the route that takes it.
type Case<'c> = (&'c str, &'c [(&'static str, &'c str)], Option<usize>);

fn check(routes: Vec<Vec<Match>>, cases: &[Case<'_>]) {
    let table = Table::new(&self::routes(routes)).unwrap();
    for (request, fields, expected) in cases {
        assert_eq!(
            found(&table, request, fields),
            *expected,
            "{request} {fields:?}"
        );
    }
}

#[test]
fn a_prefix_ends_at_a_slash_and_one_at_its_end_means_nothing() {
    for api in ["/api", "/api/"] {
        check(
            vec![
                vec![one(prefix(api), vec![])],
                vec![one(prefix("/"), vec![])],
            ],
            &[
                ("/api", &[], Some(0)),
                ("/api/", &[], Some(0)),
                ("/api/hello", &[], Some(0)),
                ("/apiary", &[], Some(1)),
                ("/", &[], Some(1)),
                ("OPTIONS *", &[], Some(1)),
            ],
        );
    }
}

#[test]
fn a_slash_at_the_end_of_an_exact_path_counts() {
    check(
        vec![
            vec![one(path("/a"), vec![])],
            vec![one(path("/b/"), vec![])],
            vec![one(path("/"), vec![])],
        ],
        &[
            ("/a", &[], Some(0)),
            ("/a/", &[], None),
            ("/b/", &[], Some(1)),
            ("/b", &[], None),
            ("/", &[], Some(2)),
            ("OPTIONS *", &[], None),
        ],
    );
}

#[test]
fn exact_before_pattern_before_the_longest_prefix() {
    check(
        vec![
            vec![one(prefix("/"), vec![])],
            vec![one(prefix("/a/b/c/d"), vec![])],
            vec![one(pattern("/a/[^/]+/(?P<what>.+)"), vec![])],
            vec![one(path("/a/b/c"), vec![])],
        ],
        &[
            ("/a/b/c", &[], Some(3)),
            ("/a/b/c/d", &[], Some(2)),
            ("/a/b", &[], Some(0)),
            ("/x/a/b/c", &[], Some(0)),
        ],
    );
}

#[test]
fn of_two_patterns_the_one_with_more_conditions_is_asked_first() {
    check(
        vec![
            vec![one(pattern("/[a-z]+"), vec![])],
            vec![one(pattern("/a.*"), vec![header("v", "2")])],
        ],
        &[
            ("/ab", &[("v", "2")], Some(1)),
            ("/ab", &[], Some(0)),
            ("/b", &[("v", "2")], Some(0)),
        ],
    );
}

#[test]
fn what_a_pattern_names_can_be_read() {
    let table = Table::new(&routes(vec![vec![one(
        pattern("/users/(?P<id>[0-9]+)(?P<rest>/.*)?"),
        vec![],
    )]]));
    let table = table.unwrap();
    let headers = HeaderMap::new();
    let path = "/users/42";
    let request = Request {
        host: "",
        path,
        query: None,
        method: &Method::GET,
        headers: &headers,
        client: None,
    };
    let found = table.find(&request).unwrap();
    assert_eq!(table.captures(found, path, "id").as_deref(), Some("42"));
    assert_eq!(table.captures(found, path, "rest"), None);
}

#[test]
fn the_more_specific_host_wins_if_it_takes_the_request() {
    let at = |hosts: &[&str], path: &str| {
        vec![Match {
            hosts: hosts.iter().map(|host| Host::new(host)).collect(),
            path: prefix(path),
            conditions: vec![],
        }]
    };
    check(
        vec![
            at(&[], "/"),
            at(&["*.example.com"], "/"),
            at(&["*.b.example.com"], "/"),
            at(&["a.example.com", "example.com"], "/only"),
        ],
        &[
            ("a.example.com/only", &[], Some(3)),
            ("a.example.com/else", &[], Some(1)),
            ("x.example.com/", &[], Some(1)),
            ("x.y.example.com/", &[], Some(1)),
            ("x.b.example.com/", &[], Some(2)),
            ("example.com/only/x", &[], Some(3)),
            ("example.com/", &[], Some(0)),
            (".example.com/", &[], Some(0)),
            (".b.example.com/", &[], Some(1)),
            ("/", &[], Some(0)),
        ],
    );
}

#[test]
fn a_priority_stands_above_everything() {
    let mut routes = routes(vec![
        vec![Match {
            hosts: vec![Host::new("a")],
            path: path("/x"),
            conditions: vec![],
        }],
        vec![one(prefix("/"), vec![header("maintenance", "on")])],
        vec![one(prefix("/"), vec![])],
    ]);
    routes[1].priority = 1;
    let table = Table::new(&routes).unwrap();
    assert_eq!(found(&table, "a/x", &[]), Some(0));
    assert_eq!(found(&table, "a/x", &[("maintenance", "on")]), Some(1));
    routes[1].priority = -1;
    let table = Table::new(&routes).unwrap();
    assert_eq!(found(&table, "b/x", &[("maintenance", "on")]), Some(2));
}

#[test]
fn what_is_longer_than_anything_known_is_not_even_looked_at() {
    assert_eq!(suffixes(&".a".repeat(30_000), 4).count(), 2);
    check(
        vec![vec![one(prefix("/a"), vec![])]],
        &[(&format!("/a{}", "/a".repeat(100_000)), &[], Some(0))],
    );
}
