//! `limits:` of an upstream: how much it takes at a time, and who waits. What a client may ask for are the `limits` of the file and
//! of routes (`limits.rs`).
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "api-1:80", "api-2:80" ]
//!     health_check: tcp
//!     limits:
//!       requests: 200
//!       connections: 400
//!       server: { requests: 50, connections: 60 }
//!       queue: { length: 100, timeout: 1s }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::Time;
use super::{Duration, Spanned};

/// Who waits for longer (in milliseconds) has left.
pub(super) const QUEUE_TIMEOUT_MAX: u64 = 600 * 1000;

/// How much an upstream takes at a time; what is above waits in its `queue` or is answered 503 at once. Default: no limits.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpstreamLimits {
    /// Requests under way to this upstream. Default: no limit; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: Option<Spanned<u32>>,
    /// Connections to its servers, with those that wait for their next request. Default: no limit; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Option<Spanned<u32>>,
    /// The same for each of its servers: one that is full is passed over.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub server: ServerLimits,
    /// Where requests wait that find no place. Default: none; they are answered 503 at once.
    pub queue: Option<Spanned<Queue>>,
    /// Finds `requests` out from how long answers take. Default: it does not.
    pub adaptive: Option<Spanned<Adaptive>>,
}

/// How much a server takes at a time from this upstream.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerLimits {
    /// Requests under way to it. Default: no limit; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub requests: Option<Spanned<u32>>,
    /// Connections to it, with those that wait for their next request. Default: no limit; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections: Option<Spanned<u32>>,
}

/// Where requests wait, first come, first served.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    /// So many; who comes then is answered 503 at once. Default: 100, at most 100000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 100000>")]
    #[schemars(range(min = 1, max = 100_000), extend("default" = 100))]
    pub length: Option<Spanned<u32>>,
    /// For so long; then the answer is 503. Default: `1s`, at most `10m`.
    #[schemars(with = "Option<Time<1, QUEUE_TIMEOUT_MAX>>", extend("default" = "1s"))]
    pub timeout: Option<Spanned<Duration>>,
}

/// What the limit that is found out stays within.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adaptive {
    /// However slow the servers are. Default: 3, or `max` if that is less; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 3))]
    pub min: Option<Spanned<u32>>,
    /// However fast. Default: 1000, or `min` if that is more; at most 1000000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000000>")]
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = 1000))]
    pub max: Option<Spanned<u32>>,
}

impl UpstreamLimits {
    /// Whether anything is limited.
    pub(super) fn is_any(&self) -> bool {
        let Self {
            requests,
            connections,
            server,
            queue: _,
            adaptive,
        } = self;
        let of_server = server.requests.is_some() || server.connections.is_some();
        requests.is_some() || connections.is_some() || of_server || adaptive.is_some()
    }
}
