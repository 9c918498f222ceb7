//! What the client is told when nobody answered.

use serde_json::Value;
use tidegate_tests::{Gateway, Load, client, refusing_address};

use crate::{assert_failure, both_clients, routing};

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_gets_json() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    let ask = async |accept: &str| {
        let request = client().get(gateway.url("/")).header("Accept", accept);
        request.send().await.unwrap()
    };
    let page = ask("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(page.status(), 502);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let id = page.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = page.text().await.unwrap();
    assert!(
        text.contains("502 Bad Gateway") && text.contains(&id),
        "{text}"
    );
    assert!(!text.contains("127.0.0.1") && text.len() < 2000, "{text}");
    for accept in ["*/*", "application/json"] {
        assert_failure(ask(accept).await, 502, "connect_failed").await;
    }
}

#[tokio::test]
async fn a_failure_carries_the_clients_own_id_and_no_body_for_a_head() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    for (version, client) in both_clients() {
        let request = client
            .get(gateway.url("/"))
            .header("X-Request-Id", "mine-1");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "mine-1", "{version}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["request_id"], "mine-1", "{version}");
        let head = client.head(gateway.url("/")).send().await.unwrap();
        assert_eq!(head.status(), 502, "{version}");
        assert!(head.bytes().await.unwrap().is_empty(), "{version}");
    }
}

/// After a failure the client's connection is either told to close or serves the next request.
#[tokio::test]
async fn a_client_can_go_on_after_a_failure() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    let report = Load::run(&gateway.url("/"), 4, 200).await;
    assert_eq!(report.statuses.get(&502), Some(&200), "{report:?}");
}
