//! Who is picked: one file per policy, all named in [`KINDS`].
//!
//! A [`Policy`] is what the file asks for; its [`Picker`] is made for one set of servers and made anew when the set
//! changes, so that picking needs no lock. What a server carries and how well it is belongs to the [`Endpoint`]: a policy only
//! chooses.

mod draw;
mod keyed;
mod least_request;
mod maglev;
mod peak_ewma;
mod random;
mod ring_hash;
mod round_robin;
#[cfg(test)]
mod simulation;
mod sticky;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue};

use super::Endpoint;
use crate::component::Kind;
use crate::turns::Purpose;

/// Every policy there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<dyn Policy>>] = &[
    round_robin::KIND,
    random::KIND,
    least_request::KIND,
    peak_ewma::KIND,
    ring_hash::KIND,
    maglev::KIND,
    sticky::KIND,
];

/// What one of them is called in messages.
pub const NOUN: &str = "balancing policy";

/// The name of the policy of an upstream that names none.
pub const DEFAULT: &str = round_robin::KIND.name;

/// How servers are picked.
pub trait Policy: Send + Sync {
    /// Equal identities mean the same policy with the same options.
    fn identity(&self) -> String;

    /// Prepares to pick from `ready`.
    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker>;

    /// Whether that takes milliseconds: a table is computed that holds for every key.
    fn takes_time(&self) -> bool {
        false
    }

    /// What of a request decides, if anything does; the same for all its attempts.
    fn key(&self, _request: &Request<'_>) -> Option<u64> {
        None
    }

    /// The key of the clients that are to stay with this server, if there are such.
    fn keeps(&self, _server: &Endpoint) -> Option<u64> {
        None
    }

    /// A `Set-Cookie` that keeps the client with the server that answered, if it is not with it already.
    fn cookie(&self, _key: Option<u64>, _server: &Endpoint) -> Option<HeaderValue> {
        None
    }

    /// Who is told what became of each attempt, if that decides on the next ones.
    fn learner(&self) -> Option<&dyn Learner> {
        None
    }
}

/// Hears what became of attempts.
pub trait Learner: Send + Sync {
    /// An attempt with `server` ended; `ready` are those that can be picked now.
    fn note(&self, server: &Endpoint, ready: &[Arc<Endpoint>], outcome: &Outcome);
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// What the server took, if that can be told: nothing if others had a part in it.
    pub took: Option<Duration>,
    /// When the server was picked.
    pub picked: Instant,
    /// When.
    pub at: Instant,
}

/// How far an attempt came, as far as it tells how a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the head of an answer.
    Answered,
    /// With none, or with one of 500 and above.
    Failed,
    /// The answer broke off after its head.
    BrokeOff,
    /// With a status that is about the request: 501, 505.
    Unable,
    /// The answer came to its end, and was none of these.
    Complete,
    /// The client did not wait for it.
    Left,
}

/// Picks from one set of servers.
pub trait Picker: Send + Sync {
    /// One of `ready`, the set that this picker was made for, and none of those that were tried.
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>>;
}

/// A request as policies see it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// Its fields, as the server gets them.
    pub headers: &'r HeaderMap,
    /// Its path as the client wrote it.
    pub path: &'r str,
    /// What the client wrote behind the `?`.
    pub query: Option<&'r str>,
    /// Who asked.
    pub client: Option<IpAddr>,
}

/// What a server is picked for.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'t> {
    /// The servers that failed the request.
    pub tried: &'t Tried,
    /// Whether it is served, or only asked about.
    pub purpose: Purpose,
    /// What of it decides, if anything does.
    pub key: Option<u64>,
    /// When.
    pub now: Instant,
}

/// The servers that already failed this request, or cannot take it: in order, for they may be thousands.
#[derive(Debug, Clone, Default)]
pub struct Tried(Vec<SocketAddr>);

impl Tried {
    /// Of a request that no server failed.
    pub const NONE: &'static Self = &Self(Vec::new());

    /// Not this one again.
    pub fn add(&mut self, address: SocketAddr) {
        if let Err(place) = self.0.binary_search(&address) {
            self.0.insert(place, address);
        }
    }

    /// The same, and none of these.
    #[must_use]
    pub fn with(&self, others: impl Iterator<Item = SocketAddr>) -> Self {
        let mut all: Vec<SocketAddr> = self.0.iter().copied().chain(others).collect();
        all.sort_unstable();
        all.dedup();
        Self(all)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it failed this request.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.0.binary_search(&address).is_ok()
    }
}
