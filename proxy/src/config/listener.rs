//! `listeners:` where clients connect.
//!
//! ```yaml
//! listeners:
//!   web: { address: "0.0.0.0:80" }
//!   internal:
//!     address: "127.0.0.1:8081"
//!     protocols: [ http1 ]
//!     timeouts: { header: 10s, body: 60s, write: 60s, keep_alive: 75s }
//!     max_connections: 1000
//! ```

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::SomeTime;
use super::{Duration, Spanned};

/// One address and how it is spoken to.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// IP address and port.
    #[serde(deserialize_with = "super::address::listen")]
    #[schemars(with = "super::address::Listen")]
    pub address: Spanned<SocketAddr>,
    /// What is spoken here. Default: all of them.
    #[schemars(extend("default" = ["http1", "h2c"], "minItems" = 1))]
    pub protocols: Option<Spanned<Vec<Protocol>>>,
    /// How long to wait for clients.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: ClientTimeouts,
    /// Connections at a time; those above wait in the kernel's queue. Default: 20000.
    #[serde(
        default,
        deserialize_with = "super::scalar::whole::<_, _, 1, 1_000_000>"
    )]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 20_000))]
    pub max_connections: Option<Spanned<u32>>,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Protocol {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113, section 3.3).
    H2c,
}

/// Waiting for clients.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientTimeouts {
    /// For the whole request head, from its first byte. Default: `10s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "10s"))]
    pub header: Option<Spanned<Duration>>,
    /// The longest silence within a request body. Default: `60s`. Over HTTP/2, where Pingora has no such timeout, the
    /// upstream's `read` bounds it.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m"))]
    pub body: Option<Spanned<Duration>>,
    /// For a client to take a piece of the answer. Default: `60s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m"))]
    pub write: Option<Spanned<Duration>>,
    /// For the next request on a connection. Default: `75s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m15s"))]
    pub keep_alive: Option<Spanned<Duration>>,
}
