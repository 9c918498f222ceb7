//! Who may ask the operator's side.

use tidegate_tests::{Gateway, client};

use crate::{named, to, who};

#[tokio::test]
async fn a_page_that_the_operator_looks_at_cannot_edit() {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = Gateway::start(&to(first.address())).await;
    let url = format!("http://{}/config/apply", gateway.admin());
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("host", "evil.example"),
        ("origin", "null"),
    ] {
        let request = client().post(&url).header(name, value);
        let answer = request
            .body(gateway.whole(&to(second.address())))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 403, "{name}: {value}");
    }
    assert_eq!(who(&gateway).await, "first");
    let (status, verdict) = gateway
        .tell("/config/apply", gateway.whole(&to(second.address())))
        .await;
    assert_eq!((status, &verdict["ok"]), (200, &true.into()), "{verdict}");
    assert_eq!(who(&gateway).await, "second");
}
