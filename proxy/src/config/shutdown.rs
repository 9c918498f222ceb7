//! `shutdown:` how the process ends.
//!
//! ```yaml
//! shutdown: { delay: 5s, timeout: 30s }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;

/// What happens between SIGTERM and the end of the process.
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long `/ready` says 503 while connections are still accepted, so that whoever stands in front notices first.
    /// Default: `0s`.
    #[schemars(extend("default" = "0s"))]
    pub delay: Option<Duration>,
    /// How long requests in flight may take after that. Default: `30s`.
    #[schemars(extend("default" = "30s"))]
    pub timeout: Option<Duration>,
}
