//! `limits:` how much a client may ask for.
//!
//! ```yaml
//! limits:
//!   header_size: 32KiB
//!   header_count: 100
//!   body_size: 10MiB
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::quantities::Bytes;
use super::{Size, Spanned};

/// The largest request head, in bytes: the framework's own bound for HTTP/1 is a little above it.
pub(super) const HEADER_SIZE_MAX: u64 = 1000 * 1024;

/// The smallest request head that browsers can live with.
pub(super) const HEADER_SIZE_MIN: u64 = 1024;

/// Bounds on a request. A key that is left out has the default that is named with it.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Request line and header fields together; above it the answer is 431. Default: `32KiB`, at most `1000KiB`.
    #[schemars(
        with = "Option<Bytes<HEADER_SIZE_MIN, HEADER_SIZE_MAX>>",
        extend("default" = "32KiB")
    )]
    pub header_size: Option<Spanned<Size>>,
    /// Number of header fields; above it the answer is 431. Default: 100, at most 250.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 250>")]
    #[schemars(range(min = 1, max = 250), extend("default" = 100))]
    pub header_count: Option<Spanned<u16>>,
    /// Request body; above it the answer is 413. Default: no bound, since bodies are streamed and cost no memory.
    pub body_size: Option<Size>,
}

/// Bounds on the requests of one route.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteLimits {
    /// Request body; above it the answer is 413. Default: that of the file.
    pub body_size: Option<Size>,
}
