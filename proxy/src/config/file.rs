//! The whole routing file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::places;
use super::{
    Admin, Component, Limits, Listener, Named, Retry, Route, Shutdown, Timeouts, Upstream,
};

/// The top of the file: five nouns and the settings that they inherit.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where clients connect.
    #[schemars(extend("minProperties" = 1))]
    pub listeners: Named<Listener>,
    /// Who answers them.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub upstreams: Named<Upstream>,
    /// Filters that routes use by name.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    #[schemars(with = "Named<places::Filter>")]
    pub filters: Named<Component>,
    /// Which request goes where.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub routes: Named<Route>,
    /// How long to wait for servers; an upstream may say otherwise.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: Timeouts,
    /// How much a client may ask for.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub limits: Limits,
    /// When a request is tried again; an upstream may say otherwise.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub retry: Retry,
    /// The operator's side.
    pub admin: Option<Admin>,
    /// How the process ends.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub shutdown: Shutdown,
}
