//! `retry:` when a request is tried again on another server.
//!
//! ```yaml
//! retry: { attempts: 3 }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Spanned;

/// How often a request may be sent when a server could not be reached or hung up before it answered.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Attempts in all, the first included: `1` means never again. Default: 3, at most 10.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 10>")]
    #[schemars(range(min = 1, max = 10), extend("default" = 3))]
    pub attempts: Option<Spanned<u8>>,
}
