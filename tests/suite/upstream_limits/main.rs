//! `limits` of an upstream: how much it is sent at a time, who waits, and who is told to come back.

mod adaptive;
mod places;
mod queue;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Response;
use serde_json::Value;
use tidegate_tests::{Gateway, Origin, PATIENCE, client, eventually};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A server that holds every request until the test lets it go.
struct Holder {
    origin: Origin,
    held: Mutex<mpsc::UnboundedReceiver<Held>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A request that waits for its answer.
struct Held {
    path: String,
    answer: oneshot::Sender<()>,
}

impl Holder {
    async fn start() -> Self {
        let counts = Arc::new(Counts::default());
        let (hold, held) = mpsc::unbounded_channel();
        let shared = Arc::clone(&counts);
        let origin = Origin::start(move |mut connection| {
            let (hold, counts) = (hold.clone(), Arc::clone(&shared));
            async move {
                while let Some(head) = connection.read_head().await {
                    let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
                    counts.most.fetch_max(now, Ordering::SeqCst);
                    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                    let (answer, told) = oneshot::channel();
                    let _ = hold.send(Held { path, answer });
                    // Whoever was forgotten by the test is answered, too.
                    let _ = told.await;
                    counts.now.fetch_sub(1, Ordering::SeqCst);
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                    if !connection.write(answer).await {
                        return;
                    }
                }
            }
        })
        .await;
        Self {
            origin,
            held: Mutex::new(held),
            counts,
        }
    }

    /// The next request that comes.
    async fn next(&self) -> Held {
        let mut held = self.held.lock().await;
        let next = timeout(PATIENCE, held.recv()).await;
        next.expect("a request comes").unwrap()
    }

    /// The most requests that it ever had at once.
    fn most(&self) -> usize {
        self.counts.most.load(Ordering::SeqCst)
    }

    fn is_idle(&self) -> bool {
        self.counts.now.load(Ordering::SeqCst) == 0
    }
}

impl Held {
    /// Answers it, and says which one it was.
    fn go(self) -> String {
        let _ = self.answer.send(());
        self.path
    }
}

fn routing(servers: &[&Holder], limits: &str, more: &str) -> String {
    let addresses = servers
        .iter()
        .map(|server| format!("'{}'", server.origin.address()));
    let addresses = addresses.collect::<Vec<_>>().join(", ");
    format!(
        "upstreams: {{ a: {{ servers: [ {addresses} ], limits: {limits}, {more} }} }}\n\
         routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: a }} }}\n"
    )
}

async fn started(servers: &[&Holder], limits: &str) -> Gateway {
    Gateway::start(&routing(servers, limits, "")).await
}

/// What the operator is shown of the upstream.
async fn state(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0].clone()
}

async fn waiting(gateway: &Gateway, number: u64) {
    eventually(&format!("{number} wait"), PATIENCE, async || {
        let waiting = state(gateway).await["limits"]["waiting"].as_u64();
        (waiting == Some(number)).then_some(()).ok_or(waiting)
    })
    .await;
}

/// Nothing is under way and nobody waits.
async fn quiet(gateway: &Gateway) {
    eventually("nothing is left", PATIENCE, async || {
        let state = state(gateway).await;
        let limits = &state["limits"];
        let servers = state["servers"].as_array().unwrap();
        let is_quiet = state["requests"]["under_way"] == 0
            && limits["requests"] == 0
            && limits["waiting"] == 0
            && servers
                .iter()
                .all(|server| server["in_flight"] == 0 && server["limits"]["requests"] == 0);
        is_quiet.then_some(()).ok_or(state)
    })
    .await;
}

fn ask(gateway: &Gateway, path: &str) -> JoinHandle<Response> {
    let request = client().get(gateway.url(path)).timeout(2 * PATIENCE);
    tokio::spawn(async move { request.send().await.unwrap() })
}

async fn is_ok(answer: JoinHandle<Response>) {
    assert_eq!(answer.await.unwrap().status(), 200);
}

async fn is_told(answer: Response, reason: &str) {
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "1");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], reason, "{body}");
}

const LONG: &str = "{ length: 100, timeout: 5m }";
