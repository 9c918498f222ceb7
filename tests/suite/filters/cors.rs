//! `cors`: what browsers are told about other origins.

use tidegate_tests::Message;

use crate::Way;

fn allowed(answer: &Message) -> (Option<&str>, Option<&str>) {
    (
        answer.field("access-control-allow-origin"),
        answer.field("access-control-allow-credentials"),
    )
}

const ORIGINS: &str = "origins: [ \"https://app.example.com\", \"https://*.example.org\" ]";

#[tokio::test]
async fn a_preflight_is_answered_here_and_only_those_that_are_named_are_let_in() {
    let way = Way::start(
        &format!(
            "[ {{ cors: {{ {ORIGINS}, methods: [ GET, PUT ], headers: [ X-Token, Content-Type ], credentials: true, max_age: 1h }} }} ]"
        ),
        "path_prefix: /",
    )
    .await;
    let preflight = |origin: &str| {
        format!(
            "OPTIONS /x HTTP/1.1|Host: h|Origin: {origin}|Access-Control-Request-Method: PUT|Access-Control-Request-Headers: x-token"
        )
    };
    for origin in ["https://app.example.com", "https://a.b.example.org"] {
        let answer = way.answer(&preflight(origin)).await;
        assert_eq!(answer.status(), 204);
        assert_eq!(allowed(&answer), (Some(origin), Some("true")));
        for (field, said) in [
            ("access-control-allow-methods", "GET, PUT"),
            ("access-control-allow-headers", "X-Token, Content-Type"),
            ("access-control-max-age", "3600"),
            (
                "vary",
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        ] {
            assert_eq!(answer.field(field), Some(said), "{field}");
        }
    }
    for origin in [
        "https://evil.example",
        "http://app.example.com",
        "https://app.example.com.evil.example",
        "https://example.org",
        "null",
    ] {
        let answer = way.answer(&preflight(origin)).await;
        assert_eq!(answer.status(), 204);
        assert_eq!(allowed(&answer), (None, None), "{origin}");
        assert_eq!(answer.field("access-control-allow-methods"), None);
    }
    assert!(way.server.seen().is_empty(), "the server is not bothered");
    // One without the question is a request like any.
    let (seen, _) = way
        .through("OPTIONS /x HTTP/1.1|Host: h|Origin: https://app.example.com")
        .await;
    assert_eq!(seen.word(0), "OPTIONS");
}

#[tokio::test]
async fn an_answer_says_who_may_read_it_and_what_the_server_said_is_replaced() {
    let way = Way::answering(
        &format!("[ {{ cors: {{ {ORIGINS}, expose: [ X-Total, X-Page ] }} }} ]"),
        "path_prefix: /",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: Accept\r\nAccess-Control-Allow-Origin: *\r\n\
          Access-Control-Allow-Credentials: true\r\n\r\nok",
    )
    .await;
    let get = |fields: &str| format!("GET / HTTP/1.1|Host: h{fields}");
    let (seen, answer) = way.through(&get("|Origin: https://app.example.com")).await;
    assert_eq!(seen.field("origin"), Some("https://app.example.com"));
    assert_eq!(allowed(&answer), (Some("https://app.example.com"), None));
    assert_eq!(
        answer.field("access-control-expose-headers"),
        Some("X-Total, X-Page")
    );
    assert_eq!(answer.all("vary"), ["Accept", "Origin"]);
    for fields in ["", "|Origin: https://evil.example"] {
        let answer = way.answer(&get(fields)).await;
        assert_eq!(allowed(&answer), (None, None), "{fields}");
        assert_eq!(
            answer.all("vary"),
            ["Accept", "Origin"],
            "a cache must not hand it on"
        );
    }
}

#[tokio::test]
async fn a_star_is_for_everybody_and_what_is_asked_for_is_said_back() {
    let way = Way::start(
        "[ { cors: { origins: \"*\", methods: \"*\", headers: \"*\", expose: \"*\" } } ]",
        "path_prefix: /",
    )
    .await;
    let answer = way
        .answer("GET / HTTP/1.1|Host: h|Origin: https://any.example")
        .await;
    assert_eq!(allowed(&answer), (Some("*"), None));
    assert_eq!(answer.field("access-control-expose-headers"), Some("*"));
    assert_eq!(answer.field("vary"), None);
    let answer = way
        .answer("OPTIONS / HTTP/1.1|Host: h|Origin: https://any.example|Access-Control-Request-Method: PATCH|Access-Control-Request-Headers: x-a, authorization")
        .await;
    assert_eq!(answer.field("access-control-allow-methods"), Some("PATCH"));
    assert_eq!(
        answer.field("access-control-allow-headers"),
        Some("x-a, authorization")
    );
}

/// A refusal of a filter behind it can be read by the page, too.
#[tokio::test]
async fn it_stands_on_the_way_of_what_later_filters_answer() {
    let way = Way::start(
        "[ { cors: { origins: \"*\" } }, { ip_access: { deny: 127.0.0.0/8 } } ]",
        "path_prefix: /",
    )
    .await;
    let answer = way
        .answer("GET / HTTP/1.1|Host: h|Origin: https://any.example")
        .await;
    assert_eq!((answer.status(), allowed(&answer).0), (403, Some("*")));
}
