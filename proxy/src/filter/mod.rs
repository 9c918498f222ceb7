//! What happens on the way to where a route ends, and on the way back: one file per filter, all named in [`KINDS`].
//!
//! ```yaml
//! routes:
//!   api:
//!     match: { path_prefix: /api }
//!     filters:
//!       - strip_prefix: /api
//!       - request_headers: { set: { X-Client: "${client.ip}" }, remove: [ X-Debug ] }
//!     upstream: api
//! ```
//!
//! They run in the written order on the way in and in reverse on the way out. A filter sees the request and the answer, never
//! a session or a socket; what it needs to know of them is in [`Facts`]. One that answers by itself ends the way in: those
//! before it still see the answer.
//!
//! | file | holds |
//! |---|---|
//! | `facts` | what is known of a request, and the names by which values in the file ask for it |
//! | `template` | a value with such names in it |
//! | `fields` | the fields of a head, as filters change them |
//! | the others | a filter each |

pub mod facts;
pub mod fields;
mod request_headers;
mod response_headers;
mod rewrite;
mod set_host;
mod strip_prefix;
pub mod template;

use std::borrow::Cow;
use std::sync::Arc;

use http::HeaderMap;

use self::facts::Facts;
use self::fields::Fields;
use crate::component::Kind;
use crate::end::Reply;

/// Every filter there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<dyn Filter>>] = &[
    request_headers::KIND,
    response_headers::KIND,
    strip_prefix::KIND,
    rewrite::KIND,
    set_host::KIND,
];

/// Something that happens on the way.
pub trait Filter: Send + Sync {
    /// On the way in.
    fn request(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Continue
    }

    /// On the way out.
    fn response(&self, _response: &mut Response<'_>) {}
}

/// Whether a request goes on.
#[derive(Debug)]
pub enum Verdict {
    /// To the next filter, or to where the route ends.
    Continue,
    /// Back, with this answer.
    Respond(Box<Reply>),
}

/// A request on its way in.
pub struct Request<'r> {
    /// As it came.
    pub facts: &'r Facts<'r>,
    /// The path that is sent on.
    pub path: Cow<'r, str>,
    /// The query that is sent on.
    pub query: Option<Cow<'r, str>>,
    /// The fields that are sent on.
    pub headers: &'r mut HeaderMap,
}

/// An answer on its way out.
pub struct Response<'r> {
    /// The request, as it came.
    pub facts: &'r Facts<'r>,
    /// The fields that are sent.
    pub headers: &'r mut dyn Fields,
}
