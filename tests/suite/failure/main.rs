//! What happens when a server fails: the request goes elsewhere if that is safe, and the client learns the truth.

mod again;
mod breaks_off;
mod budget;
mod client_leaves;
mod deadline;
mod dies;
mod hedge;
mod nonsense;
mod slow;
mod stale;
mod told;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::{Client, Response};
use serde_json::Value;
use tidegate_tests::{Gateway, Origin, client, h2c_client};
use tokio::io::AsyncReadExt;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// "In time" for an answer that has a deadline well below it: the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

/// One upstream with these servers and these further keys.
fn routing(servers: &[SocketAddr], options: &[&str]) -> String {
    let servers: Vec<String> = servers.iter().map(|at| format!("\"{at}\"")).collect();
    let mut routing = format!(
        "routes: {{ all: {{ upstream: api }} }}\nupstreams:\n  api:\n    servers: [ {} ]\n",
        servers.join(", ")
    );
    for option in options {
        routing += &format!("    {option}\n");
    }
    routing
}

/// What the operator is told of the requests for the upstream.
async fn requests(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0]["requests"].clone()
}

/// Asks on HTTP/1 and on HTTP/2.
fn both_clients() -> [(&'static str, Client); 2] {
    [("HTTP/1", client()), ("HTTP/2", h2c_client())]
}

/// An origin that counts the requests whose head it has read, and treats each as `end` says.
struct Counting {
    origin: Origin,
    requests: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Answer,
    Reset,
    Close,
    Say(&'static [u8]),
}

impl Counting {
    async fn start(end: End) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let origin = Origin::start(move |mut connection| {
            let counted = Arc::clone(&counted);
            async move {
                while let Some(head) = connection.read_head().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let length = header(&head, "content-length").and_then(|it| it.parse().ok());
                    let mut body = vec![0; length.unwrap_or(0)];
                    if connection.stream.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    match end {
                        End::Answer => drop(connection.write(OK).await),
                        End::Reset => return connection.reset(),
                        End::Close => return,
                        End::Say(answer) => drop(connection.write(answer).await),
                    }
                }
            }
        })
        .await;
        Self { origin, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Checks that this is our own answer to a failure, with this status and reason, and that it names no address.
async fn assert_failure(answer: Response, status: u16, reason: &str) {
    assert_eq!(answer.status(), status);
    let headers = format!("{:?}", answer.headers());
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["error"]["reason"], reason, "{text}");
    assert_eq!(body["error"]["status"], status);
    assert_eq!(body["error"]["request_id"], id.as_str());
    assert!(text.len() < 1000, "{text}");
    for part in [&text, &headers] {
        assert!(!part.contains("127.0.0.1"), "{part}");
    }
}
