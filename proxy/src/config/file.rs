//! The whole routing file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::places;
use super::{
    Admin, Component, Limits, Listener, Named, OneOrMany, Reload, Retry, Route, Shutdown, Spanned,
    Test, Text, Timeouts, Upstream,
};

/// The top of the file: five nouns and the settings that they inherit. Keys that begin with `x-` are free for anchors, and gone
/// before it is decoded.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("patternProperties" = { "^x-": {
    "description": "Anything: a place for anchors, without an effect of its own."
} }))]
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
    /// What must stay true: a file of which one of these fails is refused.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub tests: Named<Test, Text>,
    /// How long to wait for servers; an upstream may say otherwise.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: Timeouts,
    /// How much a client may ask for.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub limits: Limits,
    /// When a request is tried again; an upstream may say otherwise.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub retry: Retry,
    /// How edits are taken.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub reload: Reload,
    /// The operator's side.
    pub admin: Option<Admin>,
    /// How the process ends.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub shutdown: Shutdown,
    /// Other files that say a part of it: names, or patterns such as `routes/*.yaml`, beside the file that says this.
    pub include: Option<OneOrMany<Spanned<String>>>,
}
