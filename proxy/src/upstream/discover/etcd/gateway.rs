//! etcd's JSON gateway: keys and values are in base64, numbers of 64 bits are texts, and what is empty is left out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Full;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::upstream::discover::service::{Lines, Service, refused};

/// A member of a cluster, and the keys that it is asked about.
#[derive(Debug)]
pub(super) struct Gateway {
    service: Service,
    /// The first key, and the first one behind the last.
    keys: (String, String),
    /// Who asks, if that is somebody.
    token: Option<HeaderValue>,
}

/// All keys below the prefix, at one moment.
#[derive(Debug)]
pub(super) struct Seen {
    /// Which moment that is.
    pub(super) revision: String,
    /// Keys and values, in the order of the keys.
    pub(super) pairs: Vec<(String, Vec<u8>)>,
}

#[derive(Deserialize)]
struct Range {
    header: Header,
    #[serde(default)]
    kvs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Header {
    revision: String,
}

#[derive(Deserialize)]
struct Pair {
    key: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct LogIn {
    token: String,
}

/// A line of a watch.
#[derive(Deserialize)]
struct Line {
    result: Option<Changes>,
    error: Option<Problem>,
}

#[derive(Deserialize)]
struct Changes {
    #[serde(default)]
    canceled: bool,
    #[serde(default)]
    compact_revision: Option<String>,
    #[serde(default)]
    cancel_reason: String,
    #[serde(default)]
    events: Vec<Value>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: String,
}

impl Gateway {
    /// For the keys that begin with `prefix`.
    pub(super) fn new(service: Service, prefix: &str) -> Self {
        Self {
            service,
            keys: (
                STANDARD.encode(prefix),
                STANDARD.encode(behind(prefix.as_bytes())),
            ),
            token: None,
        }
    }

    /// From now on, this is who asks.
    ///
    /// # Errors
    /// Why not.
    pub(super) async fn log_in(&mut self, name: &str, password: &str) -> Result<(), String> {
        let who = json!({ "name": name, "password": password });
        let said: LogIn = self.ask("/v3/auth/authenticate", &who).await?;
        let token = HeaderValue::try_from(said.token);
        self.token = Some(token.map_err(|_| "its token cannot be sent".to_owned())?);
        Ok(())
    }

    /// All keys.
    ///
    /// # Errors
    /// Why they are not known.
    pub(super) async fn look(&self) -> Result<Seen, String> {
        let (first, behind) = &self.keys;
        let wanted = json!({ "key": first, "range_end": behind });
        let range: Range = self.ask("/v3/kv/range", &wanted).await?;
        let pairs = range.kvs.iter().map(|pair| {
            let key = STANDARD.decode(&pair.key).ok()?;
            let value = STANDARD.decode(&pair.value).ok()?;
            Some((String::from_utf8_lossy(&key).into_owned(), value))
        });
        let pairs: Option<Vec<_>> = pairs.collect();
        Ok(Seen {
            revision: range.header.revision,
            pairs: pairs.ok_or("its keys are not in base64")?,
        })
    }

    /// What changes after this moment.
    ///
    /// # Errors
    /// Why it is not told.
    pub(super) async fn watch(&self, revision: &str) -> Result<Lines, String> {
        let (first, behind) = &self.keys;
        let next: u64 = revision.parse().unwrap_or(0) + 1;
        let wanted = json!({ "create_request": {
            "key": first, "range_end": behind, "start_revision": next.to_string(),
        } });
        self.service
            .listen(self.request("/v3/watch", &wanted)?)
            .await
    }

    async fn ask<T: DeserializeOwned>(&self, path: &str, wanted: &Value) -> Result<T, String> {
        let answer = self.service.ask(self.request(path, wanted)?).await?;
        if answer.status != StatusCode::OK {
            return Err(refused(&self.service, answer.status, &answer.body));
        }
        serde_json::from_slice(&answer.body).map_err(|error| {
            let service = &self.service;
            format!("the answer of `{service}` to `{path}` cannot be read: {error}")
        })
    }

    fn request(&self, path: &str, wanted: &Value) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::post(path)
            .header(HOST, self.service.to_string())
            .header(CONTENT_TYPE, "application/json");
        if let (Some(token), Some(fields)) = (&self.token, request.headers_mut()) {
            fields.insert(AUTHORIZATION, token.clone());
        }
        request
            .body(Full::from(wanted.to_string()))
            .map_err(|error| format!("`{}` cannot be asked: {error}", self.service))
    }
}

/// The first key behind all that begin with this; one zero byte stands for the end of all keys, as in etcd's own clients.
fn behind(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    vec![0]
}

/// Whether a line of a watch tells of a change.
///
/// # Errors
/// Why it is the last one.
pub(super) fn says_change(line: &[u8]) -> Result<bool, String> {
    let unreadable = |error| format!("the watch says what cannot be read: {error}");
    let line: Line = serde_json::from_slice(line).map_err(unreadable)?;
    if let Some(problem) = line.error {
        return Err(format!("the watch ended: {}", problem.message));
    }
    let Some(changes) = line.result else {
        return Ok(false);
    };
    if let Some(revision) = changes.compact_revision.filter(|_| changes.canceled) {
        return Err(format!("what came before revision {revision} is compacted"));
    }
    if changes.canceled {
        return Err(format!("the watch ended: {}", changes.cancel_reason));
    }
    Ok(!changes.events.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_the_next_one_begins() {
        assert_eq!(behind(b"/a/"), b"/a0");
        assert_eq!(behind(&[b'a', 0xff, 0xff]), b"b");
        assert_eq!(behind(&[0xff]), [0]);
        assert_eq!(behind(b""), [0]);
    }

    #[test]
    fn a_watch_tells_of_changes_and_of_its_end() {
        // As etcd 3.4.23 says it.
        let created = br#"{"result":{"header":{"cluster_id":"1","revision":"5"},"created":true}}"#;
        assert_eq!(says_change(created), Ok(false));
        let put = br#"{"result":{"header":{"revision":"6"},"events":[{"kv":{"key":"L2E=","mod_revision":"6"}}]}}"#;
        assert_eq!(says_change(put), Ok(true));
        let gone = br#"{"result":{"header":{"revision":"7"},"events":[{"type":"DELETE","kv":{"key":"L2E="}}]}}"#;
        assert_eq!(says_change(gone), Ok(true));
        let compacted =
            br#"{"result":{"header":{"revision":"9"},"canceled":true,"compact_revision":"8"}}"#;
        let compacted = says_change(compacted).unwrap_err();
        assert!(compacted.contains("revision 8 is compacted"), "{compacted}");
        let refused = br#"{"error":{"grpc_code":16,"http_code":401,"message":"etcdserver: invalid auth token"}}"#;
        let refused = says_change(refused).unwrap_err();
        assert!(refused.ends_with("invalid auth token"), "{refused}");
        assert!(says_change(b"<html>").is_err());
    }
}
