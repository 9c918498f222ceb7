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
use http::{HeaderMap, StatusCode};

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
