//! A request that waits is sent to a second server, and the first answer is taken.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use http::Method;
use tidegate_tests::{Connection, Gateway, Load, Origin, PATIENCE, client, eventually};
use tokio::sync::{Notify, Semaphore};

use crate::{Counting, End, OK, assert_failure, both_clients, requests, routing};

const SOON: &str = "hedge: { after: 20ms }";

const FAILED: &[u8] = b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";

/// What the first server does once the second one has the request, and what the second one does then.
#[derive(Default)]
struct Stage {
    first_has_it: Notify,
    second_has_it: Notify,
    first_is_done: Notify,
    second_is_done: Notify,
}

/// Two servers, of which the one that is asked first is `first`.
async fn pair<A, B, FA, FB>(stage: &Arc<Stage>, first: A, second: B) -> [Origin; 2]
where
    A: Fn(Connection, Arc<Stage>) -> FA + Clone + Send + 'static,
    B: Fn(Connection, Arc<Stage>) -> FB + Clone + Send + 'static,
    FA: Future<Output = ()> + Send + 'static,
    FB: Future<Output = ()> + Send + 'static,
{
    let is_asked = Arc::new(Mutex::new(false));
    let start = async || {
        let (stage, is_asked) = (Arc::clone(stage), Arc::clone(&is_asked));
        let (first, second) = (first.clone(), second.clone());
        Origin::start(move |mut connection| {
            let (stage, is_asked) = (Arc::clone(&stage), Arc::clone(&is_asked));
            let (first, second) = (first.clone(), second.clone());
            async move {
                if connection.read_head().await.is_none() {
                    return;
                }
                let is_first = !std::mem::replace(&mut *is_asked.lock().unwrap(), true);
                if is_first {
                    stage.first_has_it.notify_one();
                    first(connection, stage).await;
                } else {
                    stage.second_has_it.notify_one();
                    second(connection, stage).await;
                }
            }
        })
        .await
    };
    [start().await, start().await]
}

async fn gateway(servers: &[Origin], options: &[&str]) -> Gateway {
    let addresses: Vec<_> = servers.iter().map(Origin::address).collect();
    Gateway::start(&routing(&addresses, options)).await
}

#[tokio::test]
async fn who_answers_first_is_heard_and_the_other_one_is_hung_up_on() {
    for (version, client) in both_clients() {
        let stage = Arc::new(Stage::default());
        let hangs = |mut connection: Connection, stage: Arc<Stage>| async move {
            connection.read_until_closed().await;
            stage.first_is_done.notify_one();
        };
        let answers = |mut connection: Connection, _| async move {
            connection.write(OK).await;
            connection.read_until_closed().await;
        };
        let servers = pair(&stage, hangs, answers).await;
        let gateway = gateway(&servers, &[SOON, "timeouts: { read: 1h }"]).await;
        let answer = client.get(gateway.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{version}");
        assert_eq!(answer.text().await.unwrap(), "ok");
        tokio::time::timeout(PATIENCE, stage.first_is_done.notified())
            .await
            .expect("nobody waits for the first one any more");
        let requests = requests(&gateway).await;
        assert_eq!(requests["hedges"], 1, "{requests}");
        assert_eq!(requests["hedges_won"], 1, "{requests}");
        assert_eq!(requests["retries"], 0, "{requests}");
        assert_eq!(gateway.log_line("/").await["attempts"], 2);
        let idle = async || {
            let upstream = gateway.operator("/upstreams").await[0].clone();
            let servers = upstream["servers"].as_array().unwrap().clone();
            servers.iter().all(|server| server["in_flight"] == 0)
        };
        eventually("nothing is in flight", PATIENCE, idle).await;
    }
}

#[tokio::test]
async fn the_first_server_wins_if_it_answers_after_all() {
    let stage = Arc::new(Stage::default());
    let answers_late = |mut connection: Connection, stage: Arc<Stage>| async move {
        stage.second_has_it.notified().await;
        connection.write(OK).await;
        connection.read_until_closed().await;
    };
    let hangs = |mut connection: Connection, stage: Arc<Stage>| async move {
        connection.read_until_closed().await;
        stage.second_is_done.notify_one();
    };
    let servers = pair(&stage, answers_late, hangs).await;
    let gateway = gateway(&servers, &[SOON]).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    tokio::time::timeout(PATIENCE, stage.second_is_done.notified())
        .await
        .expect("nobody waits for the second one");
    let requests = requests(&gateway).await;
    assert_eq!(
        (&requests["hedges"], &requests["hedges_won"]),
        (&1.into(), &0.into())
    );
}

/// What the second server says does not end the wait for the first one, whose answer is heard.
async fn first_is_heard<F>(second: impl Fn(Connection, Arc<Stage>) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let stage = Arc::new(Stage::default());
    let answers_late = |mut connection: Connection, stage: Arc<Stage>| async move {
        stage.second_is_done.notified().await;
        connection.write(OK).await;
        connection.read_until_closed().await;
    };
    let servers = pair(&stage, answers_late, second).await;
    let gateway = gateway(&servers, &[SOON]).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    let requests = requests(&gateway).await;
    assert_eq!(
        (&requests["hedges"], &requests["hedges_won"]),
        (&1.into(), &0.into())
    );
}

#[tokio::test]
async fn a_second_server_that_fails_does_not_win() {
    first_is_heard(|connection, stage| async move {
        connection.reset();
        stage.second_is_done.notify_one();
    })
    .await;
    let whole = vec![FAILED];
    let in_two = vec![&FAILED[..9], &FAILED[9..]];
    let no_http = vec![&b"SSH-2.0-x\r\n"[..]];
    for pieces in [whole, in_two, no_http] {
        first_is_heard(move |mut connection, stage| {
            let pieces = pieces.clone();
            async move {
                for piece in pieces {
                    connection.write(piece).await;
                }
                // It is hung up on at once.
                connection.read_until_closed().await;
                stage.second_is_done.notify_one();
            }
        })
        .await;
    }
}

/// As for a server that is asked alone: some failures are the request's.
#[tokio::test]
async fn a_second_server_that_fails_is_put_out_for_it_unless_it_does_not_know_what_is_asked() {
    for (status, out) in [(500, 1), (501, 0), (505, 0)] {
        let stage = Arc::new(Stage::default());
        let answers_late = |mut connection: Connection, stage: Arc<Stage>| async move {
            stage.second_is_done.notified().await;
            connection.write(OK).await;
            connection.read_until_closed().await;
        };
        let fails = move |mut connection: Connection, stage: Arc<Stage>| async move {
            let head = format!("HTTP/1.1 {status} Oops\r\nContent-Length: 0\r\n\r\n");
            connection.write(head.as_bytes()).await;
            connection.read_until_closed().await;
            stage.second_is_done.notify_one();
        };
        let servers = pair(&stage, answers_late, fails).await;
        let ejection = "outlier_ejection: { consecutive_failures: 1, max_ejected: 50% }";
        let gateway = gateway(&servers, &[SOON, ejection]).await;
        assert_eq!(gateway.get("/").await.status(), 200);
        let upstream = gateway.operator("/upstreams").await[0].clone();
        let servers = upstream["servers"].as_array().unwrap();
        let ejected = servers.iter().filter(|one| !one["ejected"].is_null());
        assert_eq!(ejected.count(), out, "{status}: {upstream}");
    }
}

#[tokio::test]
async fn an_interim_answer_of_the_second_server_is_none() {
    first_is_heard(|mut connection, stage| async move {
        connection.write(b"HTTP/1.1 103 Early Hints\r\n\r\n").await;
        stage.second_is_done.notify_one();
        connection.read_until_closed().await;
    })
    .await;
}

/// A client that a cookie keeps with its server is not moved because that was slow once.
#[tokio::test]
async fn a_client_that_is_kept_with_its_server_waits_for_it() {
    let slow = Arc::new(Semaphore::new(0));
    let start = async || {
        let slow = Arc::clone(&slow);
        Origin::start(move |mut connection| {
            let slow = Arc::clone(&slow);
            async move {
                while let Some(head) = connection.read_head().await {
                    if head.starts_with("GET /slow") {
                        let _ = slow.acquire().await.unwrap();
                    }
                    connection.write(OK).await;
                }
            }
        })
        .await
    };
    let servers = [start().await, start().await];
    let sticky =
        "balance: { sticky: { cookie: home, secret: \"0123456789abcdef0123456789abcdef\" } }";
    let gateway = gateway(&servers, &[SOON, sticky]).await;
    let answer = gateway.get("/").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let ask = async || {
        let request = client().get(gateway.url("/slow")).header("Cookie", &cookie);
        request.send().await.unwrap()
    };
    let under_way = async || {
        let waits = async || requests(&gateway).await["under_way"] == 1;
        eventually("the request is with its server", PATIENCE, waits).await;
        // Well behind the delay of a hedge.
        for _ in 0..20 {
            assert_eq!(gateway.get("/").await.status(), 200);
        }
        slow.add_permits(1);
    };
    let (answer, ()) = tokio::join!(ask(), under_way());
    assert_eq!(answer.status(), 200);
    assert!(answer.headers().get("set-cookie").is_none());
    assert_eq!(requests(&gateway).await["hedges"], 0);
}

#[tokio::test]
async fn the_second_server_saves_a_request_whose_first_one_hangs_up() {
    let stage = Arc::new(Stage::default());
    let resets = |connection: Connection, stage: Arc<Stage>| async move {
        stage.second_has_it.notified().await;
        connection.reset();
        stage.first_is_done.notify_one();
    };
    let answers_late = |mut connection: Connection, stage: Arc<Stage>| async move {
        stage.first_is_done.notified().await;
        connection.write(OK).await;
        connection.read_until_closed().await;
    };
    let servers = pair(&stage, resets, answers_late).await;
    let gateway = gateway(&servers, &[SOON, "retry: { attempts: 1 }"]).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!(requests(&gateway).await["hedges_won"], 1);
}

#[tokio::test]
async fn both_may_fail_and_the_request_is_still_sent_again() {
    let stage = Arc::new(Stage::default());
    let resets = |connection: Connection, stage: Arc<Stage>| async move {
        stage.second_has_it.notified().await;
        connection.reset();
        stage.first_is_done.notify_one();
    };
    let resets_too = |connection: Connection, stage: Arc<Stage>| async move {
        stage.first_is_done.notified().await;
        connection.reset();
    };
    let [one, two] = pair(&stage, resets, resets_too).await;
    let spare = Counting::start(End::Answer).await;
    // The spare one comes last in the order of turns, and a hedge goes to the second.
    let addresses = [one.address(), two.address(), spare.address()];
    let weights = addresses.map(|at| {
        let weight = if at == spare.address() { 1 } else { 1000 };
        format!("{{ address: \"{at}\", weight: {weight} }}")
    });
    let gateway = Gateway::start(&format!(
        "routes: {{ all: {{ upstream: api }} }}\nupstreams:\n  api:\n    servers: [ {} ]\n    {SOON}\n    retry: {{ attempts: 2 }}\n",
        weights.join(", ")
    ))
    .await;
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!(spare.requests(), 1);
    let told = requests(&gateway).await;
    assert_eq!((&told["retries"], &told["hedges"]), (&1.into(), &1.into()));
    assert_eq!(gateway.log_line("/").await["attempts"], 3);
}

#[tokio::test]
async fn only_what_may_be_done_twice_is_sent_twice() {
    let hanging = [Origin::hanging().await, Origin::hanging().await];
    let options = [
        SOON,
        "timeouts: { first_byte: 300ms }",
        "retry: { attempts: 1 }",
    ];
    let gateway = gateway(&hanging, &options).await;
    let ask = async |method: Method, key: bool, body: Option<&'static str>| {
        let before = requests(&gateway).await["hedges"].as_u64().unwrap();
        let mut request = client().request(method, gateway.url("/"));
        if key {
            request = request.header("Idempotency-Key", "7");
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        assert_failure(request.send().await.unwrap(), 504, "upstream_timeout").await;
        requests(&gateway).await["hedges"].as_u64().unwrap() - before
    };
    assert_eq!(ask(Method::POST, false, None).await, 0);
    assert_eq!(ask(Method::PUT, false, Some("x")).await, 0, "it has a body");
    assert_eq!(ask(Method::POST, true, None).await, 1);
    assert_eq!(ask(Method::GET, false, None).await, 1);
}

#[tokio::test]
async fn nothing_is_sent_twice_beyond_the_budget() {
    let hanging = [Origin::hanging().await, Origin::hanging().await];
    let none = "retry: { attempts: 1, budget: { share: 0%, min: 0 } }";
    let gateway = gateway(&hanging, &[SOON, "timeouts: { first_byte: 300ms }", none]).await;
    assert_failure(gateway.get("/").await, 504, "upstream_timeout").await;
    let requests = requests(&gateway).await;
    assert_eq!(requests["hedges"], 0, "{requests}");
    assert_eq!(requests["retries_denied"], 1, "{requests}");
}

/// Hangs when it is asked for a path below `/slow` that nobody was asked for before.
async fn once_slow(seen: &Arc<Mutex<HashSet<String>>>) -> Origin {
    let seen = Arc::clone(seen);
    Origin::start(move |mut connection| {
        let seen = Arc::clone(&seen);
        async move {
            while let Some(head) = connection.read_head().await {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let hangs = path.starts_with("/slow") && seen.lock().unwrap().insert(path);
                if hangs {
                    return connection.read_until_closed().await;
                }
                connection.write(OK).await;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_percentile_is_that_of_the_latest_answers() {
    let seen = Arc::default();
    let servers = [once_slow(&seen).await, once_slow(&seen).await];
    let options = ["hedge: { after: p95 }", "timeouts: { first_byte: 300ms }"];
    let gateway = gateway(&servers, &options).await;
    assert_failure(gateway.get("/slow/1").await, 504, "upstream_timeout").await;
    assert_eq!(
        requests(&gateway).await["hedges"],
        0,
        "nothing is known yet"
    );
    let report = Load::run(&gateway.url("/"), 2, 300).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(gateway.get("/slow/2").await.status(), 200);
    assert!(requests(&gateway).await["hedges_won"].as_u64().unwrap() >= 1);
}
