//! Which of the latest requests would go elsewhere.

use tidegate_tests::{Gateway, client};

use crate::named;

const REMEMBER: &str = "reload: { remember: 3 }\n";

#[tokio::test]
async fn an_edit_is_tried_on_the_latest_requests_and_their_secrets_are_masked() {
    let origin = named("x").await;
    let upstreams = format!(
        "upstreams:\n  blue: {{ servers: [ \"{0}\" ] }}\n  green: {{ servers: [ \"{0}\" ] }}\n{REMEMBER}",
        origin.address()
    );
    let routes = "routes:\n  api: { match: { path_prefix: /api }, upstream: blue }\n  \
                  beta: { match: { path_prefix: /api, cookie: { beta: \"1\" } }, upstream: green }\n";
    let gateway = Gateway::start(&format!("{upstreams}{routes}")).await;
    gateway.get("/forgotten").await;
    for path in ["/api/v1/a?access_token=abc&page=2", "/api/v2/b"] {
        let request = client().get(gateway.url(path));
        let request = request
            .header("authorization", "Bearer abc")
            .header("x-plain", "seen");
        request.send().await.unwrap();
    }
    let beta = client().get(gateway.url("/api/v2/c"));
    beta.header("cookie", "beta=1; session=abc")
        .send()
        .await
        .unwrap();
    let kept = gateway.operator("/replay").await;
    assert_eq!(kept.as_array().unwrap().len(), 3, "{kept}");
    let text = kept.to_string();
    assert!(!text.contains("abc"), "{text}");
    for part in ["access_token=***&page=2", "beta=1; session=***", "seen"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }

    let edited = format!(
        "{upstreams}{routes}  v2: {{ match: {{ path_prefix: /api/v2 }}, upstream: green }}\n"
    );
    std::fs::write(
        gateway.file().with_file_name("next.yaml"),
        gateway.whole(&edited),
    )
    .unwrap();
    let said = gateway.ask_about("next.yaml", &["check", "--replay"]).await;
    assert_eq!(said.code, Some(0), "{}", said.err);
    for part in [
        "replay: 2 of 3 requests would go elsewhere",
        "from route api, upstream blue",
        "from route beta, upstream green",
        "to   route v2, upstream green",
    ] {
        assert!(said.out.contains(part), "{part} is not in {}", said.out);
    }
    let said = gateway
        .ask_about("next.yaml", &["check", "--replay", "--format", "json"])
        .await;
    let said: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(
        said["replay"]["moved"].as_array().unwrap().len(),
        2,
        "{said}"
    );
    let same = gateway.ask(&["check", "--replay"]).await;
    assert!(
        same.out
            .contains("replay: 0 of 3 requests would go elsewhere"),
        "{}",
        same.out
    );
}

#[tokio::test]
async fn nothing_is_remembered_unless_asked_for() {
    let origin = named("x").await;
    let gateway = Gateway::start(&format!("{}{REMEMBER}", crate::to(origin.address()))).await;
    gateway.get("/a").await;
    assert_eq!(
        gateway.operator("/replay").await.as_array().unwrap().len(),
        1
    );
    gateway.reload(&crate::to(origin.address())).await;
    gateway.get("/b").await;
    let said = gateway.ask(&["check", "--replay"]).await;
    assert!(
        said.code == Some(1) && said.err.contains("no requests are remembered"),
        "{}",
        said.err
    );
    gateway
        .reload(&format!("{}{REMEMBER}", crate::to(origin.address())))
        .await;
    assert_eq!(gateway.operator("/replay").await, serde_json::json!([]));
}

/// A password is not remembered, and the request that brought it is tried all the same.
#[tokio::test]
async fn who_had_the_right_password_is_followed_behind_it() {
    let origin = named("x").await;
    let file = |upstream: &str| {
        format!(
            "upstreams:\n  blue: {{ servers: [ \"{0}\" ] }}\n  green: {{ servers: [ \"{0}\" ] }}\n{REMEMBER}\
             routes: {{ lab: {{ filters: [ {{ basic_auth: {{ users: {{ anna: \"$2y$10$eFEuUEw5Z9XPI.azcT4Xv.kCtYhRiFGi/xlEhHi2/x3H1byCSSiQW\" }} }} }} ], upstream: {upstream} }} }}\n",
            origin.address()
        )
    };
    let gateway = Gateway::start(&file("blue")).await;
    let request = client().get(gateway.url("/")).basic_auth("anna", Some("x"));
    request.send().await.unwrap();
    std::fs::write(
        gateway.file().with_file_name("next.yaml"),
        gateway.whole(&file("green")),
    )
    .unwrap();
    let said = gateway.ask_about("next.yaml", &["check", "--replay"]).await;
    assert!(
        said.out.contains("to   route lab, upstream green"),
        "{said:?}"
    );
}
