//! `request_headers`: changes the fields of the request.
//!
//! ```yaml
//! filters:
//!   - request_headers:
//!       remove: [ X-Old ]
//!       rename: { X-From: X-To }
//!       set: { X-Route: "${route}" }
//!       add: { X-Seen: [ "${request.id}" ] }
//! ```
//!
//! Done in this order. What frames a message (`Content-Length` and the like) cannot be changed.

use std::sync::Arc;

use super::fields::{Changes, Written};
use super::{Filter, Request, Verdict};
use crate::component::Kind;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "request_headers",
    "sets, adds, removes and renames fields of the request",
    |options| Ok(Arc::new(RequestHeaders(Changes::new(options)?))),
);

struct RequestHeaders(Changes);

impl Filter for RequestHeaders {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        self.0.apply(request.headers, request.facts);
        Verdict::Continue
    }

    fn groups(&self) -> Vec<String> {
        self.0.groups()
    }
}
