//! `retry:` when a request is sent again, for the whole file or for one upstream.
//!
//! ```yaml
//! retry:
//!   attempts: 3
//!   when: [ not_sent, refused, perhaps_processed ]
//!   statuses: [ 502, 503, 504 ]
//!   idempotency_key: true
//!   backoff: { first: 25ms, max: 250ms }
//!   budget: { share: 20%, min: 3, reserve: 100 }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::Time;
use super::{Duration, Share, Spanned};

/// Who waits for longer (in milliseconds) between two attempts keeps a client waiting that may have left.
pub(crate) const PAUSE_MAX: u64 = 10_000;

/// When a request is sent again, to another server if one is ready. A key that is left out is taken from the file's `retry`, then
/// from the default named here.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, the first included: `1` means never again. Default: 3, at most 10.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 10>")]
    #[schemars(range(min = 1, max = 10), extend("default" = 3))]
    pub attempts: Option<Spanned<u8>>,
    /// After which failures. Default: all but `timeout`.
    #[schemars(extend("default" = ["not_sent", "refused", "perhaps_processed"]))]
    pub when: Option<Vec<RetryWhen>>,
    /// Answers with these statuses, 400 to 599, are dropped and the request is sent again, if it is idempotent. The last one is
    /// passed on. Default: none.
    #[serde(default, deserialize_with = "super::scalar::wholes::<_, _, 400, 599>")]
    #[schemars(inner(range(min = 400, max = 599)), extend("default" = []))]
    pub statuses: Option<Vec<Spanned<u16>>>,
    /// Whether a request with the field `Idempotency-Key` counts as idempotent, whatever its method: the servers know it again.
    /// Default: `true`.
    #[schemars(extend("default" = true))]
    pub idempotency_key: Option<Spanned<bool>>,
    /// How long to wait before.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub backoff: Backoff,
    /// How many requests may be sent again at the same time.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub budget: RetryBudget,
}

/// A failure after which a request may be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RetryWhen {
    /// No connection, or none that took the head of the request: whatever the method.
    NotSent,
    /// An answer which says that nothing was done: 421, or 408 on a connection that was kept. Whatever the method.
    Refused,
    /// The server hung up before its answer began: idempotent requests only.
    PerhapsProcessed,
    /// The answer did not begin in time: idempotent requests only.
    Timeout,
}

/// A pause of a random length, from nothing to a bound that doubles from one to the next. Without one, what was not sent goes to
/// another server.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Backoff {
    /// The bound of the first pause. Default: `25ms`, at most `10s`.
    #[schemars(with = "Option<Time<0, PAUSE_MAX>>", extend("default" = "25ms"))]
    pub first: Option<Spanned<Duration>>,
    /// The bound of every pause. Default: ten times `first`, at most `10s`.
    #[schemars(with = "Option<Time<0, PAUSE_MAX>>")]
    pub max: Option<Spanned<Duration>>,
}

/// How many requests may be sent again at the same time: the larger of the first two, and more when much breaks at once. What was not
/// sent needs none of it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryBudget {
    /// Of the upstream's requests that are under way for the first time. Default: `20%`.
    #[schemars(extend("default" = "20%"))]
    pub share: Option<Spanned<Share>>,
    /// However few are under way. Default: 3, at most 1000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 0, 1000>")]
    #[schemars(range(min = 0, max = 1000), extend("default" = 3))]
    pub min: Option<Spanned<u16>>,
    /// Retries that are saved for what breaks at once: one for every ten requests that go well, up to so many. Default: 100, at most 10000.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 0, 10000>")]
    #[schemars(range(min = 0, max = 10000), extend("default" = 100))]
    pub reserve: Option<Spanned<u16>>,
}
