//! Where a route ends, other than with one upstream: one file per way. Pure, no I/O: what is answered or chosen is computed
//! from the request, by the same code for a live one and for one that is only asked about.
//!
//! | file | holds |
//! |---|---|
//! | `redirect` | the client is sent elsewhere |
//! | `split` | upstreams that share the requests |

pub mod redirect;
pub mod split;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};

/// The `Content-Type` of a text that stands in the file.
pub const PLAIN_TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// The `Content-Type` of a file, by its name.
pub fn content_type(file: &str) -> HeaderValue {
    let kind = mime_guess::from_path(file).first_or_octet_stream();
    let charset = if kind.type_() == "text" {
        "; charset=utf-8"
    } else {
        ""
    };
    let octets = || HeaderValue::from_static("application/octet-stream");
    HeaderValue::try_from(format!("{kind}{charset}")).unwrap_or_else(|_| octets())
}

/// An answer of the proxy's own.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, those that frame it left out.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}
