//! The limit that is found out from latency.

use std::sync::Arc;
use std::time::Duration;

use tidegate_tests::{Api, Gateway, Origin, client, eventually, websocket};
use tokio::sync::Semaphore;

use crate::{Holder, LONG, ask, is_ok, quiet, started, state, waiting};

/// Works on so many requests at once, 20 ms each; the others wait their turn within it.
async fn busy(workers: Arc<Semaphore>) -> Origin {
    Origin::start(move |mut connection| {
        let workers = Arc::clone(&workers);
        async move {
            while connection.read_head().await.is_some() {
                let worker = workers.acquire().await.unwrap();
                tokio::time::sleep(Duration::from_millis(20)).await;
                drop(worker);
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                if !connection.write(answer).await {
                    return;
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_limit_that_is_found_out_follows_what_the_server_can_do() {
    const DEADLINE: Duration = Duration::from_secs(120);
    let workers = Arc::new(Semaphore::new(2));
    let server = busy(Arc::clone(&workers)).await;
    let file = format!(
        "upstreams: {{ a: {{ servers: [ '{}' ], limits: {{ adaptive: {{ min: 2, max: 50 }}, queue: {LONG} }} }} }}\n\
         routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: a }} }}\n",
        server.address()
    );
    let gateway = Gateway::start(&file).await;
    let most = async || state(&gateway).await["limits"]["requests_max"].as_u64();
    assert_eq!(most().await, Some(20));
    let url = gateway.url("/");
    let load: Vec<_> = (0..60)
        .map(|_| {
            let request = client().get(&url);
            tokio::spawn(async move {
                while let Some(request) = request.try_clone() {
                    let answer = request.send().await;
                    assert_eq!(answer.unwrap().status(), 200);
                }
            })
        })
        .collect();
    eventually("few are let through", DEADLINE, async || {
        most().await.filter(|most| *most <= 8).ok_or(most().await)
    })
    .await;
    workers.add_permits(100);
    eventually("more are let through", DEADLINE, async || {
        most().await.filter(|most| *most >= 20).ok_or(most().await)
    })
    .await;
    for client in load {
        assert!(!client.is_finished());
        client.abort();
    }
    quiet(&gateway).await;
}

#[tokio::test]
async fn a_limit_that_is_found_out_stays_within_its_bounds() {
    let server = Holder::start().await;
    for (bounds, most) in [("{ min: 30 }", 30), ("{ max: 2 }", 2)] {
        let limits = format!("{{ adaptive: {bounds}, queue: {LONG} }}");
        let gateway = started(&[&server], &limits).await;
        let clients: Vec<_> = (0..35).map(|_| ask(&gateway, "/")).collect();
        waiting(&gateway, 35 - most).await;
        assert_eq!(state(&gateway).await["limits"]["requests_max"], most);
        for _ in 0..35 {
            server.next().await.go();
        }
        for client in clients {
            is_ok(client).await;
        }
    }
}

/// More of them than the limit is at first, and than it becomes.
#[tokio::test]
async fn tunnels_do_not_use_it_up() {
    let api = Api::start("1").await;
    let file = format!(
        "upstreams: {{ a: {{ servers: [ '{}' ], limits: {{ adaptive: {{ max: 30 }} }} }} }}\n\
         routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: a }} }}\n",
        api.address()
    );
    let gateway = Gateway::start(&file).await;
    let mut tunnels = Vec::new();
    for _ in 0..60 {
        tunnels.push(websocket(&gateway).await);
    }
    for _ in 0..200 {
        assert_eq!(gateway.get("/api/hello").await.status(), 200);
    }
    let limits = &state(&gateway).await["limits"];
    assert_eq!(
        (&limits["requests"], &limits["awaiting"]),
        (&60.into(), &0.into())
    );
}
