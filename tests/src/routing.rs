//! The routing file that most tests want.

use std::net::SocketAddr;

/// One upstream `api` of these servers, and one route `all` to it. Further sections may follow.
pub fn all_to(servers: &[SocketAddr]) -> String {
    all_to_with(servers, "")
}

/// The same, with more keys of the upstream, such as `timeouts: { read: 1s }`.
pub fn all_to_with(servers: &[SocketAddr], more: &str) -> String {
    let servers: Vec<String> = servers
        .iter()
        .map(|address| format!("\"{address}\""))
        .collect();
    let more = if more.is_empty() {
        String::new()
    } else {
        format!(", {more}")
    };
    format!(
        "upstreams:\n  api: {{ servers: [ {} ]{more} }}\nroutes:\n  all: {{ match: {{ path_prefix: / }}, upstream: api }}\n",
        servers.join(", ")
    )
}
