//! The whole routing file.

use serde::Deserialize;

use super::{
    Admin, Component, Limits, Listener, Named, OneOrMany, Reload, Retry, Route, Shutdown, Spanned,
    Test, Text, Timeouts, Upstream,
};

/// The top of the file: five nouns and the settings that they inherit.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Where clients connect.
    pub listeners: Named<Listener>,
    /// Who answers them.
    #[serde(default)]
    pub upstreams: Named<Upstream>,
    /// Filters that routes use by name.
    #[serde(default)]
    pub filters: Named<Component>,
    /// Which request goes where.
    #[serde(default)]
    pub routes: Named<Route>,
    /// What must stay true: a file of which one of these fails is refused.
    #[serde(default)]
    pub tests: Named<Test, Text>,
    /// How long to wait for servers; an upstream may say otherwise.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// How much a client may ask for.
    #[serde(default)]
    pub limits: Limits,
    /// When a request is tried again; an upstream may say otherwise.
    #[serde(default)]
    pub retry: Retry,
    /// How edits are taken.
    #[serde(default)]
    pub reload: Reload,
    /// The operator's side.
    pub admin: Option<Admin>,
    /// How the process ends.
    #[serde(default)]
    pub shutdown: Shutdown,
    /// Other files that say a part of it: names, or patterns such as `routes/*.yaml`, beside the file that says this.
    pub include: Option<OneOrMany<Spanned<String>>>,
}
