//! Places: with servers, for connections, for tunnels; and that none is lost.

use tidegate_tests::{Api, Gateway, Origin, PATIENCE, client, eventually, websocket};

use crate::{Holder, LONG, ask, is_ok, is_told, quiet, routing, state, waiting};

#[tokio::test]
async fn a_server_that_is_full_is_passed_over_by_every_policy() {
    let policies = [
        "round_robin",
        "random",
        "least_request",
        "peak_ewma",
        "{ ring_hash: { key: path } }",
        "{ maglev: { key: path } }",
        "{ sticky: { cookie: c, secret: 0123456789abcdef } }",
    ];
    for policy in policies {
        let servers = [Holder::start().await, Holder::start().await];
        let limits = format!("{{ server: {{ requests: 2 }}, queue: {LONG} }}");
        let all = [&servers[0], &servers[1]];
        let balance = format!("balance: {policy}");
        let gateway = Gateway::start(&routing(&all, &limits, &balance)).await;
        let mut clients: Vec<_> = (0..4).map(|_| ask(&gateway, "/same")).collect();
        let mut held = Vec::new();
        for server in &servers {
            held.push([server.next().await, server.next().await]);
        }
        clients.push(ask(&gateway, "/same"));
        waiting(&gateway, 1).await;
        // Wherever there is a place first.
        let [one, other] = held.pop().unwrap();
        one.go();
        servers[1].next().await.go();
        other.go();
        drop(held);
        for client in clients {
            is_ok(client).await;
        }
        assert_eq!((servers[0].most(), servers[1].most()), (2, 2), "{policy}");
        quiet(&gateway).await;
    }
}

#[tokio::test]
async fn a_client_that_a_cookie_keeps_waits_for_its_server() {
    let servers = [Holder::start().await, Holder::start().await];
    let limits = format!("{{ server: {{ requests: 1 }}, queue: {LONG} }}");
    let all = [&servers[0], &servers[1]];
    let sticky = "balance: { sticky: { cookie: c, secret: 0123456789abcdef } }";
    let gateway = Gateway::start(&routing(&all, &limits, sticky)).await;
    let first = ask(&gateway, "/");
    let its = tokio::select! {
        held = servers[0].next() => { held.go(); 0 }
        held = servers[1].next() => { held.go(); 1 }
    };
    let answer = first.await.unwrap();
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let kept = |path: &str| {
        let request = client().get(gateway.url(path));
        let request = request.header("Cookie", cookie.split(';').next().unwrap());
        let request = request.timeout(2 * PATIENCE);
        tokio::spawn(async move { request.send().await.unwrap() })
    };
    let (busy, held) = (kept("/busy"), servers[its].next().await);
    let waits = kept("/waits");
    waiting(&gateway, 1).await;
    // Nobody who may go elsewhere stands behind it.
    let other = ask(&gateway, "/other");
    assert_eq!(servers[1 - its].next().await.go(), "/other");
    waiting(&gateway, 1).await;
    held.go();
    assert_eq!(servers[its].next().await.go(), "/waits");
    for client in [busy, waits, other] {
        is_ok(client).await;
    }
}

#[tokio::test]
async fn another_attempt_needs_no_second_place() {
    let dying = Origin::resetting().await;
    let server = Holder::start().await;
    let file = format!(
        "upstreams: {{ a: {{ servers: [ '{}', '{}' ], limits: {{ requests: 1, server: {{ requests: 1 }} }} }} }}\n\
         routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: a }} }}\n",
        dying.address(),
        server.origin.address()
    );
    let gateway = Gateway::start(&file).await;
    for _ in 0..4 {
        let client = ask(&gateway, "/");
        server.next().await.go();
        is_ok(client).await;
        quiet(&gateway).await;
    }
    assert!(dying.accepted() >= 1);
}

#[tokio::test]
async fn there_are_never_more_connections_than_the_limit() {
    let servers = [Holder::start().await, Holder::start().await];
    let all = [&servers[0], &servers[1]];
    let limits = format!("{{ connections: 5, server: {{ connections: 3 }}, queue: {LONG} }}");
    let gateway = Gateway::start(&routing(&all, &limits, "")).await;
    for _ in 0..3 {
        let clients: Vec<_> = (0..20).map(|_| ask(&gateway, "/")).collect();
        // Each of them is in use: the server has accepted no other.
        waiting(&gateway, 15).await;
        let open = || servers[0].origin.open() + servers[1].origin.open();
        eventually("five are open", PATIENCE, async || open() == 5).await;
        assert!(servers.iter().all(|server| server.origin.open() <= 3));
        for _ in 0..20 {
            tokio::select! {
                held = servers[0].next() => held.go(),
                held = servers[1].next() => held.go(),
            };
            let state = state(&gateway).await;
            assert!(
                state["limits"]["connections"].as_u64() <= Some(5),
                "{state}"
            );
            for server in state["servers"].as_array().unwrap() {
                assert!(
                    server["limits"]["connections"].as_u64() <= Some(3),
                    "{state}"
                );
            }
        }
        for client in clients {
            is_ok(client).await;
        }
        quiet(&gateway).await;
    }
    // What waits for its next request counts, too, and an edit closes what is too much.
    let limits = "{ connections: 2, server: { connections: 1 } }";
    gateway.reload(&routing(&all, limits, "")).await;
    eventually("two are open at most", PATIENCE, async || {
        servers.iter().all(|server| server.origin.open() <= 1)
    })
    .await;
    let open = servers[0].origin.open() + servers[1].origin.open();
    assert_eq!(state(&gateway).await["limits"]["connections"], open);
}

/// They lie in a pool that is shared with others and counted by nobody.
#[tokio::test]
async fn connections_from_before_the_limit_are_closed_with_the_edit() {
    let server = Holder::start().await;
    let gateway = Gateway::start(&routing(&[&server], "{}", "")).await;
    let clients: Vec<_> = (0..6).map(|_| ask(&gateway, "/")).collect();
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(server.next().await);
    }
    for request in held {
        request.go();
    }
    for client in clients {
        is_ok(client).await;
    }
    assert_eq!(server.origin.open(), 6);
    let limits = "{ connections: 1, queue: {} }";
    gateway.reload(&routing(&[&server], limits, "")).await;
    eventually("none is left", PATIENCE, async || server.origin.open() == 0).await;
}

#[tokio::test]
async fn a_tunnel_holds_its_place_and_its_connection() {
    let api = Api::start("1").await;
    for limits in [
        "requests: 1",
        "connections: 1",
        "server: { requests: 1 }",
        "server: { connections: 1 }",
    ] {
        let file = format!(
            "upstreams: {{ a: {{ servers: [ '{}' ], limits: {{ {limits} }} }} }}\n\
             routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: a }} }}\n",
            api.address()
        );
        let gateway = Gateway::start(&file).await;
        let socket = websocket(&gateway).await;
        is_told(gateway.get("/api/hello").await, "overloaded").await;
        drop(socket);
        eventually("the place is free", PATIENCE, async || {
            gateway.get("/api/hello").await.status() == 200
        })
        .await;
        quiet(&gateway).await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_storm() {
    let servers = [Holder::start().await, Holder::start().await];
    let all = [&servers[0], &servers[1]];
    let limits = "{ requests: 5, connections: 4, server: { requests: 3 }, queue: { length: 10, timeout: 100ms } }";
    let gateway = Gateway::start(&routing(&all, limits, "")).await;
    let clients: Vec<_> = (0..200)
        .map(|number| {
            let answer = ask(&gateway, "/");
            if number % 5 == 0 {
                answer.abort();
            }
            answer
        })
        .collect();
    for mut client in clients {
        let answer = loop {
            tokio::select! {
                answer = &mut client => break answer,
                held = servers[0].next() => held.go(),
                held = servers[1].next() => held.go(),
            };
        };
        // Some have left.
        if let Ok(answer) = answer {
            assert!(matches!(answer.status().as_u16(), 200 | 503));
        }
    }
    quiet(&gateway).await;
    assert!(servers.iter().all(Holder::is_idle));
    // All places are there.
    let clients: Vec<_> = (0..4).map(|_| ask(&gateway, "/")).collect();
    for _ in 0..4 {
        tokio::select! {
            held = servers[0].next() => held.go(),
            held = servers[1].next() => held.go(),
        };
    }
    for client in clients {
        is_ok(client).await;
    }
}
