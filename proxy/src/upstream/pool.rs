//! The servers of one moment and who may be picked from them. Made anew whenever one comes, goes, falls ill or recovers,
//! so that picking reads and never computes.

use std::sync::Arc;

use super::Endpoint;
use super::balance::{Asked, Picker, Policy};
use super::health::Health;

/// Why nobody could be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// No address is known: the names do not resolve (yet).
    Empty,
    /// Every server fails its health check.
    AllDown,
    /// Every server that is well was tried already.
    AllTried,
}

/// The servers of one moment.
pub struct Pool {
    all: Vec<Arc<Endpoint>>,
    ready: Vec<Arc<Endpoint>>,
    picker: Box<dyn Picker>,
}

impl Pool {
    /// Those that are up may be picked. When there are none, those that were not probed yet: better a guess than a refusal.
    pub fn new(members: &[Arc<Endpoint>], policy: &dyn Policy) -> Self {
        let of = |health: Health| {
            members
                .iter()
                .filter(|member| member.health() == health)
                .cloned()
                .collect::<Vec<_>>()
        };
        let mut ready = of(Health::Up);
        if ready.is_empty() {
            ready = of(Health::Untried);
        }
        let picker = policy.picker(&ready);
        Self {
            all: members.to_vec(),
            ready,
            picker,
        }
    }

    /// Every known server.
    pub fn all(&self) -> &[Arc<Endpoint>] {
        &self.all
    }

    /// Those that may be picked.
    pub fn ready(&self) -> &[Arc<Endpoint>] {
        &self.ready
    }

    /// The server for a request.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn pick(&self, asked: &Asked<'_>) -> Result<&Arc<Endpoint>, Unavailable> {
        self.picker
            .pick(&self.ready, asked)
            .ok_or(if self.all.is_empty() {
                Unavailable::Empty
            } else if self.ready.is_empty() {
                Unavailable::AllDown
            } else {
                Unavailable::AllTried
            })
    }
}
