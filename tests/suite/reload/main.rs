//! The routing file changes while traffic flows.

mod bad_file;
mod listeners;
mod under_load;
mod writing;

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_tests::{Gateway, Origin, PATIENCE, client, eventually};
use tokio::sync::Notify;

/// Everything goes to this one server.
fn to(server: SocketAddr) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ \"{server}\" ] }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

/// A server that answers with its name.
async fn named(name: &str) -> Origin {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    Origin::answering(answer.as_bytes()).await
}

/// Two servers, and a gateway whose file leads to the first.
async fn start() -> (Gateway, Origin, Origin) {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = Gateway::start(&to(first.address())).await;
    assert_eq!(who(&gateway).await, "first");
    (gateway, first, second)
}

async fn who(gateway: &Gateway) -> String {
    gateway.get("/").await.text().await.unwrap()
}

async fn answers(gateway: &Gateway, expected: &str) {
    let what = format!("{expected} answers");
    eventually(&what, PATIENCE, async || who(gateway).await == expected).await;
}

/// Why the file on disk was refused, once it was.
async fn refusal(gateway: &Gateway) -> String {
    eventually("the file is refused", PATIENCE, async || {
        let ready = gateway.ready().await.body;
        ready["refused"]["report"].as_str().map(ToOwned::to_owned)
    })
    .await
}

fn count(gateway: &Gateway, part: &str) -> usize {
    let log = gateway.process.log();
    log.iter().filter(|line| line.contains(part)).count()
}

/// The file as it is, so that a test can write it in its own way.
fn text(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.file()).unwrap()
}

/// A server that answers with its name once it is told to.
struct Held {
    origin: Origin,
    go: Arc<Notify>,
}

impl Held {
    async fn start() -> Self {
        let go = Arc::new(Notify::new());
        let told = Arc::clone(&go);
        let origin = Origin::start(move |mut connection| {
            let told = Arc::clone(&told);
            async move {
                while connection.read_head().await.is_some() {
                    told.notified().await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld";
                    connection.write(answer).await;
                }
            }
        })
        .await;
        Self { origin, go }
    }

    /// Asks at `url` and returns once the request is here.
    async fn asked(&self, url: String) -> tokio::task::JoinHandle<reqwest::Result<String>> {
        let before = self.origin.open();
        let asked = tokio::spawn(async move { client().get(url).send().await?.text().await });
        let arrived = async || self.origin.open() > before;
        eventually("the request is at the server", PATIENCE, arrived).await;
        asked
    }
}
