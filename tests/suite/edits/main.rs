//! An edit is checked, proven, explained, taken whole or not at all, remembered, and taken back.

mod explain;
mod generations;
mod operators;
mod proof;
mod replay;
mod taking_back;

use std::net::SocketAddr;

use tidegate_tests::{Gateway, Origin, PATIENCE, eventually};

/// A server that answers with its name.
async fn named(name: &str) -> Origin {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    Origin::answering(answer.as_bytes()).await
}

/// A server that answers 500 to everything.
async fn failing() -> Origin {
    Origin::answering(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n").await
}

/// Everything goes to this one server.
fn to(server: SocketAddr) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ \"{server}\" ] }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

async fn who(gateway: &Gateway) -> String {
    gateway.get("/").await.text().await.unwrap()
}

/// Why the file on disk is not what runs, once it is not.
async fn refusal(gateway: &Gateway) -> String {
    eventually("the file is refused", PATIENCE, async || {
        let ready = gateway.ready().await.body;
        ready["refused"]["report"].as_str().map(ToOwned::to_owned)
    })
    .await
}
