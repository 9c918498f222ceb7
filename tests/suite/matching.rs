//! `match:` what a request has to be for a route to take it, as seen on the wire.

use tidegate_tests::{Gateway, Named, Recorder, Wire, examples};

/// A proxy with these routes: a name and what it asks for. Each leads to an upstream of its own name.
async fn routes(routes: &[(&str, &str)]) -> Named {
    let mut written = "routes:\n".to_owned();
    for (name, asks) in routes {
        written += &format!("  {name}: {{ {asks}, upstream: {name} }}\n");
    }
    let names: Vec<&str> = routes.iter().map(|(name, _)| *name).collect();
    Named::start(&names, &written).await
}

#[tokio::test]
async fn a_method_decides() {
    let routes = routes(&[
        ("read", "match: { method: [ GET, HEAD ] }"),
        ("write", "match: { method: POST }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /x", "read"),
            ("POST /x|Content-Length: 0", "write"),
            ("DELETE /x", "404"),
        ])
        .await;
}

#[tokio::test]
async fn a_header_decides_by_value_beginning_expression_and_presence() {
    let routes = routes(&[
        ("exact", "match: { header: { X-Env: [ canary, beta ] } }"),
        ("prefix", "match: { header: { X-Env: { prefix: dev- } } }"),
        (
            "regex",
            "match: { header: { X-Env: { regex: \"pr-[0-9]+\" } } }",
        ),
        (
            "present",
            "match: { header: { X-Debug: { present: true } } }",
        ),
        (
            "absent",
            "match: { header: { User-Agent: { present: false }, Accept: { exact: a/b } } }",
        ),
        ("rest", "match: { path_prefix: / }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /|X-Env: canary", "exact"),
            ("GET /|x-env: stable|x-env: beta", "exact"),
            ("GET /|X-Env: dev-anna", "prefix"),
            ("GET /|X-Env: pr-12", "regex"),
            ("GET /|X-Env: pr-12a", "rest"),
            ("GET /|X-Env: Canary", "rest"),
            ("GET /|X-Debug:", "present"),
            ("GET /|Accept: a/b", "absent"),
            ("GET /|Accept: a/b|User-Agent: x", "rest"),
        ])
        .await;
}

#[tokio::test]
async fn a_parameter_of_the_query_decides_once_it_is_decoded() {
    let routes = routes(&[
        ("two", "match: { query: { v: \"2\" } }"),
        ("filter", "match: { query: { \"filter[name]\": \"a b\" } }"),
        ("rest", "match: { path_prefix: / }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /?v=2", "two"),
            ("GET /?a=1&v=2&b", "two"),
            ("GET /?v=1&v=2", "rest"),
            ("GET /?filter%5Bname%5D=a+b", "filter"),
            ("GET /?V=2", "rest"),
        ])
        .await;
}

#[tokio::test]
async fn a_cookie_decides() {
    let routes = routes(&[
        ("beta", "match: { cookie: { beta: \"1\" } }"),
        ("known", "match: { cookie: { session: { present: true } } }"),
        ("rest", "match: { path_prefix: / }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /|Cookie: a=b; beta=1", "beta"),
            ("GET /|Cookie: session=x", "known"),
            ("GET /|Cookie: xbeta=1", "rest"),
            ("GET /|Cookie: other=\u{e9}; beta=1", "beta"),
        ])
        .await;
}

#[tokio::test]
async fn the_clients_network_decides() {
    let routes = routes(&[
        (
            "here",
            "match: { client: [ 127.0.0.0/8, \"::1\" ], path: /here }",
        ),
        ("there", "match: { client: 10.0.0.0/8 }"),
    ])
    .await;
    routes
        .lead(&[("GET /here", "here"), ("GET /there", "404")])
        .await;
}

#[tokio::test]
async fn an_expression_is_for_the_whole_path() {
    let routes = routes(&[
        ("user", "match: { path_regex: \"/users/(?P<id>[0-9]+)\" }"),
        ("users", "match: { path_prefix: /users }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /users/42", "user"),
            ("GET /users/42/posts", "users"),
            ("GET /users/anna", "users"),
            ("GET /x/users/42", "404"),
        ])
        .await;
}

#[tokio::test]
async fn not_turns_a_condition_around_and_any_opens_alternatives() {
    let routes = routes(&[
        (
            "outside",
            "match: { path_prefix: /admin, not: [ { client: 127.0.0.1 }, { header: { X-Ops: \"1\" } } ] }",
        ),
        ("inside", "match: { path_prefix: /admin }"),
        (
            "assets",
            "match: { method: GET, any: [ { path_prefix: /css }, { path_prefix: /js }, { host: cdn.example.com } ] }",
        ),
    ])
    .await;
    routes
        .lead(&[
            ("GET /admin", "inside"),
            ("GET /css/a.css", "assets"),
            ("GET /js/a.js", "assets"),
            ("POST /js/a.js|Content-Length: 0", "404"),
            ("GET /images", "404"),
            ("GET http://cdn.example.com/images", "assets"),
        ])
        .await;
}

#[tokio::test]
async fn a_priority_goes_before_what_is_more_specific() {
    let routes = routes(&[
        ("exact", "match: { host: a.example.com, path: /x }"),
        (
            "closed",
            "match: { header: { X-Closed: \"1\" } }, priority: 10",
        ),
        ("last", "match: { path: /y }, priority: -1"),
        ("rest", "match: { path_prefix: / }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET /x", "exact"),
            ("GET /x|X-Closed: 1", "closed"),
            ("GET /y", "rest"),
        ])
        .await;
}

/// What a route protects cannot be reached by spelling its path differently.
#[tokio::test]
async fn a_path_is_compared_in_its_normal_form() {
    let routes = routes(&[
        ("admin", "match: { path_prefix: /admin }"),
        ("cafe", "match: { path: /café }"),
        ("rest", "match: { path_prefix: / }"),
    ])
    .await;
    routes
        .lead(&[
            ("GET //admin", "admin"),
            ("GET /x/../admin/y", "admin"),
            ("GET /%61dmin", "admin"),
            ("GET /x/%2e%2E/admin", "admin"),
            ("GET /./admin/", "admin"),
            ("GET /x%2F..%2Fadmin", "rest"),
            ("GET /admin%2Fx", "rest"),
            ("GET /caf%c3%a9", "cafe"),
            ("GET /../admin", "400"),
            ("GET /x/../../admin", "400"),
            ("GET /%zz", "400"),
            ("GET /admin%00", "400"),
        ])
        .await;
}

#[tokio::test]
async fn what_is_forwarded_is_the_clients_own_spelling() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&tidegate_tests::all_to(&[recorder.address()])).await;
    let target = "/a//b/./%61/../c%2fd?x=%20&y=a+b";
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"))
        .await;
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
    assert_eq!(recorder.only().word(1), target);
}

#[tokio::test]
async fn the_page_says_what_happens() {
    let examples = examples("routing.md");
    assert!(examples.len() >= 6, "{} examples", examples.len());
    for (routes, asked) in examples {
        let named = Named::of(&routes).await;
        assert!(!asked.is_empty(), "nothing is said about:\n{routes}");
        for (request, answer) in asked {
            assert_eq!(named.taken(&request).await, answer, "{request}");
        }
    }
}
