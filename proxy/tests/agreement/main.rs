//! Where the schema and the proxy judge a single value, they agree: what is written here in place of `@` is taken by both, or
//! refused by both. A variable is taken in place of any of them.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

mod upstreams;

use jsonschema::Validator;
use tidegate::filter::Catalogue;
use tidegate::snapshot::{Plan, schema};

/// A piece of a file, what fits in there, and what does not.
type Hole = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const TIMES: (&[&str], &[&str]) = (
    &[
        "1ms", "0s1ms", "1m30s", "1 h", "0h5m", "0001s", "8760h", "' 2s '",
    ],
    &[
        "0s", "0m0s", "'0ms'", "-1s", "1s1m", "1s1s", "1", "0", "1d", "1.5s", "1m 30s", "''", "s",
        "[ 1s ]",
    ],
);

const HOLES: &[Hole] = &[
    ("timeouts: { connect: @ }", TIMES.0, TIMES.1),
    ("timeouts: { first_byte: @ }", TIMES.0, TIMES.1),
    ("timeouts: { read: @ }", TIMES.0, TIMES.1),
    ("timeouts: { write: @ }", TIMES.0, TIMES.1),
    ("timeouts: { idle: @ }", TIMES.0, TIMES.1),
    ("timeouts: { request: @ }", TIMES.0, TIMES.1),
    (
        "retry: { backoff: { first: @ } }",
        &["0s", "25ms", "10s", "10000ms", "9s1000ms"],
        &["10001ms", "11s", "1m", "5"],
    ),
    (
        "retry: { budget: { min: @ } }",
        &["0", "3", "1000"],
        &["-1", "1001", "'3'"],
    ),
    (
        "retry: { budget: { reserve: @ } }",
        &["0", "100", "10000"],
        &["-1", "10001", "'100'"],
    ),
    (
        "retry: { budget: { share: @ } }",
        &["0%", "20%", "100%"],
        &["101%", "0.2"],
    ),
    (
        "retry: { statuses: @ }",
        &["[]", "[ 400, 503, 599 ]"],
        &["503", "[ 399 ]", "[ 600 ]", "[ '503' ]"],
    ),
    (
        "retry: { when: @ }",
        &["[]", "[ not_sent, refused, perhaps_processed, timeout ]"],
        &["timeout", "[ never ]"],
    ),
    ("timeouts: { tunnel: @ }", &["0s", "1h"], &["1", "-1s"]),
    (
        "routes: { r: { upstream: a, timeouts: { read: @ } } }",
        TIMES.0,
        TIMES.1,
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', timeouts: { header: @ } } }",
        TIMES.0,
        TIMES.1,
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', timeouts: { body: @ } } }",
        TIMES.0,
        TIMES.1,
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', timeouts: { write: @ } } }",
        TIMES.0,
        TIMES.1,
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', timeouts: { keep_alive: @ } } }",
        TIMES.0,
        TIMES.1,
    ),
    ("shutdown: { delay: @ }", &["0s", "5s"], &["5", "-5s"]),
    (
        "reload: { rollback_on: { errors: @ } }",
        &["100%", "0.0001%", "20 %", "100.0%", "007%"],
        &[
            "200%", "0%", "0.0%", "100.1%", "20", "-1%", "0.00001%", "1.%",
        ],
    ),
    (
        "reload: { rollback_on: { errors: 1%, over: @ } }",
        &["1s", "10m", "9m59s", "0h600s"],
        &["999ms", "11m", "1h", "601s"],
    ),
    (
        "routes: { r: { upstream: a, mirror: { upstream: b, share: @ } } }",
        &["0%", "100%", "00.5%"],
        &["101%", "100.0001%", "1"],
    ),
    (
        "routes: { r: { upstream: a, mirror: { upstream: b, body_size: @ } } }",
        &["0B", "16MiB", "16384KiB", "16777216B", "16MB"],
        &["17MiB", "1GiB", "16777217B", "1"],
    ),
    (
        "limits: { header_size: @ }",
        &["1KiB", "1024B", "1000KiB", "1MB", "2kB"],
        &["1023B", "1kB", "1001KiB", "1MiB", "1GB", "32"],
    ),
    (
        "limits: { body_size: @ }",
        &["0B", "17179869183GiB"],
        &["1.5MiB", "1TiB"],
    ),
    (
        "admin: { address: @ }",
        &["'127.0.0.1:0'", "'127.0.0.1:65535'", "'[::]:80'"],
        &[
            "'127.0.0.1:65536'",
            "'127.0.0.256:80'",
            "'127.0.0.01:80'",
            "'localhost:80'",
            "':80'",
            "80",
        ],
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', protocols: @ } }",
        &["[ h2c ]"],
        &["[]", "[ h3 ]"],
    ),
    (
        "listeners: { w: { address: '127.0.0.1:1', max_connections: @ } }",
        &["1", "1000000"],
        &["0", "1000001", "-1"],
    ),
    (
        "listeners: @",
        &["{ w: { address: '127.0.0.1:1' } }"],
        &["{}", "[]"],
    ),
    (
        "routes: { r: { split: @ } }",
        &["{ a: 1, b: 0 }", "{ a: 1000 }"],
        &[
            "{}",
            "{ a: 0 }",
            "{ a: 0, b: 0 }",
            "{ a: 1001 }",
            "{ a: -1 }",
        ],
    ),
    (
        "routes: { r: { redirect: { path: /a, status: @ } } }",
        &["301", "308"],
        &["300", "304", "200"],
    ),
    (
        "routes: { r: { respond: { status: @ } } }",
        &["200", "204", "599"],
        &["199", "600", "100"],
    ),
    (
        "routes: { r: { respond: { status: @, text: a } } }",
        &["200", "404"],
        &["204", "205", "304"],
    ),
    (
        "routes: { r: { match: { host: @ }, upstream: a } }",
        &["a.x", "[ a.x ]"],
        &["[]"],
    ),
    (
        "routes: { r: { match: { method: @ }, upstream: a } }",
        &["GET", "[ GET ]"],
        &["[]"],
    ),
    (
        "routes: { r: { match: { client: @ }, upstream: a } }",
        &["10.0.0.0/8", "[ 10.0.0.1 ]"],
        &["[]"],
    ),
    (
        "routes: { r: { match: { header: { a: @ } }, upstream: a } }",
        &["b", "[ b ]"],
        &["[]"],
    ),
    (
        "routes: { r: { match: { any: @ }, upstream: a } }",
        &["[ { path: /a } ]"],
        &["[]"],
    ),
    (
        "routes: { r: { match: { path: @ }, upstream: a } }",
        &[
            "/",
            "/a",
            "/a/",
            "/.well-known/a",
            "/a..b",
            "/a%20b",
            "/a*b",
            "/...",
        ],
        &[
            "a", "//", "/a//b", "/a//", "/./a", "/a/.", "/../x", "/a/..", "/100%", "/%2", "/a/*",
            "/a/**", "/*", "'/a?b'", "'/a b'",
        ],
    ),
    (
        "routes: { r: { match: { path_prefix: @ }, upstream: a } }",
        &["/", "/a", "/a/"],
        &["a", "/a//b", "/../x", "/a/*", "/%zz"],
    ),
    (
        "filters: { f: { rate_limit: { rate: @ } } }",
        &["1/s", "1000000/h", "+5/m", "007 / s"],
        &["0/s", "1000001/s", "1", "1/d", "-1/s"],
    ),
    (
        "filters: { f: { fault: { until: 2999-01-01, delay: @ } } }",
        &["0s", "1m", "60s"],
        &["61s", "2m", "1h"],
    ),
    (
        "filters: { f: { fault: { until: 2999-01-01, delay: 1s, when: { host: @, path: /a } } } }",
        &["a.x"],
        &["[]"],
    ),
    (
        "filters: { f: { fault: { until: 2999-01-01, delay: 1s, when: { client: @ } } } }",
        &["10.0.0.1"],
        &["[]"],
    ),
    (
        "filters: { f: { ip_access: @ } }",
        &["{ allow: 10.0.0.1 }", "{ deny: 10.0.0.1 }"],
        &["{}"],
    ),
    (
        "filters: { f: @ }",
        &["compress", "maintenance"],
        &[
            "ip_access",
            "rewrite",
            "basic_auth",
            "{ rewrite: {} }",
            "{ fault: { until: 2999-01-01 } }",
        ],
    ),
    (
        "filters: { f: { cors: { origins: @ } } }",
        &["'https://a.x'", "[ 'https://a.x' ]"],
        &["[]"],
    ),
    (
        "tests: { t: { request: /, expect: @ } }",
        &["{ route: r }"],
        &["{}"],
    ),
    ("x-any: @", &["thing", "{ at: [ all ] }", "5"], &[]),
];

/// With what a file cannot do without.
fn whole(piece: &str) -> String {
    let rest = [
        "listeners: { w: { address: '127.0.0.1:2' } }\n",
        "upstreams: { a: { servers: [ 'a:1' ] }, b: { servers: [ 'b:1' ] } }\n",
        "routes: { r: { upstream: a } }\n",
    ];
    let begins = |line: &&&str| !line.starts_with(piece.split(' ').next().unwrap_or_default());
    let rest: String = rest.iter().filter(begins).copied().collect();
    format!("{piece}\n{rest}")
}

fn is_read(text: &str) -> bool {
    Plan::parse("x.yaml", text, &|_| None, None).is_ok()
}

fn is_valid(validator: &Validator, text: &str) -> bool {
    serde_yaml::from_str(text).is_ok_and(|value| validator.is_valid(&value))
}

#[test]
fn what_fits_is_taken_by_both_and_what_does_not_by_neither() {
    let validator = jsonschema::draft202012::new(&schema(&Catalogue::default())).expect("a schema");
    let mut wrong = Vec::new();
    for (hole, fitting, others) in HOLES.iter().chain(upstreams::HOLES) {
        let judged = fitting
            .iter()
            .map(|it| (it, true))
            .chain(others.iter().map(|it| (it, false)));
        for (value, is_right) in judged {
            let text = whole(&hole.replace('@', value));
            if is_read(&text) != is_right {
                wrong.push(format!("the proxy, of {hole}: {value}"));
            }
            if is_valid(&validator, &text) != is_right {
                wrong.push(format!("the schema, of {hole}: {value}"));
            }
        }
        let is_single = fitting.iter().any(|value| !value.starts_with(['{', '[']));
        let variable = whole(&hole.replace('@', "'${NAME}'"));
        if is_single && !is_valid(&validator, &variable) {
            wrong.push(format!("the schema, of {hole}: a variable"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
