//! Servers that an engine or a key store knows: the real ones, asked for real.

mod between;
mod docker;
mod etcd;

use serde_json::Value;
use tidegate_tests::{Gateway, Load, PATIENCE, eventually};

/// A file whose upstream `api` asks this source.
fn asks(source: &str) -> String {
    format!(
        "upstreams: {{ api: {{ discover: {{ {source} }}, timeouts: {{ connect: 500ms }} }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

/// Waits until exactly these instances answer; without any, that there is no server.
async fn answered_by<const N: usize>(gateway: &Gateway, expected: [&str; N]) {
    let what = format!("{expected:?} answer");
    eventually(&what, PATIENCE, async || {
        if N == 0 {
            let status = gateway.get("/api/whoami").await.status().as_u16();
            return (status == 503).then_some(()).ok_or(status.to_string());
        }
        let report = Load::run(&gateway.url("/api/whoami"), 1, 3 * N as u64).await;
        let found: Vec<&String> = report.instances.keys().collect();
        match found == expected && report.failures() == 0 {
            true => Ok(()),
            false => Err(format!("{report:?}")),
        }
    })
    .await;
}

/// How the source of `api` is doing.
async fn source(gateway: &Gateway) -> Value {
    let all = gateway.operator("/upstreams").await;
    all[0]["sources"][0].clone()
}

/// Waits until the source is in trouble, and returns why.
async fn failing(gateway: &Gateway) -> String {
    eventually("the source fails", PATIENCE, async || {
        let source = source(gateway).await;
        let since = source["failing_since"].as_str()?;
        assert!(since.ends_with('Z'), "{source}");
        Some(source["reason"].as_str()?.to_owned())
    })
    .await
}

/// Waits until it is not.
async fn well(gateway: &Gateway) {
    eventually("the source is well", PATIENCE, async || {
        let source = source(gateway).await;
        match source["failing_since"].is_null() {
            true => Ok(()),
            false => Err(source),
        }
    })
    .await;
}

/// Seats and addresses of the servers of `api`.
async fn servers(gateway: &Gateway) -> Vec<Value> {
    let all = gateway.operator("/upstreams").await;
    let servers = all[0]["servers"].as_array();
    servers.cloned().unwrap_or_default()
}
