//! What is explained is what happens.

use serde_json::Value;
use tidegate_tests::{Gateway, PATIENCE, client, eventually};

use crate::named;

const ROUTES: &str = "
routes:
  api:    { match: { path_prefix: /api }, filters: [ { strip_prefix: /api } ], upstream: blue }
  deep:   { match: { path_prefix: /api/v1, method: POST }, upstream: green }
  canary: { match: { path_prefix: /api, header: { X-Env: canary } }, upstream: green }
  exact:  { match: { path: /api/v1 }, upstream: green }
  users:  { match: { path_regex: '/api/users/\\d+' }, upstream: green }
  site:   { match: { host: [ a.example, '*.b.example' ] }, upstream: blue }
  query:  { match: { path_prefix: /q, query: { v: \"2\" }, not: { cookie: { old: \"1\" } } }, upstream: green }
  first:  { match: { path_prefix: /api/first }, priority: 5, respond: { text: first } }
  old:    { match: { path_prefix: /old }, redirect: { prefix: /api } }
";

async fn gateway() -> (Gateway, [tidegate_tests::Origin; 2]) {
    let servers = [named("blue").await, named("green").await];
    let upstreams = format!(
        "upstreams:\n  blue: {{ servers: [ \"{}\" ] }}\n  green: {{ servers: [ \"{}\" ] }}\n",
        servers[0].address(),
        servers[1].address()
    );
    (
        Gateway::start(&format!("{upstreams}{ROUTES}")).await,
        servers,
    )
}

/// The route and the upstream that the access log names, beside those that were explained, live and from the file.
#[tokio::test]
async fn the_log_of_a_request_names_what_was_explained() {
    let (gateway, _servers) = gateway().await;
    let methods = ["GET", "POST"];
    let hosts = ["a.example", "x.b.example", "b.example"];
    let paths = [
        "/",
        "/api",
        "/apis",
        "/api/v1",
        "/api/v1/x",
        "/api/users/7",
        "/api/users/a",
        "/api/first/x",
        "/q?v=2",
        "/q?v=1",
        "/old/a",
        "/none",
    ];
    let fields = [None, Some(("x-env", "canary")), Some(("cookie", "old=1"))];
    let mut number = 0;
    for path in paths {
        for method in methods {
            for host in hosts {
                let field = fields[number % fields.len()];
                number += 1;
                let id = number.to_string();
                let mut request = client()
                    .request(method.parse().unwrap(), gateway.url(path))
                    .header("host", host)
                    .header("x-request-id", &id);
                let mut question = serde_json::json!({ "method": method, "url": path, "headers": [["host", host]] });
                if let Some((name, value)) = field {
                    request = request.header(name, value);
                    question["headers"]
                        .as_array_mut()
                        .unwrap()
                        .push(serde_json::json!([name, value]));
                }
                let (_, explained) = gateway.tell_json("/explain", &question).await;
                let answer = request.send().await.unwrap();
                let line = eventually("its line in the log", PATIENCE, async || {
                    let mut lines = gateway.log_lines().into_iter();
                    lines.find(|line| line["request_id"] == id.as_str())
                })
                .await;
                assert_eq!(explained["route"], line["route"], "{question}: {explained}");
                assert_eq!(
                    explained["end"]["upstream"]["upstream"], line["upstream"],
                    "{question}"
                );
                let status = explained["answer"]["line"].as_str().unwrap();
                assert!(
                    status.starts_with(answer.status().as_str()),
                    "{question}: {status}"
                );
            }
        }
    }
}

#[tokio::test]
async fn people_read_why_and_programs_the_same() {
    let (gateway, servers) = gateway().await;
    let said = gateway
        .ask(&["explain", "/api/v1/x", "-H", "X-Env: canary", "--live"])
        .await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [
        "takes route canary",
        "`canary` asks for more headers",
        "the method is GET, not POST",
        "the path is `/api/v1/x`, not `/q` or below it",
        "upstream green",
        &format!("{}  up, 0 in flight, next", servers[1].address()),
        "x-forwarded-for: 127.0.0.1",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    let json = gateway
        .ask(&[
            "explain",
            "POST",
            "/api/v1/x",
            "--format",
            "json",
            "--client",
            "192.0.2.7",
        ])
        .await;
    let json: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(json["route"], "deep");
    assert_eq!(json["request"]["client"], "192.0.2.7");
    assert_eq!(json["considered"][1]["verdict"], "later");
    assert_eq!(json["generation"], Value::Null, "a file does not run");
    let filters = gateway.ask(&["explain", "/api/x"]).await;
    assert!(filters.out.contains("path /api/x -> /x"), "{}", filters.out);
    assert_eq!(
        servers[0].accepted() + servers[1].accepted(),
        0,
        "nobody was asked"
    );
}

#[tokio::test]
async fn what_cannot_be_asked_is_told() {
    let (gateway, _servers) = gateway().await;
    for (arguments, code, part) in [
        (
            &["explain", "api"][..],
            1,
            "`api` is neither a path nor a URL",
        ),
        (
            &["explain", "/", "-H", "nothing"],
            2,
            "expected a name and a value",
        ),
        (
            &["explain", "/", "--client", "localhost"],
            2,
            "invalid value",
        ),
        (&["explain", "G T", "/", "--live"], 1, "`G T` is no method"),
        (&["explain"], 2, "required"),
    ] {
        let said = gateway.ask(arguments).await;
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.err);
        assert!(said.err.contains(part), "{arguments:?}: {}", said.err);
    }
    gateway.edit("routes: [");
    let said = gateway.ask(&["explain", "/"]).await;
    assert!(
        said.code == Some(1) && said.err.contains("tidegate.yaml:1"),
        "{}",
        said.err
    );
}

/// An explanation takes no turn and no place in a limit.
#[tokio::test]
async fn to_be_asked_about_costs_nothing() {
    let (one, two) = (named("one").await, named("two").await);
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{}\", \"{}\" ] }} }}\n\
         routes: {{ all: {{ filters: [ {{ rate_limit: {{ rate: 2/h }} }} ], upstream: api }} }}\n",
        one.address(),
        two.address()
    ))
    .await;
    let next = async || {
        let (_, explained) = gateway
            .tell_json(
                "/explain",
                &serde_json::json!({ "method": "GET", "url": "/" }),
            )
            .await;
        let servers = explained["end"]["upstream"]["servers"]
            .as_array()
            .unwrap()
            .clone();
        let next = servers
            .iter()
            .find(|server| server["next"] == true)
            .cloned();
        next.map(|server| server["address"].as_str().unwrap().to_owned())
    };
    for _ in 0..2 {
        for _ in 0..3 {
            assert_eq!(next().await, next().await);
        }
        let expected = next().await.unwrap();
        let name = crate::who(&gateway).await;
        let address = if name == "one" {
            one.address()
        } else {
            two.address()
        };
        assert_eq!(expected, address.to_string());
    }
    assert_eq!(gateway.get("/").await.status(), 429);
    let (_, explained) = gateway
        .tell_json(
            "/explain",
            &serde_json::json!({ "method": "GET", "url": "/" }),
        )
        .await;
    assert_eq!(explained["refused"], "rate_limited");
}

/// Who would not be answered is told so.
#[tokio::test]
async fn that_nobody_could_answer_is_explained_too() {
    let dead = tidegate_tests::refusing_address();
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{dead}\" ], health_check: {{ tcp: {{ interval: 100ms, unhealthy_after: 1 }} }} }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    ))
    .await;
    eventually("it is down", PATIENCE, async || {
        gateway.get("/").await.status() == 503
    })
    .await;
    let question = serde_json::json!({ "method": "GET", "url": "/" });
    let (_, explained) = gateway.tell_json("/explain", &question).await;
    assert_eq!(explained["refused"], "all_down", "{explained}");
    let line = explained["answer"]["line"].as_str().unwrap();
    assert!(line.starts_with("503"), "{line}");
}

/// What `print` masks, an explanation does not tell.
#[tokio::test]
async fn a_secret_is_not_explained() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    std::fs::write(&secret, "s3cret-4711\n").unwrap();
    let origin = named("x").await;
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\n\
         routes: {{ all: {{ filters: [ {{ request_headers: {{ set: {{ Authorization: \"Bearer ${{file:{}}}\" }} }} }} ], upstream: api }} }}\n",
        origin.address(),
        secret.display()
    ))
    .await;
    let live = gateway.ask(&["explain", "--live", "/x"]).await;
    let of_file = gateway.ask(&["explain", "/x"]).await;
    for said in [live.out, of_file.out] {
        assert!(said.contains("authorization: ***"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
}

/// Nor does it tell what a name says is a secret, wherever it was written.
#[tokio::test]
async fn a_secret_of_a_telling_name_is_not_explained() {
    let origin = named("x").await;
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\n\
         routes:\n  ann: {{ match: {{ header: {{ X-Api-Key: k-4711, X-Stage: beta }} }}, upstream: api }}\n  \
         bob: {{ match: {{ cookie: {{ token: {{ prefix: k-4712 }} }} }}, upstream: api }}\n  \
         all: {{ filters: [ {{ request_headers: {{ set: {{ Authorization: Bearer k-4713, X-A: '1' }} }} }} ], upstream: api }}\n",
        origin.address()
    ))
    .await;
    let given = ["-H", "X-Api-Key: k-4714", "-H", "Cookie: token=k-4715"];
    for live in [&["--live"][..], &[]] {
        let all = [&["explain", "/x"], live, &given].concat();
        let said = gateway.ask(&all).await.out;
        assert!(!said.contains("k-47"), "{said}");
        for part in [
            "header x-api-key `***`",
            "header `x-api-key` has another value, a secret that is not shown",
            "cookie `token` has another value, a secret that is not shown",
            "+ authorization: ***",
            "+ x-a: 1",
            "x-api-key: ***",
            "cookie: ***",
        ] {
            assert!(said.contains(part), "{part} is not in\n{said}");
        }
    }
}
