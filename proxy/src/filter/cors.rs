//! `cors`: which other origins' pages may use what is answered here (the Fetch standard, "CORS protocol",
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! ```yaml
//! filters:
//!   - cors: { origins: "*" }
//!   - cors:
//!       origins: [ "https://app.example.com", "https://*.example.org" ]
//!       methods: [ GET, PUT, DELETE ]
//!       headers: [ Content-Type, X-Token ]
//!       expose: [ X-Total ]
//!       credentials: true
//!       max_age: 1h
//! ```
//!
//! A preflight request is answered here. What a server says about these things itself is replaced.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fields::{Fields, vary};
use super::{Filter, Request, Response, Verdict};
use crate::component::{Kind, Options};
use crate::config::schema::values::OneOrMore;
use crate::config::{self, Code, Diagnostic, OneOrMany, Spanned, code};
use crate::end::Reply;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "cors",
    "which other origins' pages may use what is answered here",
    build,
);

/// What a server would say about it.
const SAID_HERE: [HeaderName; 3] = [
    ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_EXPOSE_HEADERS,
];

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `https://app.example.com`, `https://*.example.com` for every name below it, or `*` for all. One or several.
    #[schemars(with = "OneOrMore<String>")]
    origins: OneOrMany<Spanned<String>>,
    /// What they may do; `*` for everything. Default: GET, HEAD and POST, which need no leave.
    methods: Option<OneOrMany<Spanned<String>>>,
    /// The fields that they may send; `*` for all. Default: those that need no leave.
    headers: Option<OneOrMany<Spanned<String>>>,
    /// The fields of the answer that they may read; `*` for all. Default: those that need no leave.
    expose: Option<OneOrMany<Spanned<String>>>,
    /// Whether they may send cookies. Default: `false`.
    #[serde(default)]
    credentials: bool,
    /// How long a browser need not ask again. Default: its own, 5 s.
    max_age: Option<Spanned<config::Duration>>,
}

struct Cors {
    shared: Arc<Settings>,
}

struct Settings {
    origins: Vec<Origin>,
    methods: Option<List>,
    headers: Option<List>,
    expose: Option<HeaderValue>,
    credentials: bool,
    max_age: Option<HeaderValue>,
}

enum Origin {
    Any,
    Exact(String),
    /// `https://` and `.example.com`.
    Below(String, String),
}

/// What a page asks leave for.
enum List {
    /// Whatever it asks for.
    Any,
    These(HeaderValue),
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let mut wrong = Vec::new();
    let origins: Vec<Origin> = written
        .origins
        .iter()
        .filter_map(|origin| {
            Origin::read(origin)
                .map_err(|problems| wrong.extend(problems))
                .ok()
        })
        .collect();
    if written.origins.is_empty() {
        let problem =
            Diagnostic::error(code::NOTHING_TO_DO, "no origin is let in").at(options.span());
        wrong.push(problem.label("`origins` is empty"));
    }
    let any = written.origins.iter().find(|origin| origin.value == "*");
    if let Some(any) = any.filter(|_| written.credentials) {
        wrong.push(
            Diagnostic::error(code::CREDENTIALS, "credentials for every origin")
                .at(any.span)
                .label("any page could act in the name of whoever looks at it")
                .help("name the origins, or remove `credentials`")
                .note("the Fetch standard forbids `*` with credentials"),
        );
    }
    let (method, field) = (("method", code::METHOD), ("field", code::FIELD_NAME));
    let is_method = |name: &str| Method::from_bytes(name.as_bytes()).is_ok();
    let is_field = |name: &str| HeaderName::from_bytes(name.as_bytes()).is_ok();
    let methods = list(written.methods.as_ref(), method, is_method, &mut wrong);
    let headers = list(written.headers.as_ref(), field, is_field, &mut wrong);
    let expose = list(written.expose.as_ref(), field, is_field, &mut wrong);
    if let (Some(List::Any), true) = (&expose, written.credentials) {
        wrong.push(
            Diagnostic::error(
                code::CREDENTIALS,
                "`expose: \"*\"` means nothing with credentials",
            )
            .at(options.span())
            .label("name the fields")
            .note("with credentials browsers take `*` for the name of a field (Fetch standard)"),
        );
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let max_age = written.max_age.map(|age| age.get().as_secs());
    Ok(Arc::new(Cors {
        shared: Arc::new(Settings {
            origins,
            methods,
            headers,
            expose: expose.map(|expose| match expose {
                List::Any => HeaderValue::from_static("*"),
                List::These(names) => names,
            }),
            credentials: written.credentials,
            max_age: max_age.map(HeaderValue::from),
        }),
    }))
}

fn list(
    written: Option<&OneOrMany<Spanned<String>>>,
    (noun, code): (&str, Code),
    is_one: impl Fn(&str) -> bool,
    wrong: &mut Vec<Diagnostic>,
) -> Option<List> {
    let written = written?;
    let mut names: Vec<&str> = Vec::new();
    for name in written {
        match name.value.as_str() {
            "*" => return Some(List::Any),
            text if is_one(text) => names.push(text),
            text => wrong.push(
                Diagnostic::error(code, format!("`{text}` cannot be a {noun}"))
                    .at(name.span)
                    .label(format!(
                        "no {noun} has such a name (RFC 9110, section 5.6.2)"
                    )),
            ),
        }
    }
    HeaderValue::from_str(&names.join(", "))
        .ok()
        .map(List::These)
}

impl Origin {
    fn read(written: &Spanned<String>) -> Result<Self, Vec<Diagnostic>> {
        let text = written.value.as_str();
        if text == "*" {
            return Ok(Self::Any);
        }
        let wrong = |label: &str| {
            let problem = Diagnostic::error(code::ORIGIN, format!("`{text}` is no origin"));
            vec![problem.at(written.span).label(label)]
        };
        let Some((scheme, host)) = text.split_once("://") else {
            return Err(wrong(
                "an origin begins with its scheme: `https://app.example.com`",
            ));
        };
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(wrong(
                "scheme, host and port, and nothing behind them: not even a `/`",
            ));
        }
        let (scheme, host) = (scheme.to_ascii_lowercase(), host.to_ascii_lowercase());
        let is_scheme = scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme || scheme.is_empty() {
            return Err(wrong(
                "an origin begins with its scheme: `https://app.example.com`",
            ));
        }
        let usual = match scheme.as_str() {
            "https" => ":443",
            "http" => ":80",
            _ => "none",
        };
        if host.ends_with(usual) {
            return Err(wrong(
                "browsers leave the usual port out, and it has to be left out here",
            ));
        }
        match host.strip_prefix('*') {
            Some(below) if below.starts_with('.') && below.len() > 1 && !below.contains('*') => {
                Ok(Self::Below(format!("{scheme}://"), below.to_owned()))
            }
            _ if host.contains('*') => Err(wrong(
                "a star stands for names below one: `https://*.example.com`",
            )),
            _ => Ok(Self::Exact(format!("{scheme}://{host}"))),
        }
    }

    fn is(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == origin,
            Self::Below(scheme, below) => {
                let host = origin.strip_prefix(scheme.as_str());
                host.is_some_and(|host| host.len() > below.len() && host.ends_with(below.as_str()))
            }
        }
    }
}

impl Settings {
    /// Whether the answer is the same for every origin.
    fn is_open(&self) -> bool {
        self.origins
            .iter()
            .any(|origin| matches!(origin, Origin::Any))
    }

    /// What `Access-Control-Allow-Origin` says to this origin.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.is_open() {
            return Some(HeaderValue::from_static("*"));
        }
        let text = origin.to_str().ok()?;
        let is_in = self.origins.iter().any(|known| known.is(text));
        is_in.then(|| origin.clone())
    }

    fn allow(&self, fields: &mut dyn Fields, allowed: HeaderValue) {
        fields.insert(&ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
        if self.credentials {
            let yes = HeaderValue::from_static("true");
            fields.insert(&ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
        }
    }

    fn preflight(&self, origin: &HeaderValue, asked: &HeaderMap) -> Reply {
        let mut headers = HeaderMap::new();
        if let Some(allowed) = self.allowed(origin) {
            self.allow(&mut headers, allowed);
            let lists = [
                (
                    &self.methods,
                    ACCESS_CONTROL_REQUEST_METHOD,
                    ACCESS_CONTROL_ALLOW_METHODS,
                ),
                (
                    &self.headers,
                    ACCESS_CONTROL_REQUEST_HEADERS,
                    ACCESS_CONTROL_ALLOW_HEADERS,
                ),
            ];
            for (list, wanted, said) in lists {
                // Said back as it was asked: with credentials a star would be a name like any.
                let value = match list {
                    Some(List::Any) => asked.get(wanted).cloned(),
                    Some(List::These(names)) => Some(names.clone()),
                    None => None,
                };
                headers.extend(value.map(|value| (said, value)));
            }
            let max_age = self.max_age.clone();
            headers.extend(max_age.map(|age| (ACCESS_CONTROL_MAX_AGE, age)));
        }
        headers.insert(
            VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
            ),
        );
        Reply {
            status: StatusCode::NO_CONTENT,
            headers,
            body: Bytes::new(),
        }
    }
}

impl Filter for Cors {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let Some(origin) = request.headers.get(ORIGIN) else {
            return Verdict::Continue;
        };
        let is_preflight = request.facts.method == Method::OPTIONS
            && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if is_preflight {
            let reply = self.shared.preflight(origin, request.headers);
            return Verdict::Respond(Box::new(reply));
        }
        let Some(allowed) = self.shared.allowed(origin) else {
            return Verdict::Continue;
        };
        let settings = Arc::clone(&self.shared);
        Verdict::Then(Box::new(move |response: &mut Response<'_>| {
            settings.allow(response.headers, allowed);
            if let Some(names) = &settings.expose {
                response
                    .headers
                    .insert(&ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
            }
        }))
    }

    /// Comes before what [`Verdict::Then`] asked for.
    fn response(&self, response: &mut Response<'_>) {
        for name in &SAID_HERE {
            response.headers.remove(name);
        }
        if !self.shared.is_open() {
            // Also for whoever is not let in: a cache must not hand that answer on to one who is.
            vary(response.headers, "Origin");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_names_below_and_for_nothing_else() {
        let below = Origin::Below("https://".to_owned(), ".example.org".to_owned());
        for (origin, is_in) in [
            ("https://a.example.org", true),
            ("https://a.b.example.org", true),
            ("https://example.org", false),
            ("https://.example.org", false),
            ("http://a.example.org", false),
            ("https://a.example.org:8443", false),
            ("https://aexample.org", false),
            ("https://a.example.org.evil.example", false),
            ("null", false),
        ] {
            assert_eq!(below.is(origin), is_in, "{origin}");
        }
    }
}
