//! `admin:` the operator's side.
//!
//! ```yaml
//! admin: { address: "127.0.0.1:9901" }
//! ```

use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Spanned;

/// Where the operator's side listens.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// An address that clients cannot reach.
    #[serde(deserialize_with = "super::address::listen")]
    #[schemars(with = "super::address::Listen")]
    pub address: Spanned<SocketAddr>,
}
