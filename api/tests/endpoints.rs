//! Each endpoint's contract, asked of the router directly: no sockets, no waiting.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::response::Response;
use futures_util::stream;
use http::{Method, Request, StatusCode, header};
use serde_json::Value;
use std::time::Duration;
use tidegate_api::app::app;
use tidegate_api::drain::Drain;
use tidegate_api::state::Instance;
use tower::ServiceExt as _;

fn api() -> Router {
    app(Instance::new(Some("api-1".to_owned()), Drain::new()))
}

async fn ask(method: Method, target: &str) -> Response {
    let request = Request::builder()
        .method(method)
        .uri(target)
        .body(Body::empty())
        .unwrap();
    api().oneshot(request).await.unwrap()
}

async fn get(target: &str) -> Response {
    ask(Method::GET, target).await
}

async fn text(response: Response) -> String {
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

async fn json(response: Response) -> Value {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    serde_json::from_str(&text(response).await).unwrap()
}

/// Every error: its status, in the head and in the body, and a message; never axum's own plain text.
async fn assert_error(response: Response, status: u16) -> String {
    assert_eq!(response.status().as_u16(), status);
    let body = json(response).await;
    assert_eq!(body["error"]["status"], status);
    body["error"]["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn hello_is_exactly_this() {
    let response = get("/api/hello").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/plain; charset=utf-8"
    );
    assert_eq!(text(response).await, "Hello, World!");
}

#[tokio::test]
async fn whoami_says_who_and_what_arrived() {
    let api = api();
    for expected in 1..=2 {
        let request = Request::get("/api/whoami?x=1")
            .header("x-one", "1")
            .header("x-two", "a")
            .header("x-two", "b")
            .body(Body::empty())
            .unwrap();
        let response = api.clone().oneshot(request).await.unwrap();
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let body = json(response).await;
        assert_eq!(body["instance"], "api-1");
        assert_eq!(body["pid"], std::process::id());
        assert!(!body["host"].as_str().unwrap().is_empty());
        assert_eq!(body["requests"], expected);
        assert_eq!(body["request"]["method"], "GET");
        assert_eq!(body["request"]["path"], "/api/whoami?x=1");
        assert_eq!(body["request"]["headers"]["x-one"], "1");
        assert_eq!(
            body["request"]["headers"]["x-two"],
            serde_json::json!(["a", "b"])
        );
    }
}

#[tokio::test]
async fn health_fails_from_the_moment_the_drain_begins() {
    let drain = Drain::new();
    let api = app(Instance::new(None, drain.clone()));
    let ask = || {
        api.clone()
            .oneshot(Request::get("/api/health").body(Body::empty()).unwrap())
    };
    assert_eq!(json(ask().await.unwrap()).await["status"], "ok");
    drain.leave(Duration::ZERO).await;
    assert_error(ask().await.unwrap(), 503).await;
}

#[tokio::test]
async fn every_answer_names_the_instance_even_an_error() {
    for target in [
        "/api/hello",
        "/nowhere",
        "/api/status/503",
        "/api/slow?ms=x",
    ] {
        assert_eq!(
            get(target).await.headers()["x-instance"],
            "api-1",
            "{target}"
        );
    }
}

#[tokio::test]
async fn echo_returns_the_body_and_its_type_for_any_method() {
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = Request::builder()
            .method(method)
            .uri("/api/echo")
            .header(header::CONTENT_TYPE, "application/x-tide")
            .body(Body::from("high water"))
            .unwrap();
        let response = api().oneshot(request).await.unwrap();
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "application/x-tide"
        );
        assert_eq!(text(response).await, "high water");
    }
    assert_eq!(text(get("/api/echo").await).await, "");
}

#[tokio::test]
async fn echo_answers_before_the_request_has_ended() {
    use futures_util::StreamExt as _;
    let first = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"first")) });
    let body = Body::from_stream(first.chain(stream::pending()));
    let response = api()
        .oneshot(Request::post("/api/echo").body(body).unwrap())
        .await
        .unwrap();
    let chunk = response
        .into_body()
        .into_data_stream()
        .next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(chunk, "first");
}

#[tokio::test(start_paused = true)]
async fn slow_waits_as_long_as_asked() {
    let start = tokio::time::Instant::now();
    assert_eq!(json(get("/api/slow?ms=1500").await).await["ms"], 1500);
    assert_eq!(start.elapsed().as_millis(), 1500);
    assert_eq!(json(get("/api/slow").await).await["ms"], 1000);
}

#[tokio::test]
async fn a_query_that_does_not_fit_is_a_json_error() {
    for target in [
        "/api/slow?ms=x",
        "/api/slow?ms=-1",
        "/api/slow?ms=60001",
        "/api/slow?seconds=1",
        "/api/bytes",
        "/api/bytes?size=4294967297",
        "/api/stream?events=10001",
        "/api/stream?events=1000&ms=601",
        "/api/stream?events=2&ms=18446744073709551615",
    ] {
        let message = assert_error(get(target).await, 400).await;
        assert!(!message.is_empty(), "{target}");
    }
}

#[tokio::test]
async fn status_gives_any_final_status() {
    for code in [200, 201, 206, 299, 302, 404, 418, 429, 500, 503, 599] {
        let response = get(&format!("/api/status/{code}")).await;
        assert_eq!(response.status().as_u16(), code);
        let body = json(response).await;
        let told = if code < 400 {
            &body["status"]
        } else {
            &body["error"]["status"]
        };
        assert_eq!(*told, code);
    }
    for target in [
        "100", "101", "199", "600", "999", "0", "-1", "teapot", "%20", "%FF", "99999",
    ] {
        assert_error(get(&format!("/api/status/{target}")).await, 400).await;
    }
}

#[tokio::test]
async fn statuses_without_a_body_have_none() {
    for code in [204, 205, 304] {
        let response = get(&format!("/api/status/{code}")).await;
        assert_eq!(response.status().as_u16(), code);
        assert!(!response.headers().contains_key(header::CONTENT_TYPE));
        assert_eq!(text(response).await, "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_that_many_events_and_an_end() {
    let response = get("/api/stream?events=3&ms=100").await;
    assert_eq!(
        response.headers()[header::CONTENT_TYPE],
        "text/event-stream"
    );
    let body = text(response).await;
    let events: Vec<&str> = body.split_terminator("\n\n").collect();
    assert_eq!(events.len(), 4, "{body}");
    assert!(
        events[2].contains("id: 3") && events[2].contains(r#""event":3"#),
        "{body}"
    );
    assert!(
        events[3].contains("event: end") && events[3].contains("done"),
        "{body}"
    );
}

#[tokio::test]
async fn bytes_are_as_many_as_asked_and_known_by_position() {
    for size in [0, 1, 26, 65_519, 65_520, 65_521, 1_000_000] {
        let response = get(&format!("/api/bytes?size={size}")).await;
        assert_eq!(response.headers()[header::CONTENT_LENGTH], size.to_string());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        assert_eq!(body.len(), size);
        assert!(
            body.iter()
                .zip((b'a'..=b'z').cycle())
                .all(|(got, expected)| *got == expected)
        );
    }
}

#[tokio::test]
async fn sink_counts_what_it_throws_away() {
    let body = Body::from(vec![0; 3_000_000]);
    let response = api()
        .oneshot(Request::post("/api/sink").body(body).unwrap())
        .await
        .unwrap();
    assert_eq!(json(response).await["bytes"], 3_000_000);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    for target in [
        "/api/hello",
        "/api/whoami",
        "/api/health",
        "/api/bytes?size=4294967296",
        "/nowhere",
    ] {
        let response = ask(Method::HEAD, target).await;
        assert_eq!(response.status(), get(target).await.status(), "{target}");
        let length = response.headers()[header::CONTENT_LENGTH].to_str().unwrap();
        assert_ne!(length, "0", "{target}");
        assert_eq!(text(response).await, "", "{target}");
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_json_errors() {
    let message = assert_error(get("/api/nothing").await, 404).await;
    assert_eq!(message, "there is nothing at /api/nothing");
    assert_error(get("/").await, 404).await;
    assert_error(get("/api/hello/").await, 404).await;

    let response = ask(Method::DELETE, "/api/hello").await;
    assert_eq!(response.headers()[header::ALLOW], "GET,HEAD");
    assert_error(response, 405).await;
    let response = get("/api/sink").await;
    assert_eq!(response.headers()[header::ALLOW], "POST");
    assert_error(response, 405).await;
}

#[tokio::test]
async fn a_plain_request_to_the_websocket_is_a_json_error() {
    let message = assert_error(get("/api/ws").await, 400).await;
    assert!(message.contains("Connection"), "{message}");
}

#[tokio::test]
async fn any_origin_may_call_without_credentials() {
    let request = |method| {
        Request::builder()
            .method(method)
            .uri("/api/whoami")
            .header(header::ORIGIN, "http://elsewhere.test")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET")
            .body(Body::empty())
            .unwrap()
    };
    let preflight = api().oneshot(request(Method::OPTIONS)).await.unwrap();
    assert!(preflight.status().is_success());
    assert_eq!(
        preflight.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN],
        "*"
    );

    let answer = api().oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(answer.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
    assert!(
        !answer
            .headers()
            .contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS)
    );
    let exposed = answer.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS]
        .to_str()
        .unwrap();
    assert!(exposed.contains("x-instance"), "{exposed}");
}
