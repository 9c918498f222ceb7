//! `tests:` what must stay true. They are run whenever the file is read: one that fails refuses it.
//!
//! ```yaml
//! routes:
//!   api:    { match: { path_prefix: /api }, filters: [ { strip_prefix: /api } ], upstream: api }
//!   canary: { match: { path_prefix: /api, header: { X-User: ann } }, upstream: green }
//!   hidden: { match: { path_prefix: /admin }, respond: { status: 404, text: nothing here } }
//! tests:
//!   the API answers under /api: { request: GET /api/hello, expect: { route: api, path: /hello } }
//!   ann is a canary:
//!     request: { method: POST, url: "https://example.com/api/x", headers: { X-User: ann }, client: 10.1.2.3 }
//!     expect: { upstream: green, request_headers: { X-Forwarded-For: 10.1.2.3, X-Debug: { present: false } } }
//!   what a server says of itself stays: { request: /api/x, answer: { headers: { Server: x } }, expect: { response_headers: { Server: x } } }
//!   nobody finds the back door: { request: /admin/users, expect: { status: 404, body: { prefix: nothing } } }
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};

use super::complaint::Complaint;
use super::text_or_keys::{InFull, TextOrKeys};
use super::{ClientAddress, FieldName, Named, OneOrMany, Spanned, ValueMatch, code};

/// A request, and what must become of it.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// What is asked: `GET /api/hello`, or its parts.
    pub request: Question,
    /// What the server is taken to answer. Default: 200 without fields.
    pub answer: Option<Answer>,
    /// What must become of it.
    pub expect: Expect,
}

/// A request that nobody sends: `GET /api/hello`, or `{ method, url, headers, client }`.
#[derive(Debug, Clone, Serialize)]
pub struct Question {
    /// Default: `GET`.
    pub method: Spanned<String>,
    /// A path with its query, or a whole URL. The host of a path is `localhost` unless `headers` says otherwise.
    pub url: Spanned<String>,
    /// Its fields.
    pub headers: Named<Spanned<String>, FieldName>,
    /// Who asks. Default: `127.0.0.1`.
    pub client: Option<Spanned<ClientAddress>>,
}

impl Question {
    /// Who asks, where nobody says.
    pub const CLIENT: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST));
}

/// What a server is taken to answer.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// Default: 200.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 200, 599>")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<Spanned<u16>>,
    /// Its fields.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub headers: Named<Spanned<String>, FieldName>,
}

/// What must become of a request; what is left out may be anything.
#[derive(Debug, Clone, serde::Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct Expect {
    /// The route that takes it.
    pub route: Option<Spanned<String>>,
    /// The upstream that gets it; of a split without a key, all that take turns.
    pub upstream: Option<OneOrMany<Spanned<String>>>,
    /// Where the client is sent: the whole `Location`.
    pub redirect: Option<Spanned<String>>,
    /// What the client is answered.
    #[serde(default, deserialize_with = "super::scalar::whole::<_, _, 200, 599>")]
    #[schemars(range(min = 200, max = 599))]
    pub status: Option<Spanned<u16>>,
    /// Why the proxy refuses it: the `reason` in the answer and in the log, such as `no_route`.
    pub reason: Option<Spanned<String>>,
    /// The path, with its query, that the server is asked for.
    pub path: Option<Spanned<String>>,
    /// Fields that the server gets.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub request_headers: Named<Spanned<ValueMatch>, FieldName>,
    /// Fields that the client gets.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub response_headers: Named<Spanned<ValueMatch>, FieldName>,
    /// The body of an answer of the proxy's own.
    pub body: Option<Spanned<ValueMatch>>,
}

impl Expect {
    /// Whether nothing is expected.
    pub(super) fn is_empty(&self) -> bool {
        let named = [&self.request_headers, &self.response_headers];
        let texts = [&self.route, &self.redirect, &self.reason, &self.path];
        texts.iter().all(|text| text.is_none())
            && named.iter().all(|fields| fields.written().next().is_none())
            && self.upstream.is_none()
            && self.status.is_none()
            && self.body.is_none()
    }
}

impl<'de> Deserialize<'de> for Question {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Spanned::<TextOrKeys<Line, Parts>>::deserialize(deserializer)?;
        let span = written.span;
        let or_get = |method: Option<Spanned<String>>| {
            method.unwrap_or_else(|| Spanned::new("GET".to_owned(), span))
        };
        Ok(match written.value {
            TextOrKeys::Text(line) => Self {
                method: or_get(line.method.map(|method| Spanned::new(method, span))),
                url: Spanned::new(line.url, span),
                headers: Named::default(),
                client: None,
            },
            TextOrKeys::Keys(parts) => Self {
                method: or_get(parts.method),
                url: parts.url,
                headers: parts.headers,
                client: parts.client,
            },
        })
    }
}

#[derive(serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parts {
    /// Default: `GET`.
    #[schemars(extend("default" = "GET"))]
    method: Option<Spanned<String>>,
    /// A path with its query, or a whole URL.
    url: Spanned<String>,
    /// Its fields.
    #[serde(default)]
    headers: Named<Spanned<String>, FieldName>,
    /// Who asks. Default: `127.0.0.1`.
    #[schemars(extend("default" = "127.0.0.1"))]
    client: Option<Spanned<ClientAddress>>,
}

impl InFull for Parts {
    const EXPECTED: &'static str =
        "a request such as `GET /api/hello` or `{ method: POST, url: /api/hello }`";
}

/// `GET /api/hello`, `/api/hello`.
struct Line {
    method: Option<String>,
    url: String,
}

impl FromStr for Line {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words.as_slice() {
            [url] if is_url(url) => Ok(Self {
                method: None,
                url: (*url).to_owned(),
            }),
            [method, url] if is_url(url) => Ok(Self {
                method: Some((*method).to_owned()),
                url: (*url).to_owned(),
            }),
            words => {
                let complaint = Complaint::new(code::NO_REQUEST, format!("`{text}` is no request"))
                    .label("expected a method and a path or a URL, such as `GET /api/hello`");
                Err(match words {
                    [method, url, version] if is_url(url) && version.starts_with("HTTP/") => {
                        complaint.help(format!("write `{method} {url}`, without the version"))
                    }
                    [method, path] if method.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                        complaint.help(format!("write `{method} /{path}`"))
                    }
                    _ => complaint,
                })
            }
        }
    }
}

fn is_url(text: &str) -> bool {
    text.starts_with('/') || text == "*" || text.contains("://")
}
