//! `redirect:` a route that sends the client elsewhere.
//!
//! ```yaml
//! routes:
//!   secure: { match: { host: example.com }, redirect: { scheme: https, status: 301 } }
//!   moved:  { match: { path_prefix: /old }, redirect: { prefix: /new } }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code;
use super::schema::places;
use super::{Diagnostic, Spanned};

/// Statuses that send a client elsewhere (RFC 9110, section 15.4).
pub(super) const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

/// Where to. What is left out stays as the client wrote it.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("anyOf" = places::any_of(&["scheme", "host", "port", "path", "prefix"])),
    extend("not" = places::no_two(&["path", "prefix"]))
)]
pub struct Redirect {
    /// `http` or `https`.
    #[schemars(with = "Option<places::Scheme>")]
    pub scheme: Option<Spanned<String>>,
    /// A name or an address.
    pub host: Option<Spanned<String>>,
    /// Its port. Default: that of the scheme if one is given, or else that of the request.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 1, 65535>")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<Spanned<u16>>,
    /// In place of the whole path.
    #[schemars(with = "Option<places::Path>")]
    pub path: Option<Spanned<String>>,
    /// In place of what the route's `path_prefix` takes.
    #[schemars(with = "Option<places::Path>")]
    pub prefix: Option<Spanned<String>>,
    /// 301, 302, 303, 307 or 308. Default: 302.
    #[schemars(with = "Option<places::RedirectStatus>", extend("default" = 302))]
    pub status: Option<Spanned<u16>>,
    /// Whether the query goes with it. Default: `true`.
    #[schemars(extend("default" = true))]
    pub keep_query: Option<bool>,
}

/// What is wrong with a status that sends no client elsewhere (RFC 9110, section 15.4).
pub(crate) fn sends_nobody(status: Spanned<u16>) -> Option<Diagnostic> {
    let sends = REDIRECTS.contains(&status.value);
    let problem = Diagnostic::error(
        code::UNKNOWN_VALUE,
        format!("{} sends nobody elsewhere", status.value),
    );
    (!sends).then(|| {
        problem
            .at(status.span)
            .label("expected 301, 302, 303, 307 or 308")
    })
}
