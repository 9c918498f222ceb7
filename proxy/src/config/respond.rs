//! `respond:` a route that answers by itself.
//!
//! ```yaml
//! routes:
//!   robots: { match: { path: /robots.txt }, respond: { text: "User-agent: *\nDisallow: /\n" } }
//!   gone:   { match: { path_prefix: /v1 }, respond: { status: 410, headers: { Cache-Control: max-age=3600 } } }
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema::places;
use super::{FieldName, Named, Spanned};

/// Statuses of answers that have no body (RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5).
pub(super) const BODILESS: [u16; 3] = [204, 205, 304];

/// The answer.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("not" = places::no_two(&["text", "file"])),
    extend("allOf" = places::bodies_not_sent())
)]
pub struct Respond {
    /// Its status. Default: 200.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 200, 599>")]
    #[schemars(range(min = 200, max = 599), extend("default" = 200))]
    pub status: Option<Spanned<u16>>,
    /// Its fields. Default: a `Content-Type` of plain text, or what the name of the file says.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub headers: Named<Spanned<String>, FieldName>,
    /// Its body.
    pub text: Option<Spanned<String>>,
    /// A file with its body, at most 1 MiB, read when the routing file is; a relative one is looked for beside it.
    pub file: Option<Spanned<String>>,
}
