//! `response_headers`: changes the fields of the answer.
//!
//! ```yaml
//! filters:
//!   - response_headers:
//!       remove: [ X-Old ]
//!       rename: { X-From: X-To }
//!       set: { X-Route: "${route}" }
//!       add: { X-Seen: [ "${request.id}" ] }
//! ```
//!
//! Done in this order. What frames a message (`Content-Length` and the like) cannot be changed.

use std::sync::Arc;

use super::fields::{Changes, Written};
use super::{Filter, Response};
use crate::component::Kind;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "response_headers",
    "sets, adds, removes and renames fields of the answer",
    |options| Ok(Arc::new(ResponseHeaders(Changes::new(options)?))),
);

struct ResponseHeaders(Changes);

impl Filter for ResponseHeaders {
    fn response(&self, response: &mut Response<'_>) {
        self.0.apply(response.headers, response.facts);
    }

    fn groups(&self) -> Vec<String> {
        self.0.groups()
    }
}
