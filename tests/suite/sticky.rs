//! `balance` by key and by cookie: who comes back to the same server.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::header::{COOKIE, SET_COOKIE};
use tidegate_tests::{Api, Gateway, Origin, PATIENCE, client, eventually};

const SECRET: &str = "correct horse battery staple";

fn routing(apis: &[&Api], balance: &str) -> String {
    let servers: Vec<String> = apis
        .iter()
        .map(|api| format!("\"{}\"", api.address()))
        .collect();
    format!(
        "upstreams: {{ api: {{ servers: [ {} ], balance: {balance} }} }}\nroutes: {{ all: {{ upstream: api }} }}\n",
        servers.join(", ")
    )
}

fn sticky(more: &str) -> String {
    format!("{{ sticky: {{ cookie: shop, secret: \"{SECRET}\"{more} }} }}")
}

async fn three() -> [Api; 3] {
    [
        Api::start("one").await,
        Api::start("two").await,
        Api::start("three").await,
    ]
}

/// Who answers, and the cookie that comes with it.
async fn ask(gateway: &Gateway, path: &str, fields: &[(&str, &str)]) -> (String, Option<String>) {
    let mut request = client().get(gateway.url(path));
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let cookie = answer.headers().get(SET_COOKIE);
    let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
    let name = answer.headers()["x-instance"].to_str().unwrap().to_owned();
    (name, cookie)
}

async fn ask_with(gateway: &Gateway, cookie: &str) -> (String, Option<String>) {
    ask(gateway, "/api/hello", &[(COOKIE.as_str(), cookie)]).await
}

/// A new client: its server, and what it sends from now on.
async fn arrive(gateway: &Gateway) -> (String, String) {
    let (name, cookie) = ask(gateway, "/api/hello", &[]).await;
    (name, pair(&cookie.expect("a cookie")))
}

fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

/// The servers of forty users.
async fn users(gateway: &Gateway) -> BTreeMap<String, String> {
    let mut servers = BTreeMap::new();
    for user in 0..40 {
        let user = format!("user-{user}");
        let (name, _) = ask(gateway, "/api/hello", &[("x-user", &user)]).await;
        servers.insert(user, name);
    }
    servers
}

#[tokio::test]
async fn a_user_stays_when_another_server_leaves() {
    let apis = three().await;
    for (policy, strays) in [("ring_hash", 0), ("maglev", 2)] {
        let balance = format!("{{ {policy}: {{ key: {{ header: X-User }} }} }}");
        let all = routing(&[&apis[0], &apis[1], &apis[2]], &balance);
        let gateway = Gateway::start(&all).await;
        let before = users(&gateway).await;
        let names: BTreeSet<&String> = before.values().collect();
        assert_eq!(names.len(), 3, "{policy}: {before:?}");
        gateway
            .reload(&routing(&[&apis[1], &apis[0]], &balance))
            .await;
        let after = users(&gateway).await;
        let strayed = before
            .iter()
            .filter(|(user, name)| *name != "three" && after[*user] != **name);
        assert!(strayed.count() <= strays, "{policy}: {before:?} {after:?}");
        gateway.reload(&all).await;
        assert_eq!(users(&gateway).await, before, "{policy}");
    }
}

#[tokio::test]
async fn a_user_whose_server_dies_is_answered_by_another() {
    let mut apis = three().await;
    let balance = "{ ring_hash: { key: { header: X-User } } }";
    let gateway = Gateway::start(&routing(&[&apis[0], &apis[1], &apis[2]], balance)).await;
    let before = users(&gateway).await;
    apis[1].kill();
    let after = users(&gateway).await;
    for (user, name) in &before {
        assert_ne!(after[user], "two");
        assert!(name == "two" || after[user] == *name, "{user}");
    }
}

#[tokio::test]
async fn every_kind_of_key_decides() {
    let apis = three().await;
    let all = [&apis[0], &apis[1], &apis[2]];
    let gateway = Gateway::start(&routing(&all, "{ maglev: { key: client } }")).await;
    let mut seen = BTreeSet::new();
    for number in 0..12 {
        let (path, cookie) = (format!("/api/hello?user={number}"), format!("u={number}"));
        seen.insert(ask(&gateway, &path, &[("cookie", &cookie)]).await.0);
    }
    assert_eq!(seen.len(), 1, "one client has one server");
    for key in ["{ cookie: u }", "{ query: user }"] {
        let balance = format!("{{ maglev: {{ key: {key} }} }}");
        gateway.reload(&routing(&all, &balance)).await;
        let mut seen = BTreeSet::new();
        for number in 0..40 {
            let (path, cookie) = (format!("/api/hello?user={number}"), format!("u={number}"));
            let mut of_this = BTreeSet::new();
            for _ in 0..3 {
                of_this.insert(ask(&gateway, &path, &[("cookie", &cookie)]).await.0);
            }
            assert_eq!(of_this.len(), 1, "{key}");
            seen.extend(of_this);
        }
        assert_eq!(seen.len(), 3, "{key}");
    }
    gateway
        .reload(&routing(&all, "{ maglev: { key: path } }"))
        .await;
    for path in ["/api/hello", "/api/whoami"] {
        let mut of_this = BTreeSet::new();
        for number in 0..5 {
            let path = format!("{path}?{number}");
            of_this.insert(ask(&gateway, &path, &[]).await.0);
        }
        assert_eq!(of_this.len(), 1, "{path}");
    }
}

#[tokio::test]
async fn another_table_and_other_points_spread_users_otherwise() {
    let apis = three().await;
    let all = [&apis[0], &apis[1], &apis[2]];
    let of = |options: &str| {
        let balance = options.replace("KEY", "key: { header: X-User }");
        routing(&all, &format!("{{ {balance} }}"))
    };
    let gateway = Gateway::start(&of("ring_hash: { KEY, replicas: 1000 }")).await;
    let mut spread = vec![users(&gateway).await];
    for options in [
        "ring_hash: { KEY, replicas: 20 }",
        "maglev: { KEY, table_size: 101 }",
        "maglev: { KEY, table_size: 65537 }",
    ] {
        gateway.reload(&of(options)).await;
        spread.push(users(&gateway).await);
    }
    assert!(
        spread[0] != spread[1] && spread[2] != spread[3],
        "{spread:?}"
    );
}

/// Four requests of one user, none of which is answered.
#[tokio::test]
async fn a_hot_key_is_shared_where_loads_are_bounded() {
    for policy in ["ring_hash", "maglev"] {
        for (bound, expected) in [("", [0, 4]), (", bounded_load: 100%", [2, 2])] {
            let origins = [Origin::hanging().await, Origin::hanging().await];
            let gateway = Gateway::start(&format!(
                "upstreams: {{ api: {{ servers: [ \"{}\", \"{}\" ], balance: {{ {policy}: {{ key: {{ header: X-User }}{bound} }} }} }} }}\n\
                 routes: {{ all: {{ upstream: api }} }}\n",
                origins[0].address(),
                origins[1].address()
            ))
            .await;
            let mut waiting = Vec::new();
            for count in 1..=4 {
                let request = client().get(gateway.url("/")).header("x-user", "anna");
                waiting.push(tokio::spawn(request.send()));
                eventually("it is under way", PATIENCE, async || {
                    origins.iter().map(Origin::open).sum::<usize>() == count
                })
                .await;
            }
            let mut open = origins.each_ref().map(Origin::open);
            open.sort_unstable();
            assert_eq!(open, expected, "{policy}{bound}");
            waiting.iter().for_each(|request| request.abort());
        }
    }
}

#[tokio::test]
async fn a_cookie_holds_over_reload_restart_and_another_proxy() {
    let apis = three().await;
    let all = [&apis[0], &apis[1], &apis[2]];
    let mut gateway = Gateway::start(&routing(&all, &sticky(""))).await;
    let mut clients = Vec::new();
    for _ in 0..6 {
        clients.push(arrive(&gateway).await);
    }
    let names: BTreeSet<&String> = clients.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), 3, "{clients:?}");
    for (_, cookie) in &clients {
        assert!(
            !apis
                .iter()
                .any(|api| cookie.contains(&api.address().port().to_string()))
        );
    }
    let stay = async |gateway: &Gateway| {
        for (name, cookie) in &clients {
            let sent = format!("a=b; {cookie}");
            let answer = ask_with(gateway, &sent).await;
            assert_eq!(answer, (name.clone(), None));
        }
    };
    stay(&gateway).await;
    let turned = [&apis[2], &apis[0], &apis[1]];
    gateway
        .reload(&routing(&turned, &sticky(", max_age: 1h")))
        .await;
    stay(&gateway).await;
    gateway.restart_with(|_| ()).await;
    stay(&gateway).await;
    stay(&Gateway::start(&routing(&turned, &sticky(""))).await).await;
}

#[tokio::test]
async fn a_client_whose_server_is_down_moves_on_and_stays_there() {
    let mut apis = three().await;
    let gateway = Gateway::start(&routing(&[&apis[0], &apis[1], &apis[2]], &sticky(""))).await;
    let (first, cookie) = arrive(&gateway).await;
    let down = apis.iter().position(|api| api.name() == first).unwrap();
    apis[down].kill();
    let (second, moved) = ask_with(&gateway, &cookie).await;
    assert_ne!(second, first);
    let moved = pair(&moved.expect("a new cookie"));
    apis[down].restart().await;
    assert_eq!(ask_with(&gateway, &moved).await, (second, None));
    // It was not told to forget the first one.
    assert_eq!(ask_with(&gateway, &cookie).await, (first, None));
}

#[tokio::test]
async fn a_cookie_of_another_secret_or_forged_counts_as_none() {
    let apis = three().await;
    let all = [&apis[0], &apis[1], &apis[2]];
    let gateway = Gateway::start(&routing(&all, &sticky(""))).await;
    let (_, cookie) = arrive(&gateway).await;
    let mut forged = cookie.clone();
    let last = if forged.ends_with('E') { "M" } else { "E" };
    forged.replace_range(forged.len() - 1.., last);
    let mut seen = BTreeSet::new();
    for sent in [forged.as_str(), "shop=", "shop=one", "shop=\"127.0.0.1\""]
        .iter()
        .cycle()
        .take(12)
    {
        let (name, new) = ask_with(&gateway, sent).await;
        assert!(new.is_some(), "{sent}");
        seen.insert(name);
    }
    assert_eq!(seen.len(), 3, "they are new to it");
    let other = sticky("").replace(SECRET, "another one of that length");
    gateway.reload(&routing(&all, &other)).await;
    let (_, new) = ask_with(&gateway, &cookie).await;
    assert_ne!(pair(&new.expect("a new cookie")), cookie);
}

#[tokio::test]
async fn a_cookie_has_the_attributes_of_the_file() {
    let api = Api::start("one").await;
    let gateway = Gateway::start(&routing(&[&api], &sticky(""))).await;
    let attributes = async || {
        let (_, cookie) = ask(&gateway, "/api/hello", &[]).await;
        let cookie = cookie.unwrap();
        cookie.split_once("; ").unwrap().1.to_owned()
    };
    assert_eq!(attributes().await, "Path=/; HttpOnly; SameSite=Lax");
    let more = ", max_age: 90s, path: /api, secure: true, http_only: false, same_site: strict";
    gateway.reload(&routing(&[&api], &sticky(more))).await;
    assert_eq!(
        attributes().await,
        "Path=/api; Max-Age=90; Secure; SameSite=Strict"
    );
}

#[tokio::test]
async fn who_has_no_cookie_is_given_a_server_by_the_policy_within() {
    let apis = three().await;
    let all = [&apis[0], &apis[1], &apis[2]];
    let within = sticky(", balance: { ring_hash: { key: { header: X-User } } }");
    let gateway = Gateway::start(&routing(&all, &within)).await;
    assert_eq!(users(&gateway).await, users(&gateway).await);
    gateway.reload(&routing(&all, &sticky(""))).await;
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        seen.insert(arrive(&gateway).await.0);
    }
    assert_eq!(seen.len(), 3, "in turn");
}
