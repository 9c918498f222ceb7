//! `timeouts:` how long to wait for servers, for the whole file or for one upstream.
//!
//! ```yaml
//! timeouts: { connect: 2s, first_byte: 60s, read: 60s, write: 60s, idle: 60s, tunnel: 1h, request: 5m }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::SomeTime;
use super::{Duration, Spanned};

/// Waiting for a server. A key that is left out is taken from the file's `timeouts`, then from the default named here.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Timeouts {
    /// For the connection to stand. Default: `2s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "2s"))]
    pub connect: Option<Spanned<Duration>>,
    /// The longest silence of a server that has the whole request, until its answer begins; above it the answer is 504. Default: what
    /// `read` says.
    #[schemars(with = "Option<SomeTime>")]
    pub first_byte: Option<Spanned<Duration>>,
    /// The longest silence of a server, between any two bytes of its answer; above it the answer breaks off. Default: `60s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m"))]
    pub read: Option<Spanned<Duration>>,
    /// For a server to take a piece of the request. Default: `60s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m"))]
    pub write: Option<Spanned<Duration>>,
    /// How long an unused connection to a server is kept. Default: `60s`.
    #[schemars(with = "Option<SomeTime>", extend("default" = "1m"))]
    pub idle: Option<Spanned<Duration>>,
    /// The longest silence of either side on an upgraded connection, such as a WebSocket. Default: `1h`.
    #[schemars(extend("default" = "1h"))]
    pub tunnel: Option<Spanned<Duration>>,
    /// For the whole request, from its head to the last byte of its answer: all attempts and the pauses between them share it. Above
    /// it the answer is 504, or breaks off. What became a tunnel may last. Default: none.
    #[schemars(with = "Option<SomeTime>")]
    pub request: Option<Spanned<Duration>>,
}
