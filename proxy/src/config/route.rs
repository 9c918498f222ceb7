//! `routes:` which request goes where.
//!
//! ```yaml
//! routes:
//!   api:  { match: { path_prefix: /api }, upstream: api }
//!   site: { match: { host: [ example.com, "*.example.com" ], path_prefix: / }, upstream: frontend }
//! ```

use serde::Deserialize;

use super::Spanned;

/// A condition and where it leads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Which requests; an empty one takes all.
    #[serde(rename = "match", default)]
    pub matches: Match,
    /// The upstream's name.
    pub upstream: Spanned<String>,
}

/// All given conditions must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Match {
    /// `example.com`, or `*.example.com` for every name below it. One or several.
    pub host: Option<OneOrMany<Spanned<String>>>,
    /// The whole path.
    pub path: Option<Spanned<String>>,
    /// A path and everything below it: `/api` takes `/api` and `/api/x`, never `/apiary`.
    pub path_prefix: Option<Spanned<String>>,
}
