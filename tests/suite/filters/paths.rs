//! `strip_prefix`, `rewrite`, `set_host`, `redirect_https`: where a request is sent on to.

use crate::Way;

#[tokio::test]
async fn a_prefix_is_taken_off_and_given_back_to_redirects() {
    let way = Way::start("[ { strip_prefix: /api } ]", "path_prefix: /api").await;
    for (target, sent) in [
        ("/api/users?a=b%20c", "/users?a=b%20c"),
        ("/api", "/"),
        ("/api/", "/"),
        ("//api/./x", "/x"),
        ("/%61pi/%2e/x%2Fy", "/x%2Fy"),
    ] {
        assert_eq!(way.target(target).await, sent, "{target}");
    }
    let (seen, _) = way.through("GET /api/x HTTP/1.1|Host: h").await;
    assert_eq!(seen.field("x-forwarded-prefix"), Some("/api"));
    for (location, back) in [
        ("/login?x", "/api/login?x"),
        ("http://h:81/login", "http://h:81/api/login"),
        ("http://elsewhere/login", "http://elsewhere/login"),
        ("//elsewhere/login", "//elsewhere/login"),
        ("login", "login"),
    ] {
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let filters = "[ { strip_prefix: { prefix: /api, location: true } } ]";
        let way = Way::answering(filters, "path_prefix: /api", answer.as_bytes()).await;
        let (_, answer) = way.through("GET /api/x HTTP/1.1|Host: h").await;
        assert_eq!(answer.field("location"), Some(back));
    }
}

#[tokio::test]
async fn a_path_is_rewritten_and_the_query_stays_unless_it_is_named() {
    let way = Way::start(
        "[ { rewrite: { path: \"/people/${path.id}\" } } ]",
        "path_regex: \"/users/(?P<id>[^/]+)\"",
    )
    .await;
    assert_eq!(way.target("/users/42?a=b").await, "/people/42?a=b");
    assert_eq!(way.target("/users/%2e%2e%2fx?a").await, "/people/..%2Fx?a");
    let way = Way::start(
        "[ { rewrite: { prefix: /v1, to: /v2 } } ]",
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.target("/v1/x").await, "/v2/x");
    assert_eq!(way.target("/v1").await, "/v2");
    assert_eq!(way.target("/v10/x").await, "/v10/x");
    let regex =
        "[ { rewrite: { regex: \"/blog/(?P<year>[0-9]{4})/(.*)\", to: \"/archive/$year/$2\" } } ]";
    let way = Way::start(regex, "path_prefix: /").await;
    assert_eq!(way.target("/blog/2026/x?y").await, "/archive/2026/x?y");
    assert_eq!(way.target("/blog/26/x").await, "/blog/26/x");
    let way = Way::start(
        "[ { rewrite: { query: \"via=${route}\" } } ]",
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.target("/x//y?a=b").await, "/x//y?via=way");
    let line = way.gateway.log_line("/x//y").await;
    assert_eq!(line["status"], 200, "the log has the path as it came");
}

#[tokio::test]
async fn a_server_is_asked_for_another_host_and_told_the_first_one() {
    let way = Way::start("[ { set_host: \"api.internal:8080\" } ]", "path_prefix: /").await;
    let (seen, _) = way.through("GET / HTTP/1.1|Host: a.example.com").await;
    assert_eq!(seen.all("host"), ["api.internal:8080"]);
    assert_eq!(seen.field("x-forwarded-host"), Some("a.example.com"));
}

#[tokio::test]
async fn plain_http_is_sent_to_the_same_place_over_https() {
    for (options, status, location) in [
        ("redirect_https", 308, "https://a.example.com/x//y?a=b"),
        (
            "{ redirect_https: { port: 8443, status: 302 } }",
            302,
            "https://a.example.com:8443/x//y?a=b",
        ),
    ] {
        let way = Way::start(&format!("[ {options} ]"), "path_prefix: /").await;
        let answer = way
            .answer("GET /x//y?a=b HTTP/1.1|Host: A.example.com:80")
            .await;
        assert_eq!(
            (answer.status(), answer.field("location")),
            (status, Some(location))
        );
        assert!(way.server.seen().is_empty());
    }
    let way = Way::start("[ redirect_https ]", "path_prefix: /").await;
    assert_eq!(way.answer("GET / HTTP/1.0").await.status(), 400);
}

/// What a client puts into a value stays a value: of a segment, of a parameter.
#[tokio::test]
async fn a_value_breaks_out_of_nothing() {
    let way = Way::start(
        "[ { rewrite: { path: /look, query: \"id=${path.id}&by=${request.id}\" } } ]",
        "path_regex: \"/u/(?P<id>.+)\"",
    )
    .await;
    let (seen, _) = way
        .through("GET /u/1&role=admin%2B%23/x HTTP/1.1|Host: h|X-Request-Id: <a>&b=c")
        .await;
    assert_eq!(
        seen.word(1),
        "/look?id=1%26role%3Dadmin%2B%23%2Fx&by=%3Ca%3E%26b%3Dc"
    );
    let way = Way::start(
        "[ { rewrite: { path: \"/by/${request.id}/x\" } } ]",
        "path_prefix: /",
    )
    .await;
    let by = |id: &str| format!("GET / HTTP/1.1|Host: h|X-Request-Id: {id}");
    let (seen, _) = way.through(&by("../admin?x")).await;
    assert_eq!(seen.word(1), "/by/..%2Fadmin%3Fx/x");
    assert_eq!(way.answer(&by("..")).await.status(), 400);
    let way = Way::start(
        "[ { rewrite: { regex: \"/files/(.*)\\\\.json\", to: \"/data/$1/meta\" } } ]",
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.target("/files/a.json").await, "/data/a/meta");
    let climbing = way.answer("GET /files/...json HTTP/1.1|Host: h").await;
    assert_eq!(climbing.status(), 400);
    assert_eq!(way.server.seen().len(), 1);
}

/// Only what was taken off is given back, and only once.
#[tokio::test]
async fn a_redirect_that_knows_the_prefix_is_left_alone() {
    for (target, location, back) in [
        ("/api/x", "/api/login", "/api/login"),
        ("/api/x", "/apiary", "/api/apiary"),
        ("/other", "/login", "/login"),
    ] {
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        for filters in [
            "[ { strip_prefix: { prefix: /api, location: true } } ]",
            "[ { rewrite: { prefix: /api, to: /, location: true } } ]",
        ] {
            let way = Way::answering(filters, "path_prefix: /", answer.as_bytes()).await;
            let answer = way.answer(&format!("GET {target} HTTP/1.1|Host: h")).await;
            assert_eq!(answer.field("location"), Some(back), "{target} {filters}");
        }
    }
}

/// Whatever a client says about it.
#[tokio::test]
async fn only_a_filter_says_which_prefix_was_taken_off() {
    let way = Way::start("[ { strip_prefix: /api } ]", "path_prefix: /").await;
    let (seen, _) = way
        .through("GET /x HTTP/1.1|Host: h|X-Forwarded-Prefix: //evil.example")
        .await;
    assert_eq!(seen.field("x-forwarded-prefix"), None);
}
