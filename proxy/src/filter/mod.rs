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
//! before it still see the answer. What takes time it does not do but asks for ([`Verdict::Wait`], [`Verdict::Work`]).
//!
//! | file | holds |
//! |---|---|
//! | `facts` | what is known of a request, and the names by which values in the file ask for it |
//! | `template` | a value with such names in it |
//! | `fields` | the fields of a head, as filters change them |
//! | the others | a filter each |

mod basic_auth;
mod body_limit;
mod compress;
mod cors;
pub mod facts;
mod fault;
pub mod fields;
mod ip_access;
mod maintenance;
mod rate_limit;
mod redirect_https;
mod request_headers;
mod response_headers;
mod rewrite;
mod set_host;
mod strip_prefix;
pub mod template;

use std::any::Any;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use self::facts::Facts;
use self::fields::Fields;
use crate::component::{self, Built, Kind, Surroundings};
use crate::config::{Component, Diagnostic};
use crate::end::Reply;
use crate::error::Failure;
use crate::route::condition;

/// Every filter there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<dyn Filter>>] = &[
    request_headers::KIND,
    response_headers::KIND,
    strip_prefix::KIND,
    rewrite::KIND,
    set_host::KIND,
    redirect_https::KIND,
    cors::KIND,
    compress::KIND,
    rate_limit::KIND,
    body_limit::KIND,
    ip_access::KIND,
    maintenance::KIND,
    basic_auth::KIND,
    fault::KIND,
];

/// The filters that a file may name: [`KINDS`], and those of whoever builds a Tidegate of their own.
#[derive(Default)]
pub struct Catalogue {
    added: Vec<Kind<Arc<dyn Filter>>>,
}

impl Catalogue {
    /// With one more. One that has the name of another takes its place.
    #[must_use]
    pub fn with(mut self, kind: Kind<Arc<dyn Filter>>) -> Self {
        self.added.insert(0, kind);
        self
    }

    /// What they are called.
    pub fn names(&self) -> Vec<&'static str> {
        self.kinds().map(|kind| kind.name).collect()
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.kinds().any(|kind| kind.name == name)
    }

    /// Makes the one that was written.
    ///
    /// # Errors
    /// An unknown name, or all mistakes in the options.
    pub fn build(
        &self,
        written: &Component,
        surroundings: &Surroundings,
    ) -> Result<Built<Arc<dyn Filter>>, Vec<Diagnostic>> {
        let is_added = self.added.iter().any(|kind| kind.name == *written.name);
        let kinds = if is_added { &self.added } else { KINDS };
        component::build("filter", kinds, written, surroundings)
    }

    /// All of them, each once.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind<Arc<dyn Filter>>> {
        let is_replaced = |name| self.added.iter().any(|kind| kind.name == name);
        let ours = KINDS.iter().filter(move |kind| !is_replaced(kind.name));
        ours.chain(&self.added)
    }
}

/// Something that happens on the way.
pub trait Filter: Any + Send + Sync {
    /// On the way in.
    fn request(&self, _request: &mut Request<'_>) -> Verdict {
        Verdict::Continue
    }

    /// On the way out, of every answer that comes by.
    fn response(&self, _response: &mut Response<'_>) {}

    /// The groups of the route's `path_regex` that it asks for.
    fn groups(&self) -> Vec<String> {
        Vec::new()
    }

    /// It takes the place of `before`, which has its name in the file that ran until now: what that one counted goes on.
    fn go_on_from(&self, _before: &dyn Filter) {}
}

/// What is done with an answer on its way out.
pub type Return = Box<dyn FnOnce(&mut Response<'_>) + Send + Sync>;

/// Whether a request goes on.
pub enum Verdict {
    /// To the next filter, or to where the route ends.
    Continue,
    /// The same, and this is done with the answer when it comes by.
    Then(Return),
    /// Back, with this answer.
    Respond(Box<Reply>),
    /// Back, with the usual answer to this failure, and these fields.
    Refuse(Failure, HeaderMap),
    /// What follows, after a while.
    Wait(Duration, Box<Verdict>),
    /// What this says. It takes more time than others can be kept waiting for, so it is done elsewhere.
    Work(Box<dyn FnOnce() -> Verdict + Send>),
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
    /// Bytes that its body may have, if that is bounded here. The server is sent none of a body whose length is not known
    /// before it is known not to be too large, as far as that is kept in memory.
    pub body_size: Option<u64>,
}

impl Request<'_> {
    /// Whether all of these hold for it, as it is by now.
    pub fn fulfils(&self, conditions: &[condition::Condition]) -> bool {
        let request = condition::Request {
            host: self.facts.host,
            path: self.facts.normal,
            query: self.facts.query,
            method: self.facts.method,
            headers: self.headers,
            client: self.facts.client,
        };
        condition::all_hold(conditions, &request)
    }
}

/// An answer on its way out.
pub struct Response<'r> {
    /// The request, as it came.
    pub facts: &'r Facts<'r>,
    /// How it went.
    pub status: StatusCode,
    /// The fields that are sent.
    pub headers: &'r mut dyn Fields,
    /// What its body goes through, one after the other.
    pub body: &'r mut Vec<Box<dyn Transform>>,
}

/// Changes a body while it passes. Whoever adds one sees to the fields that speak of the body; the framing follows.
pub trait Transform: Send {
    /// What is sent for this piece, which may be empty. After the last one nothing comes.
    fn piece(&mut self, piece: Bytes, is_last: bool) -> Bytes;
}
