//! `upstreams:` who answers.
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "api:5252", { address: "10.0.0.7:5252", weight: 3 }, { address: "10.1.0.7:5252", backup: true } ]
//!     balance: round_robin
//!     health_check: { http: { path: /api/health, interval: 2s } }
//!     panic_below: 30%
//!     slow_start: 30s
//!     outlier_ejection: true
//!     limits: { requests: 200, queue: { length: 100, timeout: 1s } }
//!   web:
//!     discover: { dns: { name: tasks.web, port: 9000 } }
//! ```

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};

use super::schema::places;
use super::schema::quantities::{AtLeast, SomeShare, Time};
use super::text_or_keys::{InFull, TextOrKeys};
use super::{
    Component, Duration, Hedge, Moment, OutlierEjection, Retry, ServerAddress, Share, Spanned,
    Switch, Timeouts, UpstreamLimits,
};

/// Asking the resolver more often (in milliseconds) finds nothing new and burdens it.
pub(super) const DNS_REFRESH_MIN: u64 = 1000;

/// A server that warms up for longer (in milliseconds) is not watched by anybody any more.
pub(super) const SLOW_START_MAX: u64 = 3600 * 1000;

/// A set of servers that answer alike.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = places::any_of(&["servers", "discover"])))]
pub struct Upstream {
    /// Where they are. A name stands for all its addresses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("minItems" = 1))]
    pub servers: Vec<Spanned<Server>>,
    /// Who knows where they are, in place of `servers`.
    #[schemars(with = "Option<places::Source>")]
    pub discover: Option<Component>,
    /// How one is picked. Default: `round_robin`.
    #[schemars(with = "Option<places::Policy>", extend("default" = "round_robin"))]
    pub balance: Option<Component>,
    /// How to find out whether one is well. Default: all are taken to be well.
    #[schemars(with = "Option<places::HealthCheck>")]
    pub health_check: Option<Component>,
    /// If less than this share of the servers of every tier is up, all are asked, whatever their checks say: a few that get
    /// everybody's requests fall, too. Default: never; one server that is up gets all requests.
    #[schemars(with = "Option<SomeShare>")]
    pub panic_below: Option<Spanned<Share>>,
    /// For how long a server that has just come up gets less than its share: a tenth at first, all of it in the end. Default:
    /// `0s`, at most `1h`. Nothing changes where a key or a cookie decides.
    #[schemars(with = "Option<Time<0, SLOW_START_MAX>>", extend("default" = "0s"))]
    pub slow_start: Option<Spanned<Duration>>,
    /// When a server gets no requests for a while because of what became of those that it got. `true` for all defaults.
    /// Default: `false`.
    pub outlier_ejection: Option<Switch<OutlierEjection>>,
    /// How much it takes at a time; what a client may ask for are the `limits` of the file and of routes.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub limits: UpstreamLimits,
    /// How long to wait for them.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: Timeouts,
    /// When a request is tried again.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub retry: Retry,
    /// When a request is sent to a second server without waiting for the first. Default: never.
    pub hedge: Option<Hedge>,
    /// The longest time a name's addresses are believed; a shorter TTL wins. Default: `5s`.
    #[schemars(with = "Option<AtLeast<DNS_REFRESH_MIN>>", extend("default" = "5s"))]
    pub dns_refresh: Option<Spanned<Duration>>,
}

/// One place that answers: `"host:port"`, or `{ address, weight, ... }`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Host and port.
    pub address: Spanned<ServerAddress>,
    /// Its share beside the others. Default: 1, at most 1000.
    pub weight: Spanned<u16>,
    /// Its tier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Spanned<u8>>,
    /// Whether it is for when all others are down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Spanned<bool>>,
    /// Whether it gets requests.
    pub state: Duty,
    /// When `state` ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Spanned<Moment>>,
}

/// Whether a server gets requests, its health aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duty {
    /// It does.
    #[default]
    Serve,
    /// No new ones, but from clients that a cookie keeps with it; those under way end as they would.
    Drain,
    /// None; those under way end as they would.
    Disable,
}

/// The share of a server that does not name one.
const WEIGHT: u16 = 1;

impl Server {
    /// Whether it is for when all others are down.
    #[must_use]
    pub fn is_backup(&self) -> bool {
        self.backup.is_some_and(|backup| backup.value)
    }
}

impl<'de> Deserialize<'de> for Server {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<TextOrKeys<ServerAddress, Full>>::deserialize(deserializer)?;
        Ok(match written.value {
            TextOrKeys::Text(address) => Self {
                address: Spanned::new(address, written.span),
                weight: Spanned::new(WEIGHT, written.span),
                priority: None,
                backup: None,
                state: Duty::default(),
                until: None,
            },
            TextOrKeys::Keys(full) => Self {
                weight: full
                    .weight
                    .unwrap_or(Spanned::new(WEIGHT, full.address.span)),
                address: full.address,
                priority: full.priority,
                backup: full.backup,
                state: full.state,
                until: full.until,
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
    /// Its tier: those of 0 get the requests as long as they can, then those of 1, and so on. Default: 0.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 0, 9>")]
    #[schemars(range(min = 0, max = 9), extend("default" = 0))]
    priority: Option<Spanned<u8>>,
    /// Whether it is for when all others are down. Default: `false`.
    #[schemars(extend("default" = false))]
    backup: Option<Spanned<bool>>,
    /// Whether it gets requests: `serve`, `drain` (no new clients) or `disable`. Default: `serve`.
    #[serde(default)]
    state: Duty,
    /// When `drain` or `disable` ends, and it serves again. Default: when the file says otherwise.
    until: Option<Spanned<Moment>>,
}

impl InFull for Full {
    const EXPECTED: &'static str =
        "a server such as `\"api:5252\"` or `{ address: \"api:5252\", weight: 2 }`";
}
