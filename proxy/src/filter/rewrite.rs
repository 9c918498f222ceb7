//! `rewrite`: another path, another query, or both.
//!
//! ```yaml
//! filters:
//!   - rewrite: { path: "/by/${client.ip}" }                            # the whole path
//!   - rewrite: { prefix: /v1, to: /v2, location: true }                # its beginning; Location: /v2/x comes back as /v1/x
//!   - rewrite: { regex: "/blog/(?P<year>[0-9]{4})/(.*)", to: "/archive/$year/$2" }
//!   - rewrite: { query: "source=${route}" }                            # the path stays
//! ```
//!
//! The query stays as it is unless it is named. A path that does not fit stays. What fits is sent on in the normal form.

use std::sync::Arc;

use http::HeaderMap;
use http::uri::PathAndQuery;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::strip_prefix::{below, give_back, prefix};
use super::template::{Template, UrlPart};
use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::nearest::nearest;
use crate::config::schema::places;
use crate::config::{Code, Diagnostic, Phrase, Span, Spanned, code};
use crate::error::Failure;
use crate::route::matching::expression;
use crate::route::path::normalise;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Written>("rewrite", "another path, another query, or both", build);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = places::any_of(&["path", "prefix", "regex", "query"])))]
struct Written {
    /// The whole path; it may depend on the request.
    path: Option<Spanned<Phrase>>,
    /// The beginning of the path that is replaced by `to`.
    prefix: Option<Spanned<String>>,
    /// The path that is replaced by `to`, as an expression for all of it.
    regex: Option<Spanned<String>>,
    /// With `prefix` or `regex`: what comes in its place. `$1` and `$name` are groups of the expression.
    to: Option<Spanned<String>>,
    /// The query; it may depend on the request.
    query: Option<Spanned<Phrase>>,
    /// With `prefix`: whether redirects to this host get the old beginning back. Default: `false`.
    #[serde(default)]
    location: bool,
}

struct Rewrite {
    path: NewPath,
    query: Option<Template>,
    location: bool,
}

enum NewPath {
    Same,
    Whole(Template),
    Prefix(String, String),
    Pattern(Regex, String),
}

fn build(options: &Options) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let wrong = |code: Code, message: &str, label: &str| {
        vec![
            Diagnostic::error(code, message)
                .at(options.span())
                .label(label),
        ]
    };
    let path = match (&written.path, &written.prefix, &written.regex, &written.to) {
        (Some(path), None, None, None) => {
            let template = Template::new(path)?;
            written_path(&template.sample(), path, path.span)?;
            NewPath::Whole(template)
        }
        (None, Some(from), None, Some(to)) => NewPath::Prefix(prefix(from)?, prefix(to)?),
        (None, None, Some(from), Some(to)) => {
            let pattern = expression(from, from.span).map_err(|problem| vec![*problem])?;
            written_path(to, to, to.span)?;
            groups_are_known(to, &pattern)?;
            NewPath::Pattern(pattern, to.value.clone())
        }
        (None, None, None, None) if written.query.is_some() => NewPath::Same,
        (None, None, None, None) => {
            return Err(wrong(
                code::NOTHING_TO_DO,
                "a rewrite that changes nothing",
                "expected `path`, `prefix` and `to`, `regex` and `to`, or `query`",
            ));
        }
        _ => {
            return Err(wrong(
                code::REWRITE,
                "a rewrite of too many things, or too few",
                "expected `path`, or `prefix` and `to`, or `regex` and `to`",
            ));
        }
    };
    if written.location && !matches!(path, NewPath::Prefix(..)) {
        return Err(wrong(
            code::REWRITE,
            "a rewrite that cannot be undone",
            "`location` needs a `prefix`",
        ));
    }
    let query = written.query.as_ref().map(Template::new).transpose()?;
    if let (Some(query), Some(written)) = (&query, &written.query) {
        written_query(&query.sample(), written, written.span)?;
    }
    Ok(Arc::new(Rewrite {
        path,
        query,
        location: written.location,
    }))
}

/// The library takes `$nmae` for nothing, and `$1x` for a group of that name.
fn groups_are_known(to: &Spanned<String>, pattern: &Regex) -> Result<(), Vec<Diagnostic>> {
    let named: Vec<&str> = pattern.capture_names().flatten().collect();
    let is_known = |name: &str| match name.parse::<usize>() {
        Ok(number) => number < pattern.captures_len(),
        Err(_) => named.contains(&name),
    };
    let mut references = to.split('$').skip(1).map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        end.and_then(|end| rest.get(..end)).unwrap_or(rest)
    });
    let unknown = references.find(|name| !name.is_empty() && !is_known(name));
    match unknown {
        None => Ok(()),
        Some(name) => Err(vec![
            Diagnostic::error(
                code::NO_GROUP,
                format!("`${name}` is no group of the expression"),
            )
            .at(to.span)
            .label("would be nothing")
            .did_you_mean(nearest(name, named.iter().copied())),
        ]),
    }
}

/// What is written has to be a part of a URL, whatever the values are.
fn written_path(path: &str, written: &str, span: Span) -> Result<(), Vec<Diagnostic>> {
    let wrong = |why: &str| {
        let message = format!("`{written}` cannot be a path");
        let problem = Diagnostic::error(code::NOT_IN_A_URL, message)
            .at(span)
            .label(why);
        Err(vec![problem])
    };
    // A value may stand at the beginning.
    if !written.starts_with(['/', '$']) {
        return wrong("a path begins with `/`");
    }
    if path.contains(['?', '#']) {
        return wrong("what follows the `?` goes into `query`");
    }
    let path = format!("/{}", path.trim_start_matches('/'));
    if PathAndQuery::try_from(path.as_str()).is_err() || normalise(&path).is_err() {
        return wrong("characters that have to be percent-encoded (RFC 3986, section 3.3)");
    }
    Ok(())
}

fn written_query(query: &str, written: &str, span: Span) -> Result<(), Vec<Diagnostic>> {
    let is_query = PathAndQuery::try_from(format!("/?{query}")).is_ok() && !query.contains('#');
    if is_query {
        return Ok(());
    }
    let message = format!("`{written}` cannot be a query");
    let label = "characters that have to be percent-encoded (RFC 3986, section 3.4)";
    Err(vec![
        Diagnostic::error(code::NOT_IN_A_URL, message)
            .at(span)
            .label(label),
    ])
}

/// What a client asks for cannot be made into a path.
struct NoPath;

impl Rewrite {
    /// None if it stays.
    fn path(&self, request: &Request<'_>) -> Result<Option<String>, NoPath> {
        let normal = || normalise(&request.path).map_err(|_| NoPath);
        let path = match &self.path {
            NewPath::Same => return Ok(None),
            NewPath::Whole(template) => template.part_of_url(UrlPart::Path, request.facts),
            NewPath::Prefix(from, to) => match below(&normal()?, from) {
                Some(rest) => format!("{to}{rest}"),
                None => return Ok(None),
            },
            NewPath::Pattern(pattern, to) => match pattern.captures(&normal()?) {
                Some(captures) => {
                    let mut path = String::new();
                    captures.expand(to, &mut path);
                    path
                }
                None => return Ok(None),
            },
        };
        let path = if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        };
        // A group that holds `..` would lead out of where the file says.
        let climbs = |segment: &str| matches!(segment, "." | "..");
        if path.split('/').any(climbs) {
            return Err(NoPath);
        }
        let path = normalise(&path).map_err(|_| NoPath)?;
        Ok(Some(path.into_owned()))
    }
}

impl Filter for Rewrite {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let before = match self.path(request) {
            Ok(Some(path)) => Some(std::mem::replace(&mut request.path, path.into())),
            Ok(None) => None,
            Err(NoPath) => return Verdict::Refuse(Failure::BadRequest, HeaderMap::new()),
        };
        if let Some(query) = &self.query {
            let query = query.part_of_url(UrlPart::Query, request.facts);
            request.query = Some(query.into());
        }
        match (&self.path, before) {
            (NewPath::Prefix(from, to), Some(_)) if self.location => {
                let (from, to) = (from.clone(), to.clone());
                Verdict::Then(Box::new(move |response| give_back(&from, &to, response)))
            }
            _ => Verdict::Continue,
        }
    }

    fn groups(&self) -> Vec<String> {
        let path = match &self.path {
            NewPath::Whole(path) => Some(path),
            _ => None,
        };
        let templates = path.into_iter().chain(&self.query);
        templates
            .flat_map(Template::groups)
            .map(str::to_owned)
            .collect()
    }
}
