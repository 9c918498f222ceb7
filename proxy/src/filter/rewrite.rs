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

use http::HeaderValue;
use http::header::LOCATION;
use regex::Regex;
use serde::Deserialize;

use super::strip_prefix::{below, path_of, prefix};
use super::template::Template;
use super::{Filter, Request, Response, Verdict};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Spanned};
use crate::route::path::normalise;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind {
    name: "rewrite",
    summary: "another path, another query, or both",
    build,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The whole path; it may depend on the request.
    path: Option<Spanned<String>>,
    /// The beginning of the path that is replaced by `to`.
    prefix: Option<Spanned<String>>,
    /// The path that is replaced by `to`, as an expression for all of it.
    regex: Option<Spanned<String>>,
    /// With `prefix` or `regex`: what comes in its place. `$1` and `$name` are groups of the expression.
    to: Option<Spanned<String>>,
    /// The query; it may depend on the request.
    query: Option<Spanned<String>>,
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
    let wrong = |message: &str, label: &str| {
        vec![Diagnostic::error(message).at(options.span()).label(label)]
    };
    let path = match (&written.path, &written.prefix, &written.regex, &written.to) {
        (Some(path), None, None, None) => NewPath::Whole(Template::new(path)?),
        (None, Some(from), None, Some(to)) => NewPath::Prefix(prefix(from)?, prefix(to)?),
        (None, None, Some(from), Some(to)) => NewPath::Pattern(pattern(from)?, to.value.clone()),
        (None, None, None, None) if written.query.is_some() => NewPath::Same,
        (None, None, None, None) => {
            return Err(wrong(
                "a rewrite that changes nothing",
                "expected `path`, `prefix` and `to`, `regex` and `to`, or `query`",
            ));
        }
        _ => {
            return Err(wrong(
                "a rewrite of too many things, or too few",
                "expected `path`, or `prefix` and `to`, or `regex` and `to`",
            ));
        }
    };
    if written.location && !matches!(path, NewPath::Prefix(..)) {
        return Err(wrong(
            "a rewrite that cannot be undone",
            "`location` needs a `prefix`",
        ));
    }
    let query = written.query.as_ref().map(Template::new).transpose()?;
    Ok(Arc::new(Rewrite {
        path,
        query,
        location: written.location,
    }))
}

fn pattern(written: &Spanned<String>) -> Result<Regex, Vec<Diagnostic>> {
    Regex::new(&format!("^(?:{})$", written.value)).map_err(|error| {
        let text = error.to_string();
        let sentence = text.lines().last().unwrap_or_default();
        vec![
            Diagnostic::error(format!("`{}` is no regular expression", written.value))
                .at(written.span)
                .label(sentence.trim_start_matches("error: ")),
        ]
    })
}

impl Rewrite {
    fn path(&self, request: &Request<'_>) -> Option<String> {
        let path = match &self.path {
            NewPath::Same => return None,
            NewPath::Whole(template) => template.value(request.facts).into_owned(),
            NewPath::Prefix(from, to) => {
                let normal = normalise(&request.path).ok()?;
                format!("{to}{}", below(&normal, from)?)
            }
            NewPath::Pattern(pattern, to) => {
                let normal = normalise(&request.path).ok()?;
                let captures = pattern.captures(&normal)?;
                let mut path = String::new();
                captures.expand(to, &mut path);
                path
            }
        };
        // Whatever a client put into a group, it stays a path.
        let path = if path.starts_with('/') {
            path
        } else {
            format!("/{path}")
        };
        normalise(&path).ok().map(std::borrow::Cow::into_owned)
    }
}

impl Filter for Rewrite {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        if let Some(path) = self.path(request) {
            request.path = path.into();
        }
        if let Some(query) = &self.query {
            request.query = Some(query.value(request.facts).into_owned().into());
        }
        Verdict::Continue
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

    fn response(&self, response: &mut Response<'_>) {
        let NewPath::Prefix(from, to) = &self.path else {
            return;
        };
        if !self.location {
            return;
        }
        let location = response
            .headers
            .get(&LOCATION)
            .and_then(|value| value.to_str().ok());
        let back = location.and_then(|location| {
            let at = path_of(location, response.facts.host)?;
            let (origin, path) = location.split_at(at);
            Some(format!("{origin}{from}{}", below(path, to)?))
        });
        if let Some(Ok(back)) = back.map(|back| HeaderValue::from_str(&back)) {
            response.headers.insert(&LOCATION, back);
        }
    }
}
