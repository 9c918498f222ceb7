//! `routes:` which request goes where.
//!
//! ```yaml
//! routes:
//!   api:  { match: { path_prefix: /api }, upstream: api }
//!   site: { match: { host: [ example.com, "*.example.com" ], path_prefix: / }, upstream: frontend }
//!   beta:
//!     match:
//!       path_prefix: /api
//!       cookie: { beta: "1" }
//!       not: { client: 10.0.0.0/8 }
//!     upstream: api
//! ```

use schemars::JsonSchema;
use serde::Serialize;

use super::one_or_many::OneOrMany;
use super::schema::places;
use super::schema::values::OneOrMore;
use super::value_match::ValueMatch;
use super::{
    Component, FieldName, Mirror, Named, Network, Redirect, Respond, RouteLimits, Spanned, Split,
    Sticky, Text, Timeouts,
};

/// A request with a longer path, in bytes, has no place left for anything else.
pub(crate) const PATH_MAX: usize = 4096;

/// A condition and where it leads: exactly one of `upstream`, `split`, `redirect` and `respond`.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("oneOf" = places::ends(), "dependentSchemas" = places::beside_a_server()),
    extend("dependentRequired" = { "sticky": ["split"] })
)]
pub struct Route {
    /// Which requests; an empty one takes all.
    #[serde(rename = "match")]
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub matches: Match,
    /// Above every route with a smaller one, whatever their conditions. Default: 0.
    #[schemars(extend("default" = 0))]
    pub priority: Option<Spanned<i32>>,
    /// What happens on the way: filters, or names of filters. They run in this order, and on the way out in reverse.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<places::FilterOrName>")]
    pub filters: Vec<Component>,
    /// Ends here: the upstream that answers.
    pub upstream: Option<Spanned<String>>,
    /// Ends here: upstreams that share the requests.
    #[schemars(with = "Option<Named<places::Weight>>", extend("minProperties" = 1, "not" = places::all_of_nothing()))]
    pub split: Option<Split>,
    /// With `split`: what keeps a client with the upstream that it had. Default: nothing.
    pub sticky: Option<Spanned<Sticky>>,
    /// Ends here: the client is sent elsewhere.
    pub redirect: Option<Spanned<Redirect>>,
    /// Ends here: the proxy answers.
    pub respond: Option<Spanned<Respond>>,
    /// Beside `upstream` or `split`: copies of requests go to another upstream.
    pub mirror: Option<Spanned<Mirror>>,
    /// How long to wait for servers. A key that is left out is taken from the upstream.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub timeouts: Timeouts,
    /// How much a client may ask for.
    #[serde(default, skip_serializing_if = "super::written::says_nothing")]
    pub limits: RouteLimits,
}

impl Route {
    /// The upstreams that it names.
    pub fn upstreams(&self) -> impl Iterator<Item = &Spanned<String>> {
        let split = self.split.iter().flat_map(|split| split.iter());
        let mirror = self.mirror.iter().map(|mirror| &mirror.upstream);
        let ends = self.upstream.iter().chain(split.map(|(arm, _)| arm));
        ends.chain(mirror)
    }
}

/// All given conditions must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("not" = places::no_two(&["path", "path_prefix", "path_regex"])))]
pub struct Match {
    /// `example.com`, or `*.example.com` for every name below it. One or several.
    #[schemars(with = "Option<OneOrMore<places::HostPattern>>")]
    pub host: Option<OneOrMany<Spanned<String>>>,
    /// The whole path.
    #[schemars(with = "Option<places::MatchedPath>")]
    pub path: Option<Spanned<String>>,
    /// A path and everything below it: `/api` takes `/api` and `/api/x`, never `/apiary`.
    #[schemars(with = "Option<places::MatchedPath>")]
    pub path_prefix: Option<Spanned<String>>,
    /// An expression for the whole path.
    pub path_regex: Option<Spanned<String>>,
    /// `GET`. One or several.
    #[schemars(with = "Option<OneOrMore<places::Method>>")]
    pub method: Option<OneOrMany<Spanned<String>>>,
    /// Header fields by name; of several values one is enough.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    #[schemars(with = "Named<OneOrMore<ValueMatch>, FieldName>")]
    pub header: Named<OneOrMany<Spanned<ValueMatch>>, FieldName>,
    /// Parameters of the query by name, decoded; the first one of a name counts.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    #[schemars(with = "Named<OneOrMore<ValueMatch>, Text>")]
    pub query: Named<OneOrMany<Spanned<ValueMatch>>, Text>,
    /// Cookies by name, as they are sent.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    #[schemars(with = "Named<OneOrMore<ValueMatch>, FieldName>")]
    pub cookie: Named<OneOrMany<Spanned<ValueMatch>>, FieldName>,
    /// Addresses and networks: `10.0.0.0/8`. One or several.
    #[schemars(with = "Option<OneOrMore<Network>>")]
    pub client: Option<OneOrMany<Spanned<Network>>>,
    /// What must not hold, all of it together. Of several, none.
    pub not: Option<OneOrMany<Match>>,
    /// One of these has to hold as well.
    #[schemars(extend("minItems" = 1))]
    pub any: Option<Vec<Match>>,
}
