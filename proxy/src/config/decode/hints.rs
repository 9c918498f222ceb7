//! What people write who know another proxy, and where a key belongs that was written elsewhere.

/// Words of other programs (nginx, HAProxy, Traefik, Envoy, Caddy) for keys and values of ours.
const SYNONYMS: &[(&str, &str)] = &[
    ("algorithm", "balance"),
    ("backend", "upstream"),
    ("backends", "upstreams"),
    ("backends", "servers"),
    ("bind", "address"),
    ("cluster", "upstream"),
    ("clusters", "upstreams"),
    ("domain", "host"),
    ("domains", "host"),
    ("endpoints", "servers"),
    ("entrypoints", "listeners"),
    ("frontends", "listeners"),
    ("h2", "h2c"),
    ("healthcheck", "health_check"),
    ("hostname", "host"),
    ("hosts", "host"),
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
    ("members", "servers"),
    ("policy", "balance"),
    ("pool", "upstream"),
    ("prefix", "path_prefix"),
    ("proxy_pass", "upstream"),
    ("retries", "retry"),
    ("server_name", "host"),
    ("service", "upstream"),
    ("services", "upstreams"),
    ("strategy", "balance"),
    ("target", "upstream"),
    ("targets", "servers"),
    ("to", "upstream"),
    ("url", "address"),
];

/// Where keys belong.
const HOMES: &[(&str, &str)] = &[
    ("address", "a listener, a server or `admin`"),
    ("attempts", "`retry`"),
    ("balance", "an upstream"),
    ("body_size", "`limits`"),
    ("dns_refresh", "an upstream"),
    ("header_count", "`limits`"),
    ("header_size", "`limits`"),
    ("health_check", "an upstream"),
    ("host", "the `match` of a route"),
    ("match", "a route"),
    ("max_connections", "a listener"),
    ("path", "the `match` of a route"),
    ("path_prefix", "the `match` of a route"),
    ("protocols", "a listener"),
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

/// The key of ours that was written, and where it belongs.
pub(super) fn home(written: &str) -> Option<(&'static str, &'static str)> {
    let key = crate::config::nearest::nearest(written, HOMES.iter().map(|(key, _)| *key))?;
    HOMES.iter().find(|(name, _)| *name == key).copied()
}
