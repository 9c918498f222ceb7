//! `outlier_ejection:` when a server gets no requests for a while because of what became of those that it got.
//!
//! ```yaml
//! upstreams:
//!   api:
//!     servers: [ "api-1:80", "api-2:80", "api-3:80" ]
//!     outlier_ejection:
//!       consecutive_failures: 5
//!       error_rate: { above: 50%, requests: 20, over: 10s }
//!       latency: { above: 300%, at_least: 20ms, requests: 20, over: 10s }
//!       time: 30s
//!       max_time: 5m
//!       max_ejected: 50%
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::{SomeShare, Time};
use super::{Duration, Factor, Share, Spanned, Switch};

/// Shorter (in milliseconds), and a server is back before anybody sees that it was out.
pub(super) const TIME_MIN: u64 = 100;

/// Longer (in milliseconds), and nobody waits for it to come back by itself.
pub(super) const TIME_MAX: u64 = 24 * 3600 * 1000;

/// Shorter (in milliseconds), and single requests decide.
pub(super) const OVER_MIN: u64 = 1000;

/// Longer (in milliseconds), and what was decides for too long.
pub(super) const OVER_MAX: u64 = 600 * 1000;

/// A server faster than this (in milliseconds) on average cannot be meant.
pub(super) const AT_LEAST_MAX: u64 = 600 * 1000;

/// What puts a server out for a while, and for how long.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutlierEjection {
    /// So many requests in a row that failed by the server's fault: no connection, none or a broken answer, an answer of 500 to
    /// 599 other than 501 and 505. Default: 5, at most 1000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 1000>")]
    #[schemars(range(min = 1, max = 1000), extend("default" = 5))]
    pub consecutive_failures: Option<Spanned<u16>>,
    /// Such a share of its requests failed, and it is at least twice that of the other servers. `true` for all defaults.
    /// Default: `false`.
    pub error_rate: Option<Switch<ErrorRate>>,
    /// Its answers take so much longer than those of the other servers. `true` for all defaults. Default: `false`.
    pub latency: Option<Switch<SlowAnswers>>,
    /// How long it is out for the first time; each further time it is so much longer. For as long as this that it serves then, one
    /// time is forgotten. Default: `30s`, from `100ms` to `24h`.
    #[schemars(with = "Option<Time<TIME_MIN, TIME_MAX>>", extend("default" = "30s"))]
    pub time: Option<Spanned<Duration>>,
    /// The longest time that it is out. Default: `5m`, or `time` if that is longer; from `100ms` to `24h`.
    #[schemars(with = "Option<Time<TIME_MIN, TIME_MAX>>", extend("default" = "5m"))]
    pub max_time: Option<Spanned<Duration>>,
    /// The share of the upstream's servers that may be out at a time. One may always be, and all never. Default: `50%`.
    #[schemars(with = "Option<SomeShare>", extend("default" = "50%"))]
    pub max_ejected: Option<Spanned<Share>>,
}

/// Failures among its requests of the last time.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorRate {
    /// More than this share of them failed. Default: `50%`, less than `100%`.
    #[schemars(with = "Option<SomeShare>", extend("default" = "50%"))]
    pub above: Option<Spanned<Share>>,
    /// How many it takes to say anything. Default: 20, at least 5.
    #[serde(
        default,
        deserialize_with = "super::scalar::whole::<_, _, 5, 1_000_000>"
    )]
    #[schemars(range(min = 5, max = 1_000_000), extend("default" = 20))]
    pub requests: Option<Spanned<u32>>,
    /// How far back they count. Default: `10s`, from `1s` to `10m`.
    #[schemars(with = "Option<Time<OVER_MIN, OVER_MAX>>", extend("default" = "10s"))]
    pub over: Option<Spanned<Duration>>,
}

/// How long its answers of the last time took, on average.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlowAnswers {
    /// More than so much of what is usual with the others: of their averages the one in the middle. Default: `300%`, at least
    /// `150%`.
    #[schemars(extend("default" = "300%"))]
    pub above: Option<Spanned<Factor>>,
    /// A server whose average is less is never too slow. Default: `20ms`, at most `10m`.
    #[schemars(with = "Option<Time<0, AT_LEAST_MAX>>", extend("default" = "20ms"))]
    pub at_least: Option<Spanned<Duration>>,
    /// How many it takes to say anything. Default: 20, at least 5.
    #[serde(
        default,
        deserialize_with = "super::scalar::whole::<_, _, 5, 1_000_000>"
    )]
    #[schemars(range(min = 5, max = 1_000_000), extend("default" = 20))]
    pub requests: Option<Spanned<u32>>,
    /// How far back they count. Default: `10s`, from `1s` to `10m`.
    #[schemars(with = "Option<Time<OVER_MIN, OVER_MAX>>", extend("default" = "10s"))]
    pub over: Option<Spanned<Duration>>,
}
