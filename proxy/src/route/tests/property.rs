//! The table and its explanations against the reference, over routes and requests that nobody thought of; routes that can never match; and the
//! normal form of any path.

use std::net::IpAddr;

use http::header::HeaderName;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::route::consider::Seen;
use crate::route::{path, reference};

/// Few values, so that routes get in each other's way.
fn tests() -> impl Strategy<Value = Vec<Test>> {
    let value = || select(vec!["1", "2", ""]);
    let test = prop_oneof![
        4 => value().prop_map(|value| Test::Exact(value.to_owned())),
        1 => value().prop_map(|value| Test::Prefix(value.to_owned())),
        1 => Just(Test::Present),
        1 => Just(Test::Absent),
    ];
    proptest::collection::vec(test, 1..3)
}

/// Conditions that are of one kind.
fn kinds() -> Vec<BoxedStrategy<Condition>> {
    let methods = vec![
        vec![Method::GET],
        vec![Method::GET, Method::PUT],
        vec![Method::POST, Method::PUT],
    ];
    let networks = vec!["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"];
    vec![
        select(methods).prop_map(Condition::Method).boxed(),
        (select(vec!["h1", "h2"]), tests())
            .prop_map(|(name, tests)| Condition::Header(HeaderName::from_static(name), tests))
            .boxed(),
        (select(vec!["q1", "q2"]), tests())
            .prop_map(|(name, tests)| Condition::Query(name.to_owned(), tests))
            .boxed(),
        (select(vec!["c1", "c2"]), tests())
            .prop_map(|(name, tests)| Condition::Cookie(name.to_owned(), tests))
            .boxed(),
        select(networks)
            .prop_map(|net| Condition::Client(vec![net.parse().unwrap()]))
            .boxed(),
        paths().prop_map(Condition::Path).boxed(),
        hosts().prop_map(Condition::Host).boxed(),
    ]
}

fn conditions() -> impl Strategy<Value = Condition> {
    let simple = proptest::strategy::Union::new(kinds());
    simple.prop_recursive(2, 6, 2, |inner| {
        let group = proptest::collection::vec(inner, 1..3);
        prop_oneof![
            group.clone().prop_map(Condition::Not),
            proptest::collection::vec(group, 1..3).prop_map(Condition::Any),
        ]
    })
}

fn segments() -> impl Strategy<Value = String> {
    proptest::collection::vec(select(vec!["a", "b", "ab"]), 0..4).prop_map(|segments| {
        segments
            .iter()
            .map(|segment| format!("/{segment}"))
            .collect()
    })
}

fn request_paths() -> impl Strategy<Value = String> {
    (segments(), any::<bool>()).prop_map(|(path, slash)| match (path.is_empty(), slash) {
        (true, _) => "/".to_owned(),
        (false, true) => path + "/",
        (false, false) => path,
    })
}

fn paths() -> impl Strategy<Value = PathCondition> {
    let patterns = vec![
        "/a.*",
        "/[ab]/b",
        "(/ab)+",
        "/",
        ".*b",
        "/a|/b",
        "^/.*",
        ".*",
        "/a(/.*)?",
        "/a/.*",
        "/a/b.*",
        "/a($|/.*)",
        "/(a|b)/.*",
    ];
    prop_oneof![
        1 => Just(PathCondition::Any),
        3 => request_paths().prop_map(PathCondition::Exact),
        4 => segments().prop_map(PathCondition::Prefix),
        4 => select(patterns).prop_map(pattern),
    ]
}

fn hosts() -> impl Strategy<Value = Vec<Host>> {
    let names = vec!["x", "a.x", "b.a.x", "*.x", "*.a.x", "y"];
    proptest::collection::vec(select(names).prop_map(Host::new), 0..3)
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let one = (
        hosts(),
        paths(),
        proptest::collection::vec(conditions(), 0..3),
    )
        .prop_map(|(hosts, path, conditions)| Match {
            hosts,
            path,
            conditions,
        });
    let entry = (
        proptest::collection::vec(one, 1..3),
        select(vec![0, 0, 0, 1, -1]),
    );
    proptest::collection::vec(entry, 0..12).prop_map(|entries| {
        let named = |(index, (matches, priority))| Entry {
            name: format!("{index:03}"),
            priority,
            matches,
        };
        entries.into_iter().enumerate().map(named).collect()
    })
}

/// Two routes that differ in their hosts, their paths or conditions of one kind, the first one with the higher priority:
/// often one hides the other.
fn pairs() -> impl Strategy<Value = Vec<Entry>> {
    let places = (hosts(), paths()).prop_map(|(hosts, path)| (hosts, path, Vec::new()));
    let conditions = proptest::strategy::Union::new(kinds().into_iter().map(|kind| {
        let groups = proptest::collection::vec(proptest::collection::vec(kind, 1..3), 2);
        (groups, 0..3).prop_map(|(groups, form)| {
            let form = |group: Vec<Condition>| match form {
                0 => group,
                1 => vec![Condition::Not(group)],
                _ => vec![Condition::Any(
                    group.into_iter().map(|one| vec![one]).collect(),
                )],
            };
            let whole = |group| (Vec::new(), PathCondition::Any, form(group));
            groups.into_iter().map(whole).collect::<Vec<_>>()
        })
    }));
    let both = prop_oneof![
        1 => proptest::collection::vec(places, 2),
        3 => conditions,
    ];
    both.prop_map(|both| {
        let named = |(index, (hosts, path, conditions))| Entry {
            name: format!("{index:03}"),
            priority: i32::from(index == 0),
            matches: vec![Match {
                hosts,
                path,
                conditions,
            }],
        };
        both.into_iter().enumerate().map(named).collect()
    })
}

/// What a request is made of.
#[derive(Debug, Clone)]
struct Asked {
    host: &'static str,
    path: String,
    query: Option<&'static str>,
    method: Method,
    headers: HeaderMap,
    client: Option<IpAddr>,
}

impl Asked {
    fn request(&self) -> Request<'_> {
        Request {
            host: self.host,
            path: &self.path,
            query: self.query,
            method: &self.method,
            headers: &self.headers,
            client: self.client,
        }
    }
}

fn requests() -> impl Strategy<Value = Asked> {
    let fields = (
        select(vec!["h1", "h2", "cookie"]),
        select(vec!["1", "2", "c1=1", "c2=2; c1=2"]),
    );
    let queries = vec![None, Some("q1=1"), Some("q1=2&q2=1"), Some("q2&q1=1&q1=2")];
    let clients = vec![None, Some([10, 1, 0, 1].into()), Some([10, 2, 0, 1].into())];
    let asterisk = Just("*".to_owned());
    let parts = (
        select(vec!["x", "a.x", "c.b.a.x", "y", "z", ""]),
        prop_oneof![9 => request_paths(), 1 => asterisk],
        select(queries),
        select(vec![Method::GET, Method::PUT, Method::DELETE]),
        proptest::collection::vec(fields, 0..4),
        select(clients),
    );
    parts.prop_map(|(host, path, query, method, fields, client)| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        Asked {
            host,
            path,
            query,
            method,
            headers,
            client,
        }
    })
}

proptest! {
    #[test]
    fn the_table_finds_what_the_reference_finds(
        entries in entries(),
        shuffle in any::<Index>(),
        asked in requests(),
    ) {
        let mut entries = entries;
        if !entries.is_empty() {
            // The order of the file must not count.
            let by = shuffle.index(entries.len());
            entries.rotate_left(by);
        }
        let table = Table::new(&entries).unwrap();
        let found = table.find(&asked.request()).map(|found| found.route);
        prop_assert_eq!(found, reference::find(&entries, &asked.request()));

        // What is explained is what is decided.
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let considered = table.consider(&asked.request(), &names);
        let winner = considered.iter().find(|one| one.seen == Seen::Taken);
        prop_assert_eq!(winner.map(|one| one.route), found);
        for one in &considered {
            let alone = reference::find(std::slice::from_ref(&entries[one.route]), &asked.request());
            let is_refused = matches!(one.seen, Seen::Refused(_));
            prop_assert_eq!(is_refused, alone.is_none(), "{:?}", one);
        }
        prop_assert_eq!(considered.len(), entries.len());
    }

    #[test]
    fn a_hidden_route_is_never_found(
        entries in prop_oneof![1 => entries(), 3 => pairs()],
        asked in proptest::collection::vec(requests(), 40),
    ) {
        let table = Table::new(&entries).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        let hidden = table.hidden(&names);
        for asked in &asked {
            let found = table.find(&asked.request()).map(|found| found.route);
            prop_assert!(hidden.iter().all(|hidden| Some(hidden.route) != found), "{:?} {:?}", hidden, found);
        }
        for hidden in &hidden {
            prop_assert!(hidden.by.iter().all(|by| by.route != hidden.route));
        }
    }

    #[test]
    fn a_normal_form_is_normal_and_has_no_empty_or_dot_segments(path in "(/(\\.|%2[eEfF]|[a-c]|%[0-9a-f]{2}|é| ){0,3}){1,5}") {
        if let Ok(normal) = path::normalise(&path) {
            let again = path::normalise(&normal);
            prop_assert_eq!(again.as_deref(), Ok(&*normal));
            let mut segments: Vec<&str> = normal.split('/').skip(1).collect();
            segments.pop();
            prop_assert!(!segments.iter().any(|segment| matches!(*segment, "" | "." | "..")), "{}", normal);
        }
    }
}
