//! `strip_prefix`: takes the beginning off the path. The server is told what was taken by `X-Forwarded-Prefix`, as Traefik
//! does.
//!
//! ```yaml
//! filters:
//!   - strip_prefix: /api                               # /api/users becomes /users, /api becomes /
//!   - strip_prefix: { prefix: /v1, location: true }    # Location: /login comes back as /v1/login
//! ```
//!
//! A path that does not begin so stays. What is sent on is in the normal form.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use http::header::{HeaderName, LOCATION};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::{Filter, Request, Response, Verdict};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::{Diagnostic, Spanned, code};
use crate::route::path::normalise;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Written>("strip_prefix", "takes the beginning off the path", build);

const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

struct StripPrefix {
    /// In the normal form, without a slash at its end.
    prefix: String,
    location: bool,
}

fn build(options: &Options) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let Written(full) = options.decode()?;
    Ok(Arc::new(StripPrefix {
        prefix: prefix(&full.prefix)?,
        location: full.location,
    }))
}

/// A prefix of paths in the normal form, without a slash at its end.
pub(super) fn prefix(written: &Spanned<String>) -> Result<String, Vec<Diagnostic>> {
    let wrong = |why: String| {
        let problem = Diagnostic::error(
            code::PATH,
            format!("`{}` is no beginning of a path", written.value),
        );
        vec![problem.at(written.span).label(why)]
    };
    match normalise(written) {
        _ if !written.starts_with('/') => Err(wrong("a path begins with `/`".to_owned())),
        Err(why) => Err(wrong(why.to_string())),
        Ok(normal) => Ok(normal.trim_end_matches('/').to_owned()),
    }
}

/// What is left of a path below a prefix; none if it is not below it.
pub(super) fn below<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

impl Filter for StripPrefix {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let Ok(normal) = normalise(&request.path) else {
            return Verdict::Continue;
        };
        let Some(rest) = below(&normal, &self.prefix) else {
            return Verdict::Continue;
        };
        let rest = if rest.is_empty() { "/" } else { rest }.to_owned();
        request.path = rest.into();
        if let Ok(prefix) = HeaderValue::from_str(&self.prefix) {
            request.headers.insert(FORWARDED_PREFIX, prefix);
        }
        if !self.location {
            return Verdict::Continue;
        }
        let prefix = self.prefix.clone();
        Verdict::Then(Box::new(move |response| give_back(&prefix, "", response)))
    }
}

/// A redirect to a path below `to` on this host leads below `from` instead; one that does already was meant so.
pub(super) fn give_back(from: &str, to: &str, response: &mut Response<'_>) {
    let location = response.headers.get(&LOCATION);
    let back = location.and_then(|location| {
        let location = location.to_str().ok()?;
        let at = path_of(location, response.facts.host)?;
        let (origin, rest) = location.split_at(at);
        let path = rest.split(['?', '#']).next().unwrap_or_default();
        if below(path, from).is_some() {
            return None;
        }
        below(path, to)?;
        let rest = rest.get(to.len()..)?;
        HeaderValue::from_str(&format!("{origin}{from}{rest}")).ok()
    });
    if let Some(back) = back {
        response.headers.insert(&LOCATION, back);
    }
}

/// Where the path of a `Location` begins, if it leads to this host.
pub(super) fn path_of(location: &str, host: &str) -> Option<usize> {
    if location.starts_with('/') && !location.starts_with("//") {
        return Some(0);
    }
    let (_, rest) = location.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => authority,
    };
    let at = location.len() - rest.len() + authority.len();
    (name.eq_ignore_ascii_case(host) && location[at..].starts_with('/')).then_some(at)
}

/// `/api`, or `{ prefix: /api, location: true }`.
#[derive(Serialize)]
#[serde(transparent)]
struct Written(Full);

impl JsonSchema for Written {
    fn schema_name() -> Cow<'static, str> {
        "StripPrefix".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let prefix = generator.subschema_for::<places::Beginning>();
        json_schema!({ "anyOf": [prefix, Full::json_schema(generator)] })
    }
}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Full {
    /// What is taken off.
    #[schemars(with = "places::Beginning")]
    prefix: Spanned<String>,
    /// Whether redirects to this host get it back. Default: `false`.
    #[serde(default)]
    location: bool,
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<Either>::deserialize(deserializer)?;
        Ok(Self(match written.value {
            Either::Short(prefix) => Full {
                prefix: Spanned::new(prefix, written.span),
                location: false,
            },
            Either::Full(full) => full,
        }))
    }
}

enum Either {
    Short(String),
    Full(Full),
}

impl<'de> Deserialize<'de> for Either {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherVisitor)
    }
}

struct EitherVisitor;

impl<'de> Visitor<'de> for EitherVisitor {
    type Value = Either;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a prefix such as `/api`, or `{ prefix: /api, location: true }`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Either, E> {
        Ok(Either::Short(text.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Either, A::Error> {
        Full::deserialize(MapAccessDeserializer::new(map)).map(Either::Full)
    }
}
