//! `filters:` what happens on the way to where a route ends, and on the way back.

mod access;
mod compress;
mod cors;
mod fault;
mod limits;
mod paths;

use tidegate_tests::{Gateway, Message, Named, Origin, Recorder, Wire, all_to, examples};

/// A proxy with one route that has these filters, and its server.
struct Way {
    gateway: Gateway,
    server: Recorder,
}

impl Way {
    async fn start(filters: &str, matches: &str) -> Self {
        Self::answering(
            filters,
            matches,
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        )
        .await
    }

    async fn answering(filters: &str, matches: &str, answer: &[u8]) -> Self {
        let server = Recorder::answering(answer).await;
        let gateway = Gateway::start(&format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  \
             way: {{ match: {{ {matches} }}, filters: {filters}, upstream: api }}\n",
            server.address()
        ))
        .await;
        Self { gateway, server }
    }

    /// The answer to a request, whose lines have `|` between them.
    async fn answer(&self, request: &str) -> Message {
        let mut wire = Wire::connect(self.gateway.address()).await;
        wire.send(format!("{}\r\n\r\n", request.replace('|', "\r\n")))
            .await;
        let method = request.split(' ').next().unwrap_or_default();
        wire.answer_to(method).await.expect("an answer")
    }

    /// The status of the answer to a GET with these fields.
    async fn status(&self, fields: &str) -> u16 {
        let request = format!("GET / HTTP/1.1|Host: h{fields}");
        self.answer(&request).await.status()
    }

    /// What the server was sent, and what the client.
    async fn through(&self, request: &str) -> (Message, Message) {
        let answer = self.answer(request).await;
        (self.server.seen().pop().expect("a request"), answer)
    }

    /// The target that the server is asked for.
    async fn target(&self, target: &str) -> String {
        let request = format!("GET {target} HTTP/1.1|Host: a.example.com");
        self.through(&request).await.0.word(1).to_owned()
    }
}

#[tokio::test]
async fn fields_of_the_request_are_removed_renamed_set_and_added() {
    let way = Way::start(
        "[ { request_headers: { remove: X-Debug, rename: { X-From: X-To }, \
           set: { X-Env: \"${route} ${request.host}\", X-Forwarded-Proto: https }, \
           add: { X-Seen: [ \"${client.ip}\", \"${request.method} ${request.path}?${request.query}\" ] } } } ]",
        "path_prefix: /",
    )
    .await;
    let (seen, _) = way
        .through("GET /a//b?c=d HTTP/1.1|Host: A.example.com:80|X-Debug: 1|X-From: 1|X-From: 2|X-To: 3|X-Env: mine|X-Seen: first")
        .await;
    assert_eq!(seen.field("x-debug"), None);
    assert_eq!(
        (seen.all("x-from").len(), seen.all("x-to")),
        (0, vec!["1", "2"])
    );
    assert_eq!(seen.all("x-env"), ["way a.example.com"]);
    assert_eq!(seen.all("x-seen"), ["first", "127.0.0.1", "GET /a//b?c=d"]);
    assert_eq!(
        seen.all("x-forwarded-proto"),
        ["https"],
        "the file has the last word"
    );
    assert_eq!(seen.word(1), "/a//b?c=d");
}

#[tokio::test]
async fn fields_of_the_answer_change_on_the_way_out_the_last_filter_first() {
    let way = Way::answering(
        "[ { response_headers: { set: { X-Order: first, X-Id: \"${request.id}\" } } }, \
           { response_headers: { set: { X-Order: second }, remove: [ Server ], add: { Vary: Cookie } } } ]",
        "path_prefix: /",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: secret\r\nVary: Accept\r\n\r\nok",
    )
    .await;
    let (_, answer) = way
        .through("GET / HTTP/1.1|Host: h|X-Request-Id: id-7")
        .await;
    assert_eq!(answer.field("x-order"), Some("first"));
    assert_eq!(answer.field("x-id"), Some("id-7"));
    assert_eq!(answer.field("server"), None);
    assert_eq!(answer.all("vary"), ["Accept", "Cookie"]);
}

/// Also those that no server gave.
#[tokio::test]
async fn every_answer_of_a_route_takes_the_way_out() {
    let gateway = Gateway::start(
        "upstreams:\n  gone: { servers: [ \"127.0.0.1:1\" ] }\nfilters:\n  mark: { response_headers: { set: { X-Mark: \"${route}\" } } }\nroutes:\n  \
         down: { match: { path: /down }, filters: [ mark ], upstream: gone }\n  \
         here: { match: { path: /here }, filters: [ mark ], respond: { text: here } }\n  \
         there: { match: { path: /there }, filters: [ mark ], redirect: { path: / } }\n  \
         big: { match: { path: /big }, filters: [ mark ], upstream: gone, limits: { body_size: 1B } }\n",
    )
    .await;
    for (path, status) in [
        ("/down", 502),
        ("/here", 200),
        ("/there", 302),
        ("/big", 413),
    ] {
        let mut wire = Wire::connect(gateway.address()).await;
        let length = if path == "/big" { 2 } else { 0 };
        wire.send(format!(
            "PUT {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n"
        ))
        .await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        assert_eq!(answer.field("x-mark"), path.strip_prefix('/'));
    }
}

/// What a filter says cannot be taken away by naming it in `Connection`.
#[tokio::test]
async fn a_client_cannot_strip_what_a_filter_sets() {
    let way = Way::start(
        "[ { request_headers: { set: { X-User: anna } } } ]",
        "path_prefix: /",
    )
    .await;
    let (seen, _) = way
        .through(
            "GET / HTTP/1.1|Host: h|Connection: X-User, X-Gone, keep-alive|X-User: eve|X-Gone: 1",
        )
        .await;
    assert_eq!(seen.all("x-user"), ["anna"]);
    assert_eq!(seen.field("x-gone"), None);
}

#[tokio::test]
async fn filters_are_passed_by_a_websocket_too() {
    let api = tidegate_tests::Api::start("api").await;
    let routing = all_to(&[api.address()]).replace(
        "upstream: api }",
        "filters: [ { response_headers: { set: { X-Mark: ws } } } ], upstream: api }",
    );
    let gateway = Gateway::start(&routing).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /api/ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").await;
    let answer = wire.head().await.expect("an answer");
    assert_eq!((answer.status(), answer.field("x-mark")), (101, Some("ws")));
}

/// A named filter is one filter, wherever it is used; a reload takes another one.
#[tokio::test]
async fn a_filter_with_a_name_is_used_by_name() {
    let server = Origin::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    let routing = |value: &str| {
        format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nfilters:\n  mark: {{ response_headers: {{ set: {{ X-Mark: {value} }} }} }}\nroutes:\n  \
             all: {{ filters: [ mark ], upstream: api }}\n",
            server.address()
        )
    };
    let gateway = Gateway::start(&routing("one")).await;
    assert_eq!(gateway.get("/").await.headers()["x-mark"], "one");
    gateway.reload(&routing("two")).await;
    assert_eq!(gateway.get("/").await.headers()["x-mark"], "two");
}

/// `proxy/examples/custom_filter.rs`: as short as it promises to be, and its options are read like any other's.
#[tokio::test]
async fn a_program_of_ones_own_has_filters_of_its_own() {
    let source = tidegate_tests::repository().join("proxy/examples/custom_filter.rs");
    let source = std::fs::read_to_string(source).expect("the example");
    assert!(source.lines().count() < 60);
    let program = "examples/custom_filter";
    let routing = "routes:\n  all: { filters: [ { bouncer: { agents: [ badbot ], text: \"Out.\" } } ], respond: { text: in } }\n";
    let gateway = Gateway::start_program(program, routing, |_| ()).await;
    for (agent, status, text) in [("curl", 200, "in"), ("a badbot/2", 403, "Out.")] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!(
            "GET / HTTP/1.1\r\nHost: h\r\nUser-Agent: {agent}\r\n\r\n"
        ))
        .await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!((answer.status(), answer.text().as_str()), (status, text));
    }
    let file = gateway.file();
    let text = std::fs::read_to_string(file).expect("the routing file");
    std::fs::write(file, text.replace("agents", "agent")).expect("an edit");
    let checked = std::process::Command::new(tidegate_tests::program(program))
        .args(["check", "-c"])
        .arg(file)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    for word in ["unknown key `agent` in `bouncer`", "did you mean `agents`?"] {
        assert!(said.contains(word), "{said}");
    }
}

/// A status, and what stands in the answer: a field, or a part of its body.
#[tokio::test]
async fn the_page_says_what_happens() {
    let examples = examples("filters.md");
    assert!(examples.len() >= 12, "{} examples", examples.len());
    for (routes, asked) in examples {
        let named = Named::echoing(&routes).await;
        for (request, expected) in asked {
            let answer = named.answer(&request).await;
            let (status, part) = expected.split_once(' ').unwrap_or((&expected, ""));
            assert_eq!(answer.status().to_string(), status, "{request}");
            let fields = answer.fields.iter();
            let fields = fields.map(|(name, value)| format!("{name}: {value}\n"));
            let whole: String = fields.chain([answer.text()]).collect();
            let is_in = whole.to_lowercase().contains(&part.to_lowercase());
            assert!(is_in, "{request}: {part} is not in\n{whole}");
        }
    }
}
