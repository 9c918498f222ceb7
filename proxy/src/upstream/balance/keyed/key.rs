//! What of a request decides on its server.
//!
//! ```yaml
//! balance: { ring_hash: { key: { header: X-User } } }   # or { cookie: N }, { query: N }, client, path
//! ```

use std::net::IpAddr;

use http::HeaderValue;
use http::header::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Diagnostic, Spanned, code, field_name};
use crate::hash::hash;
use crate::route::condition::{cookie, parameter};
use crate::upstream::balance::Request;

/// What of a request decides on its server.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "BalanceKey")]
pub(crate) enum Written {
    /// The value of this field.
    Header(Spanned<String>),
    /// The value of this cookie.
    Cookie(Spanned<String>),
    /// The value of this parameter of the query.
    Query(Spanned<String>),
    /// The client's address.
    Client,
    /// The path, as the client wrote it.
    Path,
}

/// The same, ready to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Header(HeaderName),
    Cookie(String),
    Query(String),
    Client,
    Path,
}

impl Key {
    /// # Errors
    /// A name that no field, cookie or parameter has.
    pub(crate) fn read(written: &Written) -> Result<Self, Box<Diagnostic>> {
        match written {
            Written::Header(name) => field_name(name).map(Self::Header),
            Written::Cookie(name) => field_name(name).map(|_| Self::Cookie(name.value.clone())),
            Written::Query(name) if name.is_empty() => Err(Box::new(
                Diagnostic::error(code::BAD_NAME, "a parameter without a name")
                    .at(name.span)
                    .label("expected the name of a parameter, such as `user`"),
            )),
            Written::Query(name) => Ok(Self::Query(name.value.clone())),
            Written::Client => Ok(Self::Client),
            Written::Path => Ok(Self::Path),
        }
    }

    /// That of a request, if it has one. An empty value is none: those who have nothing to say would share one server.
    pub(crate) fn of(&self, request: &Request<'_>) -> Option<u64> {
        let some = |value: &[u8]| (!value.is_empty()).then(|| hash(0, value));
        match self {
            Self::Header(name) => some(request.headers.get(name).map(HeaderValue::as_bytes)?),
            Self::Cookie(name) => some(cookie(request.headers, name)?),
            Self::Query(name) => some(parameter(request.query?, name)?.as_bytes()),
            Self::Client => match request.client? {
                IpAddr::V4(address) => some(&address.octets()),
                IpAddr::V6(address) => some(&address.octets()),
            },
            Self::Path => some(request.path.as_bytes()),
        }
    }
}
