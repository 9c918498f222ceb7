//! `health_check: http`: a server is well when it answers a request with an expected status, and what else is expected.
//!
//! ```yaml
//! health_check:
//!   http:
//!     method: GET                 # default; or HEAD, OPTIONS, POST
//!     path: /api/health
//!     host: api.internal          # default: tidegate
//!     headers: { Accept: application/json }
//!     statuses: [ 200, "300-399" ] # default: 200-299
//!     body: { contains: '"status":"ok"' }
//!     port: 8081
//!     interval: 2s
//!     down_interval: 1s
//!     timeout: 1s
//!     healthy_after: 2
//!     unhealthy_after: 3
//! ```

mod expected;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::expected::Expected;
use super::Check;
use super::pace::{self, settings};
use super::probe::{Probe, Progress, answer, broken, connect};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::schema::quantities::SomeTime;
use crate::config::{Diagnostic, Duration, FieldName, Named, Spanned, code};
use crate::upstream::ask;

pub(super) const KIND: Kind<Arc<Check>> = Kind::new::<Http>(
    "http",
    "a server is well when it answers a request as expected",
    build,
);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Http {
    /// `GET`, `HEAD`, `OPTIONS` or `POST`, without a body. Default: `GET`.
    #[serde(default)]
    method: Spanned<Method>,
    /// What is asked for. Default: `/`.
    #[serde(default = "path")]
    #[schemars(with = "places::Target")]
    path: Spanned<String>,
    /// The Host header: a host, with or without a port. Default: `tidegate`.
    #[serde(default = "host")]
    host: Spanned<String>,
    /// Further fields of the request.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    headers: Named<Spanned<String>, FieldName>,
    /// Statuses that mean well, alone or as ranges. Default: `200-299`.
    #[serde(default = "usual_statuses")]
    #[schemars(with = "Vec<places::Statuses>", extend("minItems" = 1))]
    statuses: Spanned<Vec<Spanned<String>>>,
    /// What the body has to be like. Default: anything.
    body: Option<Spanned<Body>>,
    /// Another port of the same server to ask at. Default: the one that requests go to.
    #[serde(
        default,
        deserialize_with = "crate::config::scalar::whole::<_, _, 1, 65535>"
    )]
    #[schemars(range(min = 1, max = 65535))]
    port: Option<Spanned<u16>>,
    /// From one probe to the next. Default: `5s`.
    #[serde(default = "pace::interval")]
    #[schemars(with = "pace::Interval")]
    interval: Spanned<Duration>,
    /// The same while the server is down. Default: a fifth of `interval`, but no less than `1s`, or `interval` if that is less.
    #[schemars(with = "Option<pace::Interval>")]
    down_interval: Option<Spanned<Duration>>,
    /// For the whole probe, the body of the answer included. Default: `2s`.
    #[serde(default = "pace::timeout")]
    #[schemars(with = "SomeTime")]
    timeout: Spanned<Duration>,
    /// Good answers in a row until a server that was down is used again. Default: 2.
    #[serde(default = "pace::healthy_after")]
    #[schemars(range(min = 1))]
    healthy_after: Spanned<u32>,
    /// Bad answers in a row until a server that was up is left out. Default: 3.
    #[serde(default = "pace::unhealthy_after")]
    #[schemars(range(min = 1))]
    unhealthy_after: Spanned<u32>,
}

/// What the first 64 KiB of a body have to be like, without spaces and ends of lines around them.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(
    extend("anyOf" = places::any_of(&["contains", "regex"])),
    extend("not" = places::no_two(&["contains", "regex"]))
)]
struct Body {
    /// This stands somewhere in it.
    #[schemars(length(min = 1))]
    contains: Option<Spanned<String>>,
    /// An expression for all of it.
    regex: Option<Spanned<String>>,
}

/// Those that change nothing at a server that does what they mean.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(rename = "ProbeMethod")]
enum Method {
    /// The usual one.
    #[default]
    Get,
    /// The head of the answer only.
    Head,
    /// What can be done there.
    Options,
    /// For a service that takes nothing else.
    Post,
}

/// The Host header of a probe whose check names none.
pub(super) const HOST_DEFAULT: &str = "tidegate";

fn path() -> Spanned<String> {
    "/".to_owned().into()
}

pub(super) fn host() -> Spanned<String> {
    HOST_DEFAULT.to_owned().into()
}

fn usual_statuses() -> Spanned<Vec<Spanned<String>>> {
    vec!["200-299".to_owned().into()].into()
}

fn build(options: &Options) -> Result<Arc<Check>, Vec<Diagnostic>> {
    let mut written: Http = options.decode()?;
    let mut wrong = Vec::new();
    let settings = collect(&mut wrong, settings!(options, written));
    let uri = collect(&mut wrong, target(&written.path));
    let host = collect(&mut wrong, authority(&written.host, "host of a probe"));
    let host = host.and_then(|host| HeaderValue::from_str(host.as_str()).ok());
    let host = host.unwrap_or(HeaderValue::from_static(HOST_DEFAULT));
    let fields = ask::fields(Some(host), &written.headers);
    let headers = collect(&mut wrong, fields);
    let expected = collect(&mut wrong, Expected::new(&written));
    match (settings, uri, headers, expected) {
        (Some(settings), Some(uri), Some(headers), Some(expected)) if wrong.is_empty() => {
            let asks = Asks {
                method: written.method.value.into(),
                uri,
                headers,
                expected,
            };
            Ok(Arc::new(Check::new(&asks.identity(), settings, asks)))
        }
        _ => Err(wrong),
    }
}

/// What is sent, and what has to come back.
struct Asks {
    method: http::Method,
    uri: Uri,
    headers: HeaderMap,
    expected: Expected,
}

impl Asks {
    fn identity(&self) -> String {
        let mut fields: Vec<_> = self.headers.iter().collect();
        fields.sort_by_key(|(name, _)| name.as_str());
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let Self {
            method,
            uri,
            expected,
            ..
        } = self;
        format!("{} {method} {uri} {fields:?} {expected:?}", KIND.name)
    }

    fn request(&self) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        if self.method == http::Method::POST {
            // A server may wait for a body whose end nobody told (RFC 9110, section 8.6).
            let fields = request.headers_mut();
            fields.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        request
    }
}

#[async_trait]
impl Probe for Asks {
    async fn ask(&self, address: SocketAddr, progress: &Progress) -> Result<(), String> {
        let stream = connect(address, progress).await?;
        let mut protocol = http1::Builder::new();
        // Some servers know field names only the way they are mostly written.
        protocol.title_case_headers(true);
        let spoken = protocol.handshake(stream).await;
        let (mut sender, connection) = spoken.map_err(|error| broken(&error, progress))?;
        let answering = sender.send_request(self.request());
        let answer = answer(connection, answering, progress).await?;
        self.expected.judge(&answer)
    }
}

impl From<Method> for http::Method {
    fn from(method: Method) -> Self {
        match method {
            Method::Get => Self::GET,
            Method::Head => Self::HEAD,
            Method::Options => Self::OPTIONS,
            Method::Post => Self::POST,
        }
    }
}

fn target(path: &Spanned<String>) -> Result<Uri, Vec<Diagnostic>> {
    let written = path.value.as_str();
    match (written.starts_with('/'), written.parse()) {
        (true, Ok(uri)) => Ok(uri),
        (is_absolute, _) => {
            let problem = Diagnostic::error(code::PATH, format!("`{written}` is not a path"));
            let problem = problem.at(path.span);
            Err(vec![if is_absolute {
                problem.label("no request can have it")
            } else {
                let problem = problem.label("a path begins with `/`");
                problem.help(format!("write `/{written}`"))
            }])
        }
    }
}

/// A host, with or without a port; `role` is what for. Whoever asks does not log in.
pub(super) fn authority(
    written: &Spanned<String>,
    role: &str,
) -> Result<Authority, Vec<Diagnostic>> {
    let parsed = written.parse::<Authority>().ok().filter(|parsed| {
        let rest = parsed.as_str().strip_prefix(parsed.host());
        rest.is_some_and(|rest| rest.is_empty() || parsed.port_u16().is_some())
    });
    parsed.ok_or_else(|| {
        let message = format!("`{}` cannot be the {role}", written.escape_debug());
        let problem = Diagnostic::error(code::HOST_NAME, message).at(written.span);
        vec![problem.label("expected a host, with or without a port: `shop.internal`")]
    })
}

pub(super) fn collect<T>(
    wrong: &mut Vec<Diagnostic>,
    result: Result<T, Vec<Diagnostic>>,
) -> Option<T> {
    result.map_err(|problems| wrong.extend(problems)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_port_or_none_and_nothing_else() {
        let authority = |text: &str| authority(&text.to_owned().into(), "host");
        for text in [
            "tidegate",
            "shop.internal:8080",
            "a_b",
            "[::1]:80",
            "10.0.0.7",
        ] {
            assert_eq!(authority(text).unwrap().as_str(), text);
        }
        for text in [
            "", "a b", "http://a", "a/b", "me@a", "a:b", "a:99999", "a:", "::1",
        ] {
            assert!(authority(text).is_err(), "{text}");
        }
    }
}
