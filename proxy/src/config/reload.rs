//! `reload:` what an edit must prove once it is in effect, and what is remembered to judge the next one by.
//!
//! ```yaml
//! reload:
//!   rollback_on: { errors: 20%, over: 30s, requests: 20 }
//!   remember: 1000
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::{SomeShare, Time};
use super::{Duration, Share, Spanned};

/// An edit is watched for so many milliseconds at least.
pub(super) const OVER_MIN: u64 = 1000;

/// Longer, and nobody remembers which edit it was.
pub(super) const OVER_MAX: u64 = 600 * 1000;

/// How edits are taken.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// When an edit is taken back by itself. Default: never.
    pub rollback_on: Option<RollbackOn>,
    /// Heads of the latest requests that are kept in memory, credentials masked, for `tidegate check --replay`. Default: 0,
    /// at most 100000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 0, 100_000>")]
    #[schemars(range(min = 0, max = 100_000), extend("default" = 0))]
    pub remember: Option<Spanned<u32>>,
}

/// When an edit is taken back: the file that ran before it runs again, and the edited one is refused until it changes.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackOn {
    /// So much more of a route's answers fail than before the edit, by the fault of the proxy or of a server: in percentage
    /// points.
    #[schemars(with = "SomeShare")]
    pub errors: Spanned<Share>,
    /// For how long an edit is watched, and compared with as long before it. Default: `30s`, from `1s` to `10m`.
    #[schemars(with = "Option<Time<OVER_MIN, OVER_MAX>>", extend("default" = "30s"))]
    pub over: Option<Spanned<Duration>>,
    /// Answers of a route that it takes to say anything. Default: 20, at least 5.
    #[serde(
        default,
        deserialize_with = "super::scalar::whole::<_, _, 5, 1_000_000>"
    )]
    #[schemars(range(min = 5, max = 1_000_000), extend("default" = 20))]
    pub requests: Option<Spanned<u32>>,
}
