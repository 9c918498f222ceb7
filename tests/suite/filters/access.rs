//! `ip_access`, `maintenance`, `basic_auth`: who is served.

use tidegate_tests::{Gateway, Wire};

use crate::Way;

#[tokio::test]
async fn the_narrowest_network_decides_who_may_ask() {
    for (options, status) in [
        ("allow: 127.0.0.0/8", 200),
        ("allow: 10.0.0.0/8", 403),
        ("deny: 127.0.0.1", 403),
        ("deny: 10.0.0.0/8", 200),
        ("allow: 127.0.0.1, deny: 127.0.0.0/8", 200),
        ("allow: 127.0.0.0/8, deny: [ 127.0.0.1, \"fd00::/8\" ]", 403),
    ] {
        let way = Way::start(
            &format!("[ {{ ip_access: {{ {options} }} }} ]"),
            "path_prefix: /",
        )
        .await;
        let answer = way.answer("GET / HTTP/1.1|Host: h").await;
        assert_eq!(answer.status(), status, "{options}");
        if status == 403 {
            assert_eq!(answer.json()["error"]["reason"], "access_denied");
            assert!(way.server.seen().is_empty());
            let line = way.gateway.log_line("/").await;
            assert_eq!(line["failure"], "access_denied", "{line}");
        }
    }
}

#[tokio::test]
async fn everybody_gets_the_page_but_the_operators() {
    let way = Way::start(
        "[ { maintenance: { text: \"Back at six.\", retry_after: 1h, except: { any: [ { header: { X-Operator: s3cret } }, { cookie: { op: \"1\" } } ] } } } ]",
        "path_prefix: /",
    )
    .await;
    let answer = way.answer("GET / HTTP/1.1|Host: h|X-Operator: guess").await;
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (503, "Back at six.")
    );
    assert_eq!(answer.field("retry-after"), Some("3600"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    assert_eq!(way.status("|X-Operator: s3cret").await, 200);
    assert_eq!(way.status("|Cookie: a=b; op=1").await, 200);
    let way = Way::start("[ maintenance ]", "path_prefix: /").await;
    let answer = way.answer("GET / HTTP/1.1|Host: h").await;
    assert_eq!(answer.json()["error"]["reason"], "maintenance");
    assert_eq!(answer.field("retry-after"), Some("300"));
}

#[tokio::test]
async fn a_page_for_the_maintenance_lies_beside_the_routing_file() {
    let gateway = Gateway::start("routes:\n  all: { respond: { text: up } }\n").await;
    let page = gateway.file().with_file_name("down.html");
    std::fs::write(&page, "<p>down</p>").unwrap();
    gateway
        .reload("routes:\n  all: { filters: [ { maintenance: { file: down.html } } ], respond: { text: up } }\n")
        .await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.text().await.unwrap(), "<p>down</p>");
}

/// `htpasswd -nbB -C 4 anna s3cret`.
const ANNA: &str = "$2y$04$P76IMQshnZJMtM3vOHgI..R47cszo7XytnKdpYhnnt4v7zyFQCFw6";

/// What a client sends: base64 of `name:password`.
fn basic(credentials: &str) -> String {
    let table = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |three: &[u8]| {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - three.len()));
        let digit = |place: usize| match place <= three.len() {
            true => char::from(table[(bits >> (18 - 6 * place) & 63) as usize]),
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    let encoded: String = credentials.as_bytes().chunks(3).map(encode).collect();
    format!("|Authorization: Basic {encoded}")
}

#[tokio::test]
async fn a_name_and_its_password_let_in() {
    let way = Way::start(
        &format!("[ {{ basic_auth: {{ realm: \"The \\\"lab\\\"\", users: {{ anna: \"{ANNA}\" }}, user_header: X-User }} }} ]"),
        "path_prefix: /",
    )
    .await;
    for wrong in [
        "",
        "|Authorization: Bearer x",
        &basic("anna:wrong"),
        &basic("eve:s3cret"),
    ] {
        let answer = way
            .answer(&format!("GET / HTTP/1.1|Host: h|X-User: root{wrong}"))
            .await;
        assert_eq!(answer.status(), 401, "{wrong}");
        assert_eq!(
            answer.field("www-authenticate"),
            Some("Basic realm=\"The \\\"lab\\\"\", charset=\"UTF-8\"")
        );
        assert_eq!(answer.json()["error"]["reason"], "unauthorized");
    }
    assert!(way.server.seen().is_empty());
    // The second time it is remembered.
    for _ in 0..2 {
        let request = format!(
            "GET / HTTP/1.1|Host: h|X-User: root{}",
            basic("anna:s3cret")
        );
        let (seen, answer) = way.through(&request).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(seen.all("x-user"), ["anna"]);
        assert_eq!(seen.field("authorization"), None, "it is no server's");
    }
}

#[tokio::test]
async fn users_may_lie_in_a_file_and_the_server_may_be_told_the_password() {
    let server = tidegate_tests::Recorder::start().await;
    let routing = |filters: &str| {
        format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  all: {{ filters: [ {filters} ], upstream: api }}\n",
            server.address()
        )
    };
    let gateway = Gateway::start(&routing("")).await;
    let users = gateway.file().with_file_name("users");
    // `echo -n s3cret | argon2 somesalt -id -t 1 -k 8 -e`.
    let argon =
        "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$TZ2FYnZYwjJ4jJ048ZXy17zdyhLkCzyTjO7hbBmHTs0";
    std::fs::write(
        &users,
        format!("# operators\n\nanna:{ANNA}\nbert:{argon}\n"),
    )
    .unwrap();
    gateway
        .reload(&routing("{ basic_auth: { file: users, forward: true } }"))
        .await;
    for (credentials, status) in [
        ("anna:s3cret", 200),
        ("bert:s3cret", 200),
        ("bert:other", 401),
    ] {
        let mut wire = Wire::connect(gateway.address()).await;
        let field = basic(credentials).replace('|', "\r\n");
        wire.send(format!("GET / HTTP/1.1\r\nHost: h{field}\r\n\r\n"))
            .await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.status(), status, "{credentials}");
        if status == 200 {
            let seen = server.seen().pop().expect("a request");
            assert!(seen.field("authorization").is_some());
        }
    }
}

/// The hash is one that takes long, many ask at once, and a request that needs none is not kept waiting.
#[tokio::test]
async fn passwords_are_verified_without_holding_up_others() {
    let slow = "$2y$12$kmfobAhkA0ikuvSPbUia7.I0sUSIQvvJkQ3N1hdjTSR3623A36xHy";
    let gateway = Gateway::start_with(
        &format!(
            "routes:\n  open: {{ match: {{ path: /open }}, respond: {{ text: open }} }}\n  \
             closed: {{ match: {{ path: /closed }}, filters: [ {{ basic_auth: {{ users: {{ anna: \"{slow}\" }} }} }} ], respond: {{ text: closed }} }}\n"
        ),
        |command| {
            command.env("TIDEGATE_THREADS", "1");
        },
    )
    .await;
    let field = basic("anna:wrong").replace('|', "\r\n");
    let mut waiting = Vec::new();
    for _ in 0..8 {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!("GET /closed HTTP/1.1\r\nHost: h{field}\r\n\r\n"))
            .await;
        waiting.push(wire);
    }
    // All of them would take seconds, one after the other on the one thread that serves requests.
    for _ in 0..5 {
        assert_eq!(gateway.get("/open").await.status(), 200);
    }
    let refused = gateway
        .log_lines()
        .iter()
        .filter(|line| line["path"] == "/closed")
        .count();
    assert!(refused < 8, "the quick ones came first");
    for mut wire in waiting {
        assert_eq!(wire.answer().await.expect("an answer").status(), 401);
    }
}
