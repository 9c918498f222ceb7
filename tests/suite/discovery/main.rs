//! `discover`: servers that the file does not name, and what becomes of those that leave, return, or of whose list nothing can be
//! found out. `dns` is in the suite `names`, which has a name server.

mod file;
mod http;

use std::path::{Path, PathBuf};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_tests::{Gateway, Load, Origin, PATIENCE, eventually};

/// A server that answers with its name, as `whoami` does.
async fn server(name: &str) -> Origin {
    let body = format!("{{\"instance\":\"{name}\"}}");
    let length = body.len();
    Origin::answering(
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}").as_bytes(),
    )
    .await
}

/// One upstream that asks this source.
fn routing(source: &str) -> String {
    format!(
        "upstreams: {{ api: {{ discover: {{ {source} }} }} }}\nroutes: {{ all: {{ upstream: api }} }}\n"
    )
}

/// A list of these, as plain addresses.
fn listed(servers: &[&Origin]) -> String {
    servers
        .iter()
        .map(|one| format!("- {}\n", one.address()))
        .collect()
}

/// Waits until exactly these may be picked, and answer.
async fn answered_by<const N: usize>(gateway: &Gateway, expected: [&str; N]) {
    let what = format!("{expected:?} answer");
    eventually(&what, PATIENCE, async || {
        // Others ask, too: by chance, a server that is still there may not get any of a few requests.
        let ready = gateway.operator("/upstreams").await[0]["ready"].clone();
        let report = Load::run(&gateway.url("/"), 1, 2 * N as u64).await;
        assert_eq!(report.failures(), 0, "{report:?}");
        let found: Vec<&String> = report.instances.keys().collect();
        if ready == N && found == expected {
            Ok(())
        } else {
            Err(format!("{ready} ready, {found:?}"))
        }
    })
    .await;
}

/// How the source is doing.
async fn source(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0]["sources"][0].clone()
}

/// Waits until the source is in trouble whose reason has this in it, and returns it.
async fn in_trouble(gateway: &Gateway, part: &str) -> Value {
    let what = format!("trouble: {part}");
    eventually(&what, PATIENCE, async || {
        let source = source(gateway).await;
        let reason = source["reason"].as_str().unwrap_or_default().to_owned();
        if reason.contains(part) {
            Ok(source)
        } else {
            Err(source)
        }
    })
    .await
}

/// Waits until nothing is wrong with it any more.
async fn well(gateway: &Gateway) {
    eventually("the source is well", PATIENCE, async || {
        let source = source(gateway).await;
        if source["failing_since"].is_null() {
            Ok(())
        } else {
            Err(source)
        }
    })
    .await;
}

/// A folder with a list in it.
struct Listed {
    folder: TempDir,
}

impl Listed {
    fn new(text: &str) -> Self {
        let listed = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        listed.write(text);
        listed
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("servers.yaml")
    }

    /// In one step, as editors do.
    fn write(&self, text: &str) {
        replace(&self.path(), text);
    }

    fn routing(&self) -> String {
        routing(&format!("file: {{ path: \"{}\" }}", self.path().display()))
    }
}

fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}
