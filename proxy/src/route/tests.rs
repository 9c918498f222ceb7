//! The table against cases that are written down elsewhere, and against the reference over routes that nobody thought of.

use http::header::HeaderName;
use http::{HeaderMap, Method};
use proptest::prelude::*;
use proptest::sample::{Index, select};
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

/// `HTTPRouteMatching`: conformance/tests/httproute-matching of the Kubernetes Gateway API.
#[test]
fn gateway_api_path_and_header() {
    check(
        vec![
            vec![
                one(prefix("/"), vec![]),
                one(PathCondition::Any, vec![header("version", "one")]),
            ],
            vec![
                one(prefix("/v2"), vec![]),
                one(PathCondition::Any, vec![header("version", "two")]),
            ],
        ],
        &[
            ("/", &[], Some(0)),
            ("/example", &[], Some(0)),
            ("/", &[("version", "one")], Some(0)),
            ("/v2", &[], Some(1)),
            ("/v2/example", &[], Some(1)),
            ("/", &[("version", "two")], Some(1)),
            ("/v2example", &[], Some(0)),
        ],
    );
}

/// `HTTPRoutePathMatchOrder`: conformance/tests/httproute-path-match-order.
#[test]
fn gateway_api_path_order() {
    check(
        vec![
            vec![one(path("/match/exact/one"), vec![])],
            vec![one(path("/match/exact"), vec![])],
            vec![one(path("/match"), vec![])],
            vec![one(prefix("/match/prefix/one"), vec![])],
            vec![one(prefix("/match/prefix/"), vec![])],
            vec![one(prefix("/match"), vec![])],
        ],
        &[
            ("/match/exact/one", &[], Some(0)),
            ("/match/exact", &[], Some(1)),
            ("/match", &[], Some(2)),
            ("/match/prefix/one/any", &[], Some(3)),
            ("/match/prefix/any", &[], Some(4)),
            ("/match/any", &[], Some(5)),
        ],
    );
}

/// `HTTPRouteHeaderMatching`: conformance/tests/httproute-header-matching. Where two of its rules are equal, the first one
/// written wins there; here the name decides.
#[test]
fn gateway_api_headers() {
    let any = |conditions| one(PathCondition::Any, conditions);
    let colour = |value| any(vec![header("color", value)]);
    check(
        vec![
            vec![any(vec![header("version", "one")])],
            vec![any(vec![header("version", "two")])],
            vec![any(vec![
                header("version", "two"),
                header("color", "orange"),
            ])],
            vec![colour("blue"), colour("green")],
            vec![colour("red"), colour("yellow")],
        ],
        &[
            ("/", &[("version", "one")], Some(0)),
            ("/", &[("version", "two")], Some(1)),
            ("/", &[("version", "two"), ("color", "orange")], Some(2)),
            ("/", &[("version", "two"), ("color", "blue")], Some(1)),
            ("/", &[("color", "orange")], None),
            ("/", &[("some-other-header", "one")], None),
            ("/", &[("color", "blue")], Some(3)),
            ("/", &[("color", "green")], Some(3)),
            ("/", &[("color", "red")], Some(4)),
            ("/", &[("color", "yellow")], Some(4)),
            ("/", &[("color", "purple")], None),
        ],
    );
}

/// `HTTPRouteMethodMatching`: conformance/tests/httproute-method-matching.
#[test]
fn gateway_api_methods() {
    let method = |method: Method| Condition::Method(vec![method]);
    let any = |conditions| one(PathCondition::Any, conditions);
    check(
        vec![
            vec![any(vec![method(Method::POST)])],
            vec![any(vec![method(Method::GET)])],
            vec![one(prefix("/path1"), vec![method(Method::GET)])],
            vec![any(vec![method(Method::PUT), header("version", "one")])],
            vec![one(
                prefix("/path2"),
                vec![method(Method::POST), header("version", "two")],
            )],
            vec![
                one(prefix("/path3"), vec![method(Method::PATCH)]),
                one(
                    prefix("/path4"),
                    vec![method(Method::DELETE), header("version", "three")],
                ),
            ],
            vec![one(prefix("/path5"), vec![])],
            vec![any(vec![method(Method::PATCH)])],
            vec![any(vec![header("version", "four")])],
        ],
        &[
            ("POST /", &[], Some(0)),
            ("GET /", &[], Some(1)),
            ("HEAD /", &[], None),
            ("GET /path1", &[], Some(2)),
            ("PUT /", &[("version", "one")], Some(3)),
            ("POST /path2", &[("version", "two")], Some(4)),
            ("PATCH /path3", &[], Some(5)),
            ("DELETE /path4", &[("version", "three")], Some(5)),
            ("PUT /", &[], None),
            ("DELETE /path4", &[], None),
            ("PATCH /path5", &[], Some(6)),
            ("PATCH /", &[("version", "four")], Some(7)),
        ],
    );
}

/// `HTTPRouteQueryParamMatching`: conformance/tests/httproute-query-param-matching.
#[test]
fn gateway_api_queries() {
    let any = |conditions| one(PathCondition::Any, conditions);
    check(
        vec![
            vec![any(vec![query("animal", "whale")])],
            vec![any(vec![query("animal", "dolphin")])],
            vec![
                any(vec![query("animal", "dolphin"), query("color", "blue")]),
                any(vec![query("ANIMAL", "Whale")]),
            ],
            vec![one(prefix("/path1"), vec![query("animal", "whale")])],
            vec![any(vec![
                query("animal", "whale"),
                header("version", "one"),
            ])],
            vec![one(prefix("/path5"), vec![])],
            vec![any(vec![query("animal", "hydra")])],
            vec![any(vec![header("version", "four")])],
        ],
        &[
            ("/?animal=whale", &[], Some(0)),
            ("/?animal=dolphin", &[], Some(1)),
            ("/?animal=dolphin&color=blue", &[], Some(2)),
            ("/?ANIMAL=Whale", &[], Some(2)),
            ("/?animal=whale&otherparam=irrelevant", &[], Some(0)),
            ("/?animal=dolphin&color=yellow", &[], Some(1)),
            ("/?color=blue", &[], None),
            ("/?animal=dog", &[], None),
            ("/?animal=whaledolphin", &[], None),
            ("/", &[], None),
            ("/path1?animal=whale", &[], Some(3)),
            ("/?animal=whale", &[("version", "one")], Some(4)),
            ("/path5?animal=hydra", &[], Some(5)),
            ("/?animal=hydra", &[("version", "four")], Some(7)),
        ],
    );
}

/// Few names and values, so that routes get in each other's way.
fn conditions() -> impl Strategy<Value = Condition> {
    let value = || select(vec!["1", "2", ""]);
    let test = prop_oneof![
        4 => value().prop_map(|value| Test::Exact(value.to_owned())),
        1 => value().prop_map(|value| Test::Prefix(value.to_owned())),
        1 => Just(Test::Present),
        1 => Just(Test::Absent),
    ];
    let tests = proptest::collection::vec(test, 1..3);
    let methods = vec![vec![Method::GET], vec![Method::POST, Method::PUT]];
    let networks = vec!["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"];
    let simple = prop_oneof![
        select(methods).prop_map(Condition::Method),
        (select(vec!["h1", "h2"]), tests.clone())
            .prop_map(|(name, tests)| Condition::Header(HeaderName::from_static(name), tests)),
        (select(vec!["q1", "q2"]), tests.clone())
            .prop_map(|(name, tests)| Condition::Query(name.to_owned(), tests)),
        (select(vec!["c1", "c2"]), tests)
            .prop_map(|(name, tests)| Condition::Cookie(name.to_owned(), tests)),
        select(networks).prop_map(|net| Condition::Client(vec![net.parse().unwrap()])),
        paths().prop_map(Condition::Path),
        hosts().prop_map(Condition::Host),
    ];
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
    let patterns = vec!["/a.*", "/[ab]/b", "(/ab)+", "/", ".*b", "/a|/b"];
    prop_oneof![
        1 => Just(PathCondition::Any),
        3 => request_paths().prop_map(PathCondition::Exact),
        4 => segments().prop_map(PathCondition::Prefix),
        2 => select(patterns).prop_map(pattern),
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

proptest! {
    #[test]
    fn the_table_finds_what_the_reference_finds(
        entries in entries(),
        shuffle in any::<Index>(),
        host in select(vec!["x", "a.x", "c.b.a.x", "y", "z", ""]),
        path in request_paths(),
        query in select(vec![None, Some("q1=1"), Some("q1=2&q2=1"), Some("q2&q1=1&q1=2")]),
        method in select(vec![Method::GET, Method::PUT, Method::DELETE]),
        fields in proptest::collection::vec(
            (select(vec!["h1", "h2", "cookie"]), select(vec!["1", "2", "c1=1", "c2=2; c1=2"])), 0..4),
        client in select(vec![None, Some([10, 1, 0, 1].into()), Some([10, 2, 0, 1].into())]),
    ) {
        let mut entries = entries;
        if !entries.is_empty() {
            // The order of the file must not count.
            let by = shuffle.index(entries.len());
            entries.rotate_left(by);
        }
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        let request = Request { host, path: &path, query, method: &method, headers: &headers, client };
        let table = Table::new(&entries).unwrap();
        let found = table.find(&request).map(|found| found.route);
        prop_assert_eq!(found, reference::find(&entries, &request));
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
