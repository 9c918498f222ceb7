//! Which routes can never match.

use super::*;
use crate::route::cover::Hidden;

/// Routes named by their position, each with its priority.
fn table(routes: Vec<(i32, Vec<Match>)>) -> (Table, Vec<String>) {
    let named = |(index, (priority, matches))| Entry {
        name: format!("{index:03}"),
        priority,
        matches,
    };
    let entries: Vec<Entry> = routes.into_iter().enumerate().map(named).collect();
    let names = entries.iter().map(|entry| entry.name.clone()).collect();
    (Table::new(&entries).unwrap(), names)
}

/// The hidden routes, each with those that hide it.
fn hidden(routes: Vec<(i32, Vec<Match>)>) -> Vec<(usize, Vec<usize>)> {
    let (table, names) = table(routes);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let by = |hidden: Hidden| hidden.by.iter().map(|by| by.route).collect();
    let all = table.hidden(&names).into_iter();
    all.map(|hidden| (hidden.route, by(hidden))).collect()
}

/// Whether the first one, asked first by its priority, hides the second one.
fn hides(first: Match, second: Match) -> bool {
    let found = hidden(vec![(1, vec![first]), (0, vec![second])]);
    assert!(found.is_empty() || found == [(1, vec![0])], "{found:?}");
    !found.is_empty()
}

fn on(host: &str, path: PathCondition) -> Match {
    Match {
        hosts: vec![Host::new(host)],
        ..one(path, Vec::new())
    }
}

fn when(condition: Condition) -> Match {
    one(prefix("/a"), vec![condition])
}

#[test]
fn a_wider_path_with_a_higher_priority_hides() {
    let any = PathCondition::Any;
    for (wide, narrow, want) in [
        (any.clone(), prefix("/a"), true),
        (prefix("/"), pattern("/a.*"), true),
        (prefix("/"), any.clone(), true),
        (prefix("/a"), prefix("/a"), true),
        (prefix("/a"), prefix("/a/b/c"), true),
        (prefix("/a"), path("/a"), true),
        (prefix("/a"), path("/a/b/"), true),
        (path("/a"), path("/a"), true),
        (pattern("/a|/b"), pattern("/a|/b"), true),
        (prefix("/a"), prefix("/ab"), false),
        (prefix("/a"), any, false),
        (prefix("/a/b"), prefix("/a"), false),
        (path("/a"), prefix("/a"), false),
        (path("/a"), path("/a/"), false),
        (pattern("/a.*"), pattern("/a/.*"), true),
        (pattern("/a/.*"), pattern("/a.*"), false),
        (prefix("/a"), pattern("/a/.*"), true),
        (prefix("/a"), pattern("/a(/.*)?"), true),
        (prefix("/a"), pattern("/a.*"), false),
        (prefix("/a"), pattern("/a/[0-9]+"), false),
        (pattern("/a(/.*)?"), pattern("/a/.*"), true),
        (pattern("/[ab]/.*"), prefix("/a"), false),
    ] {
        let hides = hides(one(wide.clone(), vec![]), one(narrow.clone(), vec![]));
        assert_eq!(hides, want, "{wide:?} {narrow:?}");
    }
}

/// Expressions are asked before prefixes, of whatever length.
#[test]
fn an_expression_hides_the_prefixes_that_it_takes() {
    let any = PathCondition::Any;
    for (wide, narrow, want) in [
        ("/.*", prefix("/a"), true),
        ("^/.*", prefix("/a"), true),
        (".*", prefix("/a"), true),
        (".*", any.clone(), true),
        // `OPTIONS *` is left.
        ("/.*", any, false),
        ("/a(/.*)?", prefix("/a"), true),
        ("/a(/.*)?", prefix("/a/b"), true),
        ("/a(/.*)?", prefix("/ab"), false),
        ("/a/.*", prefix("/a/b"), true),
        // `/a` itself is left.
        ("/a/.*", prefix("/a"), false),
        ("/a.*", prefix("/a"), true),
        ("/a.*", prefix("/ab/c"), true),
        ("/a.*", prefix("/b"), false),
        ("/a/b.*", prefix("/a"), false),
        ("/a", prefix("/a"), false),
        ("/[a-z]*.*", prefix("/a"), false),
    ] {
        let routes = vec![
            (0, vec![one(narrow.clone(), vec![])]),
            (0, vec![one(pattern(wide), vec![])]),
        ];
        let want = if want { vec![(0, vec![1])] } else { vec![] };
        assert_eq!(hidden(routes), want, "{wide} {narrow:?}");
    }
    let exact = vec![
        (0, vec![one(path("/a"), vec![])]),
        (0, vec![one(pattern("/.*"), vec![])]),
    ];
    assert_eq!(hidden(exact), []);
    let of_a_host = vec![
        (0, vec![on("x", prefix("/a"))]),
        (0, vec![one(pattern("/.*"), vec![])]),
    ];
    assert_eq!(hidden(of_a_host), []);
}

#[test]
fn a_wider_host_with_a_higher_priority_hides() {
    for (wide, narrow, want) in [
        ("*.x", "a.x", true),
        ("*.x", "b.a.x", true),
        ("*.x", "*.a.x", true),
        ("*.x", "*.x", true),
        ("a.x", "a.x", true),
        ("*.x", "x", false),
        ("*.a.x", "*.x", false),
        ("a.x", "*.x", false),
        ("a.x", "b.x", false),
    ] {
        let hides = hides(on(wide, prefix("/")), on(narrow, prefix("/a")));
        assert_eq!(hides, want, "{wide} {narrow}");
    }
    assert!(hides(one(prefix("/"), vec![]), on("a.x", path("/a"))));
    assert!(!hides(on("a.x", prefix("/")), one(path("/a"), vec![])));
}

#[test]
fn conditions_that_follow_do_not_save_a_route() {
    use Condition::{Any, Client, Header, Method as OneOf, Not};
    let tests = |tests: Vec<Test>| Header(HeaderName::from_static("h"), tests);
    let begins = |value: &str| Test::Prefix(value.to_owned());
    let is = |value: &str| Test::Exact(value.to_owned());
    let from = |network: &str| Client(vec![network.parse().unwrap()]);
    let get = || OneOf(vec![Method::GET]);
    let both = || OneOf(vec![Method::GET, Method::HEAD]);
    for (wide, narrow, want) in [
        (both(), get(), true),
        (get(), both(), false),
        (tests(vec![is("1"), is("2")]), header("h", "1"), true),
        (header("h", "1"), tests(vec![is("1"), is("2")]), false),
        (tests(vec![begins("a")]), tests(vec![is("ab")]), true),
        (tests(vec![begins("a")]), tests(vec![begins("ab")]), true),
        (tests(vec![Test::Present]), tests(vec![begins("a")]), true),
        (tests(vec![Test::Present]), tests(vec![Test::Absent]), false),
        (header("h", "1"), header("other", "1"), false),
        (query("h", "1"), header("h", "1"), false),
        (from("10.0.0.0/8"), from("10.1.0.0/16"), true),
        (from("10.1.0.0/16"), from("10.0.0.0/8"), false),
        (Not(vec![get()]), Not(vec![both()]), true),
        (Not(vec![both()]), Not(vec![get()]), false),
        (Any(vec![vec![both()], vec![query("q", "1")]]), get(), true),
        (get(), Any(vec![vec![both()], vec![query("q", "1")]]), false),
        (Condition::Path(prefix("/a")), get(), true),
        (Condition::Path(prefix("/b")), get(), false),
    ] {
        let hides = hides(when(wide.clone()), when(narrow.clone()));
        assert_eq!(hides, want, "{wide:?} {narrow:?}");
    }
    assert!(hides(one(prefix("/a"), vec![]), when(get())));
    assert!(!hides(when(get()), one(prefix("/a"), vec![])));
}

#[test]
fn what_is_asked_first_hides_nothing_more_specific() {
    let wide = || vec![one(prefix("/"), vec![])];
    let narrow = || vec![one(prefix("/a"), vec![])];
    assert_eq!(hidden(vec![(0, wide()), (0, narrow())]), []);
    assert_eq!(hidden(vec![(-1, wide()), (0, narrow())]), []);
    assert_eq!(hidden(vec![(5, wide()), (0, narrow())]), [(1, vec![0])]);
}

#[test]
fn by_name_the_first_of_two_hides_the_other() {
    let methods = |methods| vec![when(Condition::Method(methods))];
    let both = || methods(vec![Method::GET, Method::HEAD]);
    let get = || methods(vec![Method::GET]);
    assert_eq!(hidden(vec![(0, both()), (0, get())]), [(1, vec![0])]);
    assert_eq!(hidden(vec![(0, get()), (0, both())]), []);
}

#[test]
fn every_way_to_match_has_to_be_taken() {
    let ways = || vec![on("a", path("/1")), on("b", path("/2"))];
    let (first, second) = (
        (2, vec![on("a", prefix("/"))]),
        (1, vec![on("b", prefix("/"))]),
    );
    let half = vec![first.clone(), (0, ways())];
    assert_eq!(hidden(half), []);
    let whole = vec![first, second, (0, ways())];
    assert_eq!(hidden(whole), [(2, vec![0, 1])]);
    // One that is taken by another one of the same route does not make it a hidden one.
    let own = vec![(0, vec![when(header("h", "1")), when(header("h", "1"))])];
    assert_eq!(hidden(own), []);
}

#[test]
fn the_first_that_hides_is_named_with_its_reason() {
    let all = || vec![one(prefix("/"), vec![])];
    let routes = vec![(1, all()), (2, all()), (0, vec![one(prefix("/a"), vec![])])];
    let (table, names) = table(routes);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let hidden = table.hidden(&names);
    let told: Vec<(usize, usize, &str)> = hidden
        .iter()
        .flat_map(|hidden| {
            hidden
                .by
                .iter()
                .map(|by| (hidden.route, by.route, by.why.as_str()))
        })
        .collect();
    let want = [
        (0, 1, "the priority of `001` is higher: 2, not 1"),
        (2, 1, "the priority of `001` is higher: 2, not 0"),
    ];
    assert_eq!(told, want);
}
