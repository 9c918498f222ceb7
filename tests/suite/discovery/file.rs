//! `discover: file`: a list that is watched.

use serde_json::Value;
use tidegate_tests::{Gateway, HEALTH, Load, Origin, PATIENCE, Patient, client, eventually};

use crate::{Listed, answered_by, in_trouble, listed, server, well};

#[tokio::test]
async fn servers_come_and_go_with_the_list_and_no_request_fails() {
    let (one, two, three) = (
        server("one").await,
        server("two").await,
        server("three").await,
    );
    let list = Listed::new(&listed(&[&one]));
    let gateway = Gateway::start(&list.routing()).await;
    let generation = gateway.ready().await.generation;
    answered_by(&gateway, ["one"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(10).await;
    list.write(&listed(&[&one, &two, &three]));
    answered_by(&gateway, ["one", "three", "two"]).await;
    // JSON, and in full.
    list.write(&format!(
        "[{{\"address\": \"{}\", \"weight\": 3}}, \"{}\", {{\"address\": \"{}\", \"backup\": true}}]",
        two.address(),
        three.address(),
        one.address()
    ));
    answered_by(&gateway, ["three", "two"]).await;
    let servers = gateway.operator("/upstreams").await[0]["servers"].clone();
    let of = |server: &Origin| {
        let address = server.address().to_string();
        let mut all = servers.as_array().unwrap().iter();
        all.find(|one| one["address"] == address).unwrap().clone()
    };
    assert_eq!(of(&two)["weight"], 3);
    assert_eq!(of(&one)["backup"], true);
    list.write(&listed(&[&three]));
    answered_by(&gateway, ["three"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    // A list is no edit of the routing file.
    assert_eq!(gateway.ready().await.generation, generation);
}

#[tokio::test]
async fn a_bad_list_keeps_the_servers_and_says_where_it_is_wrong() {
    let (one, two) = (server("one").await, server("two").await);
    let list = Listed::new(&listed(&[&one]));
    let gateway = Gateway::start(&list.routing()).await;
    answered_by(&gateway, ["one"]).await;
    list.write("- 127.0.0.1:80\n- b\n");
    let first = in_trouble(&gateway, "servers.yaml:2:3: `b` has no port").await;
    assert!(
        first["failing_since"].is_string() && first["found"] == 1,
        "{first}"
    );
    gateway
        .process
        .logged("servers.yaml:2:3: `b` has no port")
        .await;
    for (bad, part) in [
        ("[]", "names no server"),
        ("- ${HOME}:80\n", ":1:3: "),
        ("[ \"127.0.0.1:80\"", "cannot be used"),
    ] {
        list.write(bad);
        let trouble = in_trouble(&gateway, part).await;
        assert_eq!(trouble["failing_since"], first["failing_since"], "{bad}");
        answered_by(&gateway, ["one"]).await;
    }
    std::fs::remove_file(list.path()).unwrap();
    in_trouble(&gateway, "cannot be read").await;
    // An edit of the routing file in the middle of it is taken, and drops nobody.
    gateway
        .reload(&(list.routing() + "timeouts: { read: 7s }\n"))
        .await;
    let still = in_trouble(&gateway, "cannot be read").await;
    assert_eq!(still["failing_since"], first["failing_since"]);
    answered_by(&gateway, ["one"]).await;
    list.write(&listed(&[&two]));
    answered_by(&gateway, ["two"]).await;
    well(&gateway).await;
}

/// A mounted `ConfigMap`: the name is a link through a folder that is a link itself, and that one is swapped.
#[tokio::test]
async fn a_list_behind_links_is_seen_when_they_are_swapped() {
    let (one, two) = (server("one").await, server("two").await);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, server) in [("v1", &one), ("v2", &two)] {
        std::fs::create_dir(at(version)).unwrap();
        std::fs::write(at(version).join("servers.yaml"), listed(&[server])).unwrap();
    }
    std::os::unix::fs::symlink("v1", at("..data")).unwrap();
    std::os::unix::fs::symlink("..data/servers.yaml", at("servers.yaml")).unwrap();
    let path = at("servers.yaml").display().to_string();
    let gateway = Gateway::start(&crate::routing(&format!("file: {{ path: \"{path}\" }}"))).await;
    answered_by(&gateway, ["one"]).await;
    std::os::unix::fs::symlink("v2", at("..new")).unwrap();
    std::fs::rename(at("..new"), at("..data")).unwrap();
    answered_by(&gateway, ["two"]).await;
}

#[tokio::test]
async fn a_list_that_is_not_there_yet_is_a_warning_and_is_taken_in_when_it_comes() {
    let one = server("one").await;
    let list = Listed::new("");
    std::fs::remove_file(list.path()).unwrap();
    let gateway = Gateway::start(&list.routing()).await;
    let said = gateway.ask(&["check"]).await;
    assert!(
        said.code == Some(0) && said.err.contains("W0504"),
        "{said:?}"
    );
    let answer = gateway.get("/").await;
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], "no_servers");
    list.write(&listed(&[&one]));
    eventually("it works", PATIENCE, async || {
        gateway.get("/").await.status() == 200
    })
    .await;
    let said = gateway.ask(&["check"]).await;
    assert!(
        said.code == Some(0) && !said.err.contains("W0504"),
        "{said:?}"
    );
}

#[tokio::test]
async fn what_is_under_way_ends_as_it_would_and_who_returns_is_known_again() {
    let held = Patient::held().await;
    let other = server("other").await;
    let both = format!("- {}\n{}", held.address(), listed(&[&other]));
    let list = Listed::new(&format!("- {}\n", held.address()));
    let gateway = Gateway::start(&list.routing()).await;
    let under_way = tokio::spawn(client().get(gateway.url(HEALTH)).send());
    let request = held.probe().await;
    list.write(&both);
    answered(&gateway, 2).await;
    let order = format!("/upstreams/api/servers/{}?state=drain", held.address());
    let (status, said) = gateway.tell(&order, "").await;
    assert_eq!(status, 200, "{said}");
    list.write(&listed(&[&other]));
    answered(&gateway, 1).await;
    request.answer(200);
    assert_eq!(under_way.await.unwrap().unwrap().status(), 200);
    // Back, and still draining as the operator wants it.
    list.write(&both);
    answered(&gateway, 2).await;
    let servers = gateway.operator("/upstreams").await[0]["servers"].clone();
    let servers = servers.as_array().unwrap();
    let back = servers
        .iter()
        .find(|one| one["address"] == held.address().to_string());
    assert_eq!(back.unwrap()["state"], "draining", "{servers:?}");
    answered_by(&gateway, ["other"]).await;
}

/// Waits until the upstream has so many servers.
async fn answered(gateway: &Gateway, count: usize) {
    eventually(&format!("{count} servers"), PATIENCE, async || {
        let servers = gateway.operator("/upstreams").await[0]["servers"].clone();
        servers.as_array().unwrap().len() == count
    })
    .await;
}

/// Whoever named it last, however it came.
#[tokio::test]
async fn who_comes_and_leaves_is_told_with_who_names_it() {
    let (one, two) = (server("one").await, server("two").await);
    let list = Listed::new(&listed(&[&one, &two]));
    let fixed = format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\nroutes: {{ all: {{ upstream: api }} }}\n",
        one.address()
    );
    let gateway = Gateway::start(&fixed).await;
    answered_by(&gateway, ["one"]).await;
    gateway.reload(&list.routing()).await;
    answered_by(&gateway, ["one", "two"]).await;
    list.write(&listed(&[&two]));
    answered_by(&gateway, ["two"]).await;
    gateway.reload(&fixed).await;
    answered_by(&gateway, ["one"]).await;
    let events = gateway.operator("/upstreams").await[0]["events"].clone();
    let told = |server: &Origin| -> Vec<(String, String)> {
        let address = server.address().to_string();
        let own = events.as_array().unwrap().iter();
        let own = own.filter(|event| event["server"] == address);
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        own.map(|event| (text(event, "what"), text(event, "reason")))
            .filter(|(what, _)| what == "came" || what == "left")
            .collect()
    };
    let by = |what: &str, by: &str| (what.to_owned(), by.to_owned());
    let the_list = format!("by file `{}`", list.path().display());
    assert_eq!(
        told(&one),
        [
            by("came", "by the file"),
            by("left", &the_list),
            by("came", "by the file")
        ]
    );
    // The file does not ask the list any more.
    assert_eq!(
        told(&two),
        [by("came", &the_list), by("left", "by the file")]
    );
}
