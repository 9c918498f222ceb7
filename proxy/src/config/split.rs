//! `split:` a route that shares its requests out among several upstreams.
//!
//! ```yaml
//! routes:
//!   api: { match: { path_prefix: /api }, split: { api: 90, frontend: 10 }, sticky: { cookie: variant } }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Named, Spanned};

/// The largest share.
pub(super) const WEIGHT_MAX: u16 = 1000;

/// Upstreams with their shares, relative to each other: whole numbers from 0 to 1000.
pub type Split = Named<Spanned<u16>>;

/// What keeps a client with the upstream that it had.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// A cookie of this name, which the proxy sets.
    Cookie(Spanned<String>),
    /// Equal values of this field go to the same one.
    Header(Spanned<String>),
    /// Equal addresses go to the same one.
    Client,
}
