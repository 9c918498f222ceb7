//! `mirror:` a share of a route's requests is copied to another upstream, whose answers nobody gets.
//!
//! ```yaml
//! routes:
//!   api: { match: { path_prefix: /api }, upstream: api, mirror: { upstream: frontend, share: 10%, body_size: 64KiB } }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::Bytes;
use super::{Share, Size, Spanned};

/// Bytes of a request that is copied.
pub(super) const COPY_MAX: u64 = 16 << 20;

/// Who gets the copies, and of what.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// The upstream that gets them.
    pub upstream: Spanned<String>,
    /// How many of the requests. Default: all.
    #[schemars(extend("default" = "100%"))]
    pub share: Option<Share>,
    /// A request with a larger body is not copied. Default: `64KiB`, at most `16MiB`.
    #[schemars(with = "Option<Bytes<0, COPY_MAX>>", extend("default" = "64KiB"))]
    pub body_size: Option<Spanned<Size>>,
}
