//! What people write who know another proxy, and where a key belongs that was written elsewhere.

use crate::config::document::{Node, shortened};

/// Words of other programs (nginx, HAProxy, Traefik, Envoy, Caddy) for keys and values of ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("algorithm", "balance"),
    ("backend", "upstream"),
    ("backends", "upstreams"),
    ("backends", "servers"),
    ("bind", "address"),
    ("cluster", "upstream"),
    ("clusters", "upstreams"),
    ("body", "text"),
    ("code", "status"),
    ("content", "text"),
    ("domain", "host"),
    ("domains", "host"),
    ("endpoints", "servers"),
    ("entrypoints", "listeners"),
    ("frontends", "listeners"),
    ("h2", "h2c"),
    ("healthcheck", "health_check"),
    ("hostname", "host"),
    ("hosts", "host"),
    ("ip", "client"),
    ("http", "http1"),
    ("http/1.1", "http1"),
    ("http11", "http1"),
    ("http2", "h2c"),
    ("http/2", "h2c"),
    ("keepalive", "keep_alive"),
    ("lb_policy", "balance"),
    ("listen", "address"),
    ("load_balancing", "balance"),
    ("matches", "match"),
    ("max_conns", "connections"),
    ("maxconn", "connections"),
    ("maxqueue", "queue"),
    ("members", "servers"),
    ("num_retries", "attempts"),
    ("on", "when"),
    ("per_try_timeout", "first_byte"),
    ("policy", "balance"),
    ("pool", "upstream"),
    ("prefix", "path_prefix"),
    ("path", "url"),
    ("proxy_pass", "upstream"),
    ("retries", "retry"),
    ("retry_on", "when"),
    ("return", "respond"),
    ("server_name", "host"),
    ("service", "upstream"),
    ("services", "upstreams"),
    ("source_ip", "client"),
    ("status_code", "status"),
    ("strategy", "balance"),
    ("target", "upstream"),
    ("targets", "servers"),
    ("to", "upstream"),
    ("uri", "url"),
    ("url", "address"),
];

/// Filters that come with the proxy. Which there are is not for this part to know; `catalogue` compares them.
const FILTERS: [&str; 14] = [
    "basic_auth",
    "body_limit",
    "compress",
    "cors",
    "fault",
    "ip_access",
    "maintenance",
    "rate_limit",
    "redirect_https",
    "request_headers",
    "response_headers",
    "rewrite",
    "set_host",
    "strip_prefix",
];

/// Words for what is encrypted.
const TLS: [&str; 7] = [
    "tls",
    "ssl",
    "certificate",
    "certificates",
    "cert",
    "private_key",
    "https",
];

/// Where keys belong.
const HOMES: &[(&str, &str)] = &[
    ("adaptive", "the `limits` of an upstream"),
    ("address", "a listener, a server or `admin`"),
    ("attempts", "`retry`"),
    ("balance", "an upstream"),
    ("body_size", "`limits` at the top of the file or in a route"),
    ("client", "the `match` of a route"),
    ("connections", "the `limits` of an upstream"),
    ("cookie", "the `match` of a route"),
    ("dns_refresh", "an upstream"),
    (
        "filters",
        "a route, or the top of the file to give them names",
    ),
    ("header", "the `match` of a route"),
    ("header_count", "`limits` at the top of the file"),
    ("header_size", "`limits` at the top of the file"),
    ("health_check", "an upstream"),
    ("host", "the `match` of a route"),
    ("match", "a route"),
    ("max_connections", "a listener"),
    ("method", "the `match` of a route"),
    ("path", "the `match` of a route"),
    ("path_prefix", "the `match` of a route"),
    ("path_regex", "the `match` of a route"),
    ("protocols", "a listener"),
    ("query", "the `match` of a route"),
    ("queue", "the `limits` of an upstream"),
    ("redirect", "a route"),
    ("respond", "a route"),
    (
        "retry",
        "an upstream, or the top of the file for all of them",
    ),
    ("servers", "an upstream"),
    (
        "timeouts",
        "a listener, an upstream, or the top of the file for all upstreams",
    ),
    ("upstream", "a route"),
    ("weight", "a server: `{ address: ..., weight: ... }`"),
];

/// The known name that another program's word stands for.
pub(super) fn synonym<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let lower = written.to_ascii_lowercase();
    let meant = |name: &&&str| {
        SYNONYMS
            .iter()
            .any(|(word, ours)| *word == lower && *ours == **name)
    };
    known.iter().find(meant).copied()
}

/// What to write for a key that stands among these and belongs somewhere near. Each section has keys that no other one has.
pub(super) fn here(key: &str, known: &[&str], value: &Node) -> Option<String> {
    let has = |key: &str| known.contains(&key);
    let is_test = has("request") && has("expect");
    let is_expectation = has("reason") && has("request_headers");
    let is_route = has("match") && has("respond");
    match key {
        "method" | "url" | "headers" | "client" if is_test => Some(format!(
            "`{key}` is a part of the request: `request: {{ url: ..., {key}: ... }}`"
        )),
        "route" | "upstream" | "redirect" | "status" | "reason" | "path" | "body"
        | "request_headers" | "response_headers"
            if is_test =>
        {
            Some(format!("`{key}` is expected: `expect: {{ {key}: ... }}`"))
        }
        "headers" if is_expectation => Some(
            "`request_headers` are those that the server gets, `response_headers` those that the client gets"
                .to_owned(),
        ),
        "header" | "headers" if is_route => Some(format!(
            "{HEADER_FILTERS}: `filters: [ {{ request_headers: ... }} ]`"
        )),
        _ if FILTERS.contains(&key) && is_route => {
            let written = value.text().map_or_else(|| "...".to_owned(), shortened);
            Some(format!(
                "`{key}` is a filter: write `filters: [ {{ {key}: {written} }} ]`"
            ))
        }
        _ if FILTERS.contains(&key) && has("servers") => {
            Some(format!("`{key}` is a filter: it belongs in the `filters` of a route"))
        }
        "port" | "host" | "ip" if has("address") => Some(
            "host and port are written together: `address: \"10.0.0.1:80\"`".to_owned(),
        ),
        _ if TLS.contains(&key) && has("protocols") => Some(
            "listeners do not speak TLS yet: it has to end in front of them".to_owned(),
        ),
        _ if TLS.contains(&key) && (has("servers") || has("weight")) => {
            Some("TLS towards servers is not spoken yet: they are asked over plain HTTP".to_owned())
        }
        _ => None,
    }
}

/// What changes header fields.
pub(crate) const HEADER_FILTERS: &str =
    "`request_headers` changes what the server gets, `response_headers` what the client gets";

/// The key of ours that was written, and where it belongs.
pub(super) fn home(written: &str) -> Option<(&'static str, &'static str)> {
    let key = crate::config::nearest::nearest(written, HOMES.iter().map(|(key, _)| *key))?;
    HOMES.iter().find(|(name, _)| *name == key).copied()
}
