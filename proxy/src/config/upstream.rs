//! `upstreams:` who answers.
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "api:5252", { address: "10.0.0.7:5252", weight: 3 } ]
//!     balance: round_robin
//!     health_check: { http: { path: /api/health, interval: 2s } }
//! ```

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};

use super::schema::places;
use super::schema::quantities::AtLeast;
use super::text_or_keys::{InFull, TextOrKeys};
use super::{Component, Duration, Retry, ServerAddress, Spanned, Timeouts};

/// Asking the resolver more often (in milliseconds) finds nothing new and burdens it.
pub(super) const DNS_REFRESH_MIN: u64 = 1000;

/// A set of servers that answer alike.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Where they are. A name stands for all its addresses.
    #[schemars(extend("minItems" = 1))]
    pub servers: Vec<Spanned<Server>>,
    /// How one is picked. Default: `round_robin`.
    #[schemars(with = "Option<places::Policy>", extend("default" = "round_robin"))]
    pub balance: Option<Component>,
    /// How to find out whether one is well. Default: all are taken to be well.
    #[schemars(with = "Option<places::HealthCheck>")]
    pub health_check: Option<Component>,
    /// How long to wait for them.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: Timeouts,
    /// When a request is tried again.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub retry: Retry,
    /// The longest time a name's addresses are believed; a shorter TTL wins. Default: `5s`.
    #[schemars(with = "Option<AtLeast<DNS_REFRESH_MIN>>", extend("default" = "5s"))]
    pub dns_refresh: Option<Spanned<Duration>>,
}

/// One place that answers: `"host:port"`, or `{ address, weight }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Host and port.
    pub address: Spanned<ServerAddress>,
    /// Its share beside the others. Default: 1, at most 1000.
    pub weight: Spanned<u16>,
}

/// The share of a server that does not name one.
const WEIGHT: u16 = 1;

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<TextOrKeys<ServerAddress, Full>>::deserialize(deserializer)?;
        Ok(match written.value {
            TextOrKeys::Text(address) => Self {
                address: Spanned::new(address, written.span),
                weight: Spanned::new(WEIGHT, written.span),
            },
            TextOrKeys::Keys(full) => Self {
                weight: full
                    .weight
                    .unwrap_or(Spanned::new(WEIGHT, full.address.span)),
                address: full.address,
            },
        })
    }
}

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Full {
    /// Host and port.
    address: Spanned<ServerAddress>,
    /// Its share beside the others. Default: 1.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000>")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 1))]
    weight: Option<Spanned<u16>>,
}

impl InFull for Full {
    const EXPECTED: &'static str =
        "a server such as `\"api:5252\"` or `{ address: \"api:5252\", weight: 2 }`";
}
