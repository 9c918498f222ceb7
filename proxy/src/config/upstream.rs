//! `upstreams:` who answers.
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "api:5252", { address: "10.0.0.7:5252", weight: 3 } ]
//!     balance: round_robin
//!     health_check: { http: { path: /api/health, interval: 2s } }
//! ```

use serde::Deserialize;

use super::{Duration, Named, Retry, Spanned, Timeouts};
use crate::component::Component;

/// A set of servers that answer alike.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where they are. A name stands for all its addresses.
    pub servers: Vec<Spanned<Server>>,
    /// How one is picked. Default: `round_robin`.
    pub balance: Option<Component>,
    /// How to find out whether one is well. Default: all are taken to be well.
    pub health_check: Option<Component>,
    /// How long to wait for them.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// When a request is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// The longest time a name's addresses are believed; a shorter TTL wins. Default: `5s`.
    pub dns_refresh: Option<Duration>,
}
