//! Where a route ends: one upstream, several that share the requests, elsewhere, or here.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tidegate_tests::{Gateway, Named, Origin, Wire, examples};

#[tokio::test]
async fn a_split_gives_exact_shares_and_a_reload_goes_on_where_the_turn_stands() {
    let routes = "routes:\n  all: { split: { stable: 3, canary: 1 } }\n";
    let named = Named::start(&["stable", "canary"], routes).await;
    let mut counts: HashMap<String, u32> = HashMap::new();
    for round in 0..10 {
        // Each reload comes in the middle of a turn.
        for _ in 0..6 {
            *counts.entry(named.taken("GET /").await).or_default() += 1;
        }
        named.reload(&format!("{routes}# {round}\n")).await;
    }
    assert_eq!((counts["stable"], counts["canary"]), (45, 15));
}

#[tokio::test]
async fn a_share_of_nothing_gets_nobody() {
    let routes = "routes:\n  all: { split: { stable: 1, canary: 0 } }\n";
    let named = Named::start(&["stable", "canary"], routes).await;
    for _ in 0..20 {
        assert_eq!(named.taken("GET /").await, "stable");
    }
}

#[tokio::test]
async fn a_cookie_keeps_a_client_where_it_was_over_a_reload() {
    let routes = |stable, canary| {
        format!(
            "routes:\n  all: {{ split: {{ stable: {stable}, canary: {canary} }}, sticky: {{ cookie: variant }} }}\n"
        )
    };
    let named = Named::start(&["stable", "canary"], &routes(1, 1)).await;
    let mut cookies = HashMap::new();
    for _ in 0..2 {
        let answer = named.answer("GET /").await;
        let cookie = answer.field("set-cookie").expect("a cookie").to_owned();
        assert!(
            cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
            "{cookie}"
        );
        let sent = cookie.split(';').next().unwrap().to_owned();
        assert!(
            !sent.contains("stable") && !sent.contains("canary"),
            "{sent}"
        );
        cookies.insert(answer.text(), sent);
    }
    assert_eq!(cookies.len(), 2, "both were given");
    named.reload(&routes(1, 0)).await;
    for (name, cookie) in &cookies {
        let answer = named
            .answer(&format!("GET / | Cookie: a=b; {cookie}"))
            .await;
        assert_eq!(answer.text(), *name);
        assert_eq!(answer.field("set-cookie"), None, "once is enough");
    }
    assert_eq!(
        named.taken("GET / | Cookie: variant=forged").await,
        "stable"
    );
}

#[tokio::test]
async fn equal_values_of_a_field_and_equal_addresses_stay_together() {
    let routes = "routes:\n  t: { match: { path_prefix: /t }, split: { old: 1, new: 1 }, sticky: { header: X-Tenant } }\n  \
                  c: { match: { path_prefix: /c }, split: { old: 1, new: 1 }, sticky: client }\n";
    let named = Named::start(&["old", "new"], routes).await;
    let mut seen: HashMap<String, u32> = HashMap::new();
    for tenant in 0..20 {
        let request = format!("GET /t | X-Tenant: tenant-{tenant}");
        let first = named.taken(&request).await;
        assert_eq!(named.taken(&request).await, first);
        *seen.entry(first).or_default() += 1;
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
    let first = named.taken("GET /c").await;
    for _ in 0..10 {
        assert_eq!(named.taken("GET /c").await, first);
    }
}

#[tokio::test]
async fn an_answer_of_the_file_has_its_status_its_fields_and_its_body() {
    let named = Named::start(
        &[],
        "routes:\n  \
         text: { match: { path: /text }, respond: { status: 418, text: \"short and stout\", headers: { X-Pot: tea } } }\n  \
         json: { match: { path: /json }, respond: { text: \"{}\", headers: { Content-Type: application/json } } }\n  \
         none: { match: { path: /none }, respond: { status: 204 } }\n",
    )
    .await;
    let answer = named.answer("GET /text").await;
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (418, "short and stout")
    );
    assert_eq!(answer.field("x-pot"), Some("tea"));
    assert_eq!(
        answer.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert!(answer.field("x-request-id").is_some());
    let answer = named.answer("HEAD /text").await;
    assert_eq!(
        (answer.status(), answer.field("content-length")),
        (418, Some("15"))
    );
    assert_eq!(answer.text(), "");
    let answer = named.answer("GET /json").await;
    assert_eq!(answer.field("content-type"), Some("application/json"));
    let answer = named.answer("GET /none").await;
    assert_eq!(
        (answer.status(), answer.field("content-length")),
        (204, None)
    );
    let line = named.gateway.log_line("/text").await;
    assert_eq!(
        (&line["status"], &line["route"]),
        (&418.into(), &"text".into())
    );
    assert!(
        line["upstream"].is_null() && line["failure"].is_null(),
        "{line}"
    );
}

#[tokio::test]
async fn a_file_beside_the_routing_file_is_answered_with_and_read_again_with_it() {
    let routes = "routes:\n  page: { respond: { file: page.html } }\n";
    let gateway = Gateway::start("routes:\n  page: { respond: { text: none } }\n").await;
    let page = gateway.file().with_file_name("page.html");
    std::fs::write(&page, "<p>one</p>").unwrap();
    gateway.reload(routes).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(answer.text().await.unwrap(), "<p>one</p>");
    std::fs::write(&page, "<p>two</p>").unwrap();
    gateway.reload(&format!("{routes}# again\n")).await;
    assert_eq!(gateway.get("/").await.text().await.unwrap(), "<p>two</p>");
}

#[tokio::test]
async fn a_redirect_goes_where_the_file_says() {
    let named = Named::start(
        &[],
        "routes:\n  \
         port: { match: { path: /port }, redirect: { scheme: https, port: 8443 } }\n  \
         host: { match: { path: /host }, redirect: { host: other.example.com } }\n  \
         query: { match: { path: /query }, redirect: { path: /x, keep_query: false, status: 307 } }\n  \
         prefix: { match: { path_prefix: /old, any: [ { method: GET }, { path: /old/x } ] }, redirect: { prefix: / } }\n",
    )
    .await;
    for (request, status, location) in [
        ("GET /port?a", 302, "https://a.example.com:8443/port?a"),
        ("GET http://b:81/host", 302, "//other.example.com:81/host"),
        ("POST /query?a | Content-Length: 0", 307, "/x"),
        ("GET /old/./a//b", 302, "/a/b"),
        ("GET /old", 302, "/"),
        ("GET /old/x", 302, "/x"),
        ("GET /old//evil.example.com", 302, "/evil.example.com"),
    ] {
        let answer = named.answer(request).await;
        assert_eq!(answer.status(), status, "{request}");
        assert_eq!(answer.field("location"), Some(location), "{request}");
        assert_eq!(answer.field("content-length"), Some("0"), "{request}");
    }
}

/// An answer of our own does not cost the client its connection, unless it still sends a body.
#[tokio::test]
async fn after_an_answer_of_our_own_the_connection_takes_the_next_request() {
    let named = Named::start(&[], "routes:\n  all: { respond: { text: here } }\n").await;
    let mut wire = Wire::connect(named.gateway.address()).await;
    for _ in 0..3 {
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let answer = wire.answer().await.expect("an answer");
        assert_eq!(answer.text(), "here");
        assert_ne!(answer.field("connection"), Some("close"));
    }
    wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")
        .await;
    let answer = wire.answer().await.expect("an answer");
    assert_eq!(
        (answer.text().as_str(), answer.field("connection")),
        ("here", Some("close"))
    );
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(
        wire.answer().await.is_none(),
        "the body is not taken for a request"
    );
}

#[tokio::test]
async fn a_route_waits_for_as_long_as_it_says_and_takes_as_much() {
    let silent = Origin::hanging().await;
    let gateway = Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ], timeouts: {{ read: 30s }} }}\nroutes:\n  \
         quick: {{ match: {{ path: /quick }}, upstream: api, timeouts: {{ read: 300ms }} }}\n  \
         small: {{ match: {{ path: /small }}, upstream: api, limits: {{ body_size: 10B }} }}\n  \
         large: {{ match: {{ path: /large }}, upstream: api, timeouts: {{ read: 300ms }}, limits: {{ body_size: 1MiB }} }}\n\
         limits: {{ body_size: 100B }}\n",
        silent.address()
    ))
    .await;
    let asked = Instant::now();
    assert_eq!(gateway.get("/quick").await.status(), 504);
    assert!(asked.elapsed() < Duration::from_secs(10));
    let client = tidegate_tests::client();
    for (path, size, status) in [
        ("/small", 11, 413),
        ("/large", 1000, 504),
        ("/quick", 101, 413),
    ] {
        let answer = client
            .post(gateway.url(path))
            .body(vec![b'x'; size])
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn the_page_says_what_happens() {
    let examples = examples("ends.md");
    assert!(examples.len() >= 4, "{} examples", examples.len());
    for (routes, asked) in examples {
        let named = Named::of(&routes).await;
        for (request, expected) in asked {
            let answer = named.answer(&request).await;
            let said = answer
                .field("location")
                .map_or_else(|| answer.text(), str::to_owned);
            let said = said.lines().next().unwrap_or_default();
            let said = format!("{} {said}", answer.status());
            assert_eq!(said.trim(), expected, "{request}");
        }
    }
}
