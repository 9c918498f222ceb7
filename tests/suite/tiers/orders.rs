//! What an operator wants of a server for a while, over the operator's side.

use serde_json::Value;
use tidegate_tests::{Gateway, PATIENCE, eventually};

use super::{events, patients, ready, routing, server, spread, upstream};

#[tokio::test]
async fn an_operators_order_holds_over_a_reload_and_ends_when_it_should() {
    let all = patients::<2>().await;
    let [one, two] = &all;
    let servers = all.each_ref().map(|patient| server(patient, ""));
    let file = routing(&servers, "");
    let gateway = Gateway::start(&file).await;
    ready(&gateway, &[one, two]).await;
    let path = format!("/upstreams/api/servers/{}", one.address());

    let (status, said) = gateway.tell(&format!("{path}?state=drain"), "").await;
    assert_eq!(status, 200, "{said}");
    ready(&gateway, &[two]).await;
    gateway
        .reload(&format!("{file}timeouts: {{ read: 5s }}\n"))
        .await;
    ready(&gateway, &[two]).await;
    assert_eq!(spread(&gateway, &all, 10).await, [0, 10]);

    // One part of an order leaves the other alone.
    let (status, said) = gateway.tell(&format!("{path}?weight=3"), "").await;
    assert_eq!(status, 200, "{said}");
    ready(&gateway, &[two]).await;
    let (status, said) = gateway.tell(&format!("{path}?state=serve"), "").await;
    assert_eq!(status, 200, "{said}");
    ready(&gateway, &[one, two]).await;
    assert_eq!(spread(&gateway, &all, 40).await, [30, 10]);

    let (status, said) = gateway
        .tell(&format!("{path}?state=disable&for=300ms"), "")
        .await;
    assert_eq!(status, 200, "{said}");
    let told = &said["servers"].as_array().unwrap();
    let told = told.iter().find(|it| it["state"] == "disabled");
    let order = &told.unwrap()["order"];
    assert!(order["state"]["until"].is_string(), "{said}");
    assert_eq!(
        (&order["weight"]["value"], &order["weight"]["until"]),
        (&3.into(), &Value::Null)
    );
    ready(&gateway, &[two]).await;
    // The order before it was without an end; this one took its place.
    eventually("the order ends", PATIENCE, async || {
        upstream(&gateway).await["ready"] == 2
    })
    .await;
    assert_eq!(spread(&gateway, &all, 40).await, [30, 10]);
    let back = reqwest::Client::new()
        .delete(format!("http://{}{path}", gateway.admin()))
        .send()
        .await
        .unwrap();
    assert_eq!(back.status(), 200);
    assert_eq!(spread(&gateway, &all, 40).await, [20, 20]);
    let told = events(&gateway, one).await;
    let what: Vec<&str> = told.iter().map(|(what, _)| what.as_str()).collect();
    assert_eq!(
        what,
        [
            "came", "up", "draining", "weight", "serving", "disabled", "serving", "weight"
        ],
        "{told:?}"
    );
    let why: Vec<&str> = told.iter().map(|(_, why)| why.as_str()).collect();
    let operator = "by the operator";
    let over = "the operator's order is over";
    assert_eq!(why[..2], ["by the file", "its first probe was good"]);
    assert_eq!(why[2..4], [operator, "1 -> 3, by the operator"]);
    assert_eq!(why[4..7], [operator, operator, over]);
    assert_eq!(why[7], "3 -> 1, taken back by the operator");
    let log = gateway.process.logged("server: draining").await;
    assert!(log.contains("by the operator"), "{log}");
}

#[tokio::test]
async fn an_order_that_makes_no_sense_changes_nothing_and_is_told_why() {
    let all = patients::<1>().await;
    let gateway = Gateway::start(&routing(&[server(&all[0], "")], "")).await;
    ready(&gateway, &[&all[0]]).await;
    let client = reqwest::Client::new();
    let ask = async |method: reqwest::Method, path: &str| {
        let url = format!("http://{}/upstreams{path}", gateway.admin());
        let answer = client.request(method, url).send().await.unwrap();
        let (status, allowed) = (answer.status().as_u16(), answer.headers().get("allow"));
        let allowed = allowed.map(|allowed| allowed.to_str().unwrap().to_owned());
        let said: Value = answer.json().await.unwrap();
        (status, said["error"].as_str().unwrap().to_owned(), allowed)
    };
    let (post, delete) = (reqwest::Method::POST, reqwest::Method::DELETE);
    let known = format!("/api/servers/{}", all[0].address());
    let (status, _) = gateway
        .tell(&format!("/upstreams{known}?weight=3"), "")
        .await;
    assert_eq!(status, 200);
    for (method, path, status, part) in [
        (
            &post,
            "/api/servers/127.0.0.1:1?state=drain",
            404,
            "has no server `127.0.0.1:1`",
        ),
        (
            &post,
            "/apis/servers/127.0.0.1:1?state=drain",
            404,
            "no upstream `apis`",
        ),
        (
            &post,
            "/api/servers/api-1:80?state=drain",
            400,
            "`api-1:80` is no address",
        ),
        (&post, &known, 400, "nothing is wanted"),
        (
            &post,
            &format!("{known}?weight=x"),
            400,
            "`weight` is `x`: expected a whole number",
        ),
        (
            &post,
            &format!("{known}?stat=drain"),
            400,
            "`stat` is no parameter here",
        ),
        (
            &post,
            &format!("{known}?state=drain&for=31d"),
            400,
            "`for` is `31d`: expected whole numbers",
        ),
        (
            &delete,
            &format!("{known}?state=drain"),
            400,
            "`state` is no parameter here",
        ),
        (
            &reqwest::Method::GET,
            "/api",
            404,
            "there is no `/upstreams/api` here",
        ),
    ] {
        let (found, said, _) = ask(method.clone(), path).await;
        assert!(
            found == status && said.contains(part),
            "{path}: {found} {said}"
        );
    }
    for (path, methods) in [("", vec!["GET", "HEAD"]), (&known, vec!["POST", "DELETE"])] {
        let (status, said, allowed) = ask(reqwest::Method::PUT, path).await;
        let allowed = allowed.unwrap();
        let all = methods.iter().all(|method| allowed.contains(method));
        assert!(
            status == 405 && said.contains("`PUT`") && all,
            "{said} {allowed}"
        );
    }
    let held = upstream(&gateway).await["servers"][0]["order"].clone();
    assert_eq!(held["weight"]["value"], 3, "nothing was taken back: {held}");
}

#[tokio::test]
async fn a_moment_of_the_file_is_shown_while_no_order_stands_above_it() {
    let all = patients::<2>().await;
    let [serves, drains] = &all;
    let state = ", state: drain, until: 2099-12-01T18:00:00Z";
    let servers = [server(serves, ""), server(drains, state)];
    let gateway = Gateway::start(&routing(&servers, "")).await;
    ready(&gateway, &[serves]).await;
    let path = format!("/upstreams/api/servers/{}", drains.address());
    let until = |said: &Value| {
        let mut servers = said["servers"].as_array().unwrap().iter();
        let one = servers.find(|one| one["address"] == drains.address().to_string());
        one.unwrap()["until"].clone()
    };
    assert_eq!(until(&upstream(&gateway).await), "2099-12-01T18:00:00Z");
    let (_, said) = gateway.tell(&format!("{path}?state=serve"), "").await;
    assert_eq!(until(&said), Value::Null, "the order decides: {said}");
    let url = format!("http://{}{path}", gateway.admin());
    let back = reqwest::Client::new().delete(url).send().await.unwrap();
    assert_eq!(until(&back.json().await.unwrap()), "2099-12-01T18:00:00Z");
}
