//! What is known of a request, as it came, and the names by which values in the file ask for it.

use std::borrow::Cow;
use std::net::IpAddr;

use http::Method;

use crate::turns::Purpose;

/// A request, as it came.
pub struct Facts<'r> {
    /// Whether it is served, or only asked about: then nothing is counted and nothing drawn.
    pub purpose: Purpose,
    /// Who asks.
    pub client: Option<IpAddr>,
    /// The host that is asked, without port.
    pub host: &'r str,
    /// What is asked.
    pub method: &'r Method,
    /// The path, as it was spelled.
    pub path: &'r str,
    /// The path in its normal form.
    pub normal: &'r str,
    /// What follows the `?`.
    pub query: Option<&'r str>,
    /// The id that names it.
    pub id: &'r str,
    /// The route that takes it.
    pub route: &'r str,
    /// What a named group of the route's expression holds.
    pub capture: &'r (dyn Fn(&str) -> Option<String> + Sync),
}

/// A name for something that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Name {
    /// `client.ip`
    ClientIp,
    /// `request.host`
    Host,
    /// `request.method`
    Method,
    /// `request.path`
    Path,
    /// `request.query`
    Query,
    /// `request.id`
    Id,
    /// `route`
    Route,
    /// `path.NAME`
    Capture(String),
}

/// Names without a part that the file chooses.
const FIXED: [(&str, Name); 7] = [
    ("client.ip", Name::ClientIp),
    ("request.host", Name::Host),
    ("request.method", Name::Method),
    ("request.path", Name::Path),
    ("request.query", Name::Query),
    ("request.id", Name::Id),
    ("route", Name::Route),
];

/// What precedes the name of a group.
const CAPTURE: &str = "path.";

impl Name {
    /// The name as it is written.
    pub fn parse(written: &str) -> Option<Self> {
        let fixed = FIXED.iter().find(|(known, _)| *known == written);
        let capture = || {
            written
                .strip_prefix(CAPTURE)
                .filter(|group| !group.is_empty())
        };
        match fixed {
            Some((_, name)) => Some(name.clone()),
            None => capture().map(|group| Self::Capture(group.to_owned())),
        }
    }

    /// All that are known, as they are written.
    pub fn known() -> impl Iterator<Item = &'static str> {
        FIXED.iter().map(|(name, _)| *name).chain(["path.NAME"])
    }

    /// What it stands for; empty where there is nothing.
    pub fn value<'r>(&self, facts: &Facts<'r>) -> Cow<'r, str> {
        match self {
            Self::ClientIp => facts
                .client
                .map(|ip| ip.to_string())
                .unwrap_or_default()
                .into(),
            Self::Host => facts.host.into(),
            Self::Method => facts.method.to_string().into(),
            Self::Path => facts.path.into(),
            Self::Query => facts.query.unwrap_or_default().into(),
            Self::Id => facts.id.into(),
            Self::Route => facts.route.into(),
            Self::Capture(group) => (facts.capture)(group).unwrap_or_default().into(),
        }
    }
}
