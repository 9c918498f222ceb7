//! The file's own tests: an edit that breaks one is refused, and the difference is told.

use tidegate_tests::{Gateway, Load, Said};

use crate::{named, refusal, to, who};

const TESTS: &str = "
tests:
  everything goes to the API: { request: GET /hello, expect: { route: all, upstream: api } }
";

#[tokio::test]
async fn an_edit_that_breaks_a_test_is_refused_and_no_request_fails() {
    let (first, second) = (named("first").await, named("second").await);
    let before = to(first.address()) + TESTS;
    let gateway = Gateway::start(&before).await;
    let load = Load::start(&gateway.url("/"), 4);
    let generation = gateway.ready().await.generation;
    let routes = "routes: { all: { match: { path_prefix: /api }, upstream: api }, rest: { respond: { text: gone } } }";
    let servers = format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}",
        second.address()
    );
    gateway.edit(&format!("{servers}\n{routes}\n{TESTS}"));
    let report = refusal(&gateway).await;
    for part in [
        "error[E0804]: the test `everything goes to the API` fails",
        "it takes route `rest`",
        "`all` does not take it: the path is `/hello`, not `/api` or below it",
        "tidegate.yaml:",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    assert_eq!(gateway.ready().await.generation, generation);
    assert_eq!(who(&gateway).await, "first");

    // The test follows the edit, and the edit is taken.
    let tests = TESTS.replace("route: all, upstream: api", "route: rest, body: gone");
    gateway.edit(&format!("{servers}\n{routes}\n{tests}"));
    gateway.generation_after(generation).await;
    assert_eq!(who(&gateway).await, "gone");
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// Runs `tidegate check` over routes and tests.
async fn checked(gateway: &Gateway, rest: &str) -> Said {
    let upstreams = "upstreams:\n  blue: { servers: [ \"127.0.0.1:1\" ] }\n  green: { servers: [ \"127.0.0.1:2\" ] }\n";
    gateway.edit(&format!("{upstreams}{rest}"));
    gateway.ask(&["check"]).await
}

const ROUTES: &str = "
routes:
  api:    { match: { path_prefix: /api }, filters: [ { strip_prefix: /api }, { request_headers: { set: { X-Who: \"${client.ip}\" } } }, { response_headers: { remove: Server } } ], upstream: blue }
  post:   { match: { path_prefix: /api, method: POST, header: { X-Env: test } }, upstream: green }
  near:   { match: { path_prefix: /api, client: 10.0.0.0/8 }, upstream: green }
  old:    { match: { path_prefix: /old }, redirect: { prefix: /api, status: 308 } }
  hello:  { match: { path: /hello }, respond: { status: 203, text: hello } }
  closed: { match: { path_prefix: /closed }, filters: [ { ip_access: { deny: 127.0.0.1 } } ], upstream: blue }
";

/// Each test passes as it is and fails with what follows the arrow in place of what stands before it.
#[tokio::test]
async fn every_key_of_a_test_is_held_against_what_happens() {
    let origin = named("x").await;
    let gateway = Gateway::start(&to(origin.address())).await;
    for (test, right, wrong) in [
        (
            "{ request: /api, expect: { route: api } }",
            "route: api",
            "route: old",
        ),
        (
            "{ request: /api, expect: { upstream: blue } }",
            "blue",
            "green",
        ),
        (
            "{ request: { method: POST, url: /api, headers: { X-Env: test } }, expect: { route: post } }",
            "POST",
            "PUT",
        ),
        (
            "{ request: { method: POST, url: /api, headers: { X-Env: test } }, expect: { route: post } }",
            "test }",
            "live }",
        ),
        (
            "{ request: { url: /api, client: 10.1.2.3 }, expect: { route: near } }",
            "10.1.2.3",
            "11.1.2.3",
        ),
        (
            "{ request: \"http://h/old/x?y\", expect: { redirect: \"/api/x?y\", status: 308 } }",
            "/api/x?y",
            "/api/x",
        ),
        ("{ request: /old, expect: { status: 308 } }", "308", "301"),
        (
            "{ request: /closed, expect: { reason: access_denied } }",
            "access_denied",
            "no_route",
        ),
        (
            "{ request: /api/a?b, expect: { path: \"/a?b\" } }",
            "/a?b\"",
            "/api/a?b\"",
        ),
        (
            "{ request: /api, expect: { request_headers: { X-Who: 127.0.0.1 } } }",
            "127.0.0.1",
            "127.0.0.2",
        ),
        (
            "{ request: /api, answer: { headers: { Server: x, Age: \"1\" } }, expect: { response_headers: { Server: { present: false }, Age: \"1\" } } }",
            "false",
            "true",
        ),
        (
            "{ request: /api, answer: { headers: { Age: \"1\" } }, expect: { response_headers: { Age: \"1\" } } }",
            "{ Age: \"1\" } }, e",
            "{ Age: \"2\" } }, e",
        ),
        (
            "{ request: /api, answer: { status: 500 }, expect: { status: 500 } }",
            "answer: { status: 500",
            "answer: { status: 501",
        ),
        (
            "{ request: /hello, expect: { body: { regex: h.*o } } }",
            "h.*o",
            "h.*x",
        ),
    ] {
        let good = checked(&gateway, &format!("{ROUTES}tests: {{ it: {test} }}\n")).await;
        assert_eq!(good.code, Some(0), "{test}: {}", good.err);
        assert!(good.out.contains("1 test passed"), "{}", good.out);
        let other = test.replacen(right, wrong, 1);
        assert_ne!(other, test);
        let bad = checked(&gateway, &format!("{ROUTES}tests: {{ it: {other} }}\n")).await;
        assert_eq!(bad.code, Some(1), "{other}");
        assert!(bad.err.contains("E0804"), "{other}: {}", bad.err);
    }
    // Nobody was asked for any of it.
    assert_eq!(origin.accepted(), 0);
}
