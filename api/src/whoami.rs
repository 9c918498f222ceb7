//! `GET /api/whoami`: who answered, and what of the request arrived.
//!
//! ```json
//! {
//!   "instance": "api-1", "host": "4f1c", "pid": 7, "requests": 42,
//!   "request": {
//!     "method": "GET", "path": "/api/whoami?x=1", "client": "10.0.0.2:41000",
//!     "headers": { "host": "localhost:8080", "via": ["1.1 a", "1.1 b"] }
//!   }
//! }
//! ```
//!
//! `requests` counts all that this process received, health checks included. `path` is the request target as it
//! arrived, query included. `client` is the peer of the connection: behind a balancer, the balancer. A header that
//! came more than once is a list.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::Json;
use axum::extract::{ConnectInfo, Request, State};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Serialize;

use crate::state::Instance;

/// The answer.
#[derive(Debug, Serialize)]
pub struct Whoami {
    instance: String,
    host: String,
    pid: u32,
    requests: u64,
    request: Seen,
}

/// The request as it arrived here.
#[derive(Debug, Serialize)]
struct Seen {
    method: String,
    path: String,
    client: Option<SocketAddr>,
    headers: BTreeMap<String, Values>,
}

/// What one header name stands for.
#[derive(Debug, PartialEq, Serialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(Vec<String>),
}

/// Says who answered.
pub async fn whoami(
    State(instance): State<Instance>,
    request: Request,
) -> ([(HeaderName, HeaderValue); 1], Json<Whoami>) {
    let answer = Whoami {
        instance: instance.name().to_owned(),
        host: instance.host().to_owned(),
        pid: std::process::id(),
        requests: instance.requests(),
        request: seen(&request),
    };
    (
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        Json(answer),
    )
}

fn seen(request: &Request) -> Seen {
    Seen {
        method: request.method().to_string(),
        path: request
            .uri()
            .path_and_query()
            .map_or_else(|| request.uri().path(), |target| target.as_str())
            .to_owned(),
        client: request
            .extensions()
            .get::<ConnectInfo<SocketAddr>>()
            .map(|info| info.0),
        headers: by_name(request.headers()),
    }
}

fn by_name(headers: &HeaderMap) -> BTreeMap<String, Values> {
    headers
        .keys()
        .map(|name| (name.to_string(), values(headers, name)))
        .collect()
}

fn values(headers: &HeaderMap, name: &HeaderName) -> Values {
    // A value need not be UTF-8; this is for people to read, so what is not becomes a replacement character.
    let mut all: Vec<String> = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
        .collect();
    match all.len() {
        1 => Values::One(all.swap_remove(0)),
        _ => Values::Many(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_header_is_a_list_and_odd_bytes_survive() {
        let mut headers = HeaderMap::new();
        headers.append("via", HeaderValue::from_static("1.1 a"));
        headers.append("via", HeaderValue::from_static("1.1 b"));
        headers.append(
            "x-odd",
            HeaderValue::from_bytes(b"caf\xe9").unwrap_or(HeaderValue::from_static("refused")),
        );
        let seen = by_name(&headers);
        assert_eq!(
            seen.get("via"),
            Some(&Values::Many(vec!["1.1 a".to_owned(), "1.1 b".to_owned()]))
        );
        assert_eq!(
            seen.get("x-odd"),
            Some(&Values::One("caf\u{fffd}".to_owned()))
        );
    }
}
