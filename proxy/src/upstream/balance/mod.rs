//! Who is picked: one file per policy, all named in [`KINDS`].
//!
//! A [`Policy`] is what the file asks for; its [`Picker`] is made for one set of servers and made anew when the set
//! changes, so that picking needs neither a lock nor a computation. What a server carries and how well it is belongs to
//! the [`Endpoint`]: a policy only chooses.

mod round_robin;

use std::net::SocketAddr;
use std::sync::Arc;

use super::Endpoint;
use crate::component::Kind;
use crate::turns::Purpose;

/// Every policy there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<dyn Policy>>] = &[round_robin::KIND];

/// The name of the policy of an upstream that names none.
pub const DEFAULT: &str = round_robin::KIND.name;

/// How servers are picked.
pub trait Policy: Send + Sync {
    /// Equal identities mean the same policy with the same options.
    fn identity(&self) -> String;

    /// Prepares to pick from `ready`.
    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker>;
}

/// Picks from one set of servers.
pub trait Picker: Send + Sync {
    /// One of `ready`, the set that this picker was made for, and none of `tried`.
    fn pick<'a>(
        &self,
        ready: &'a [Arc<Endpoint>],
        tried: &Tried,
        purpose: Purpose,
    ) -> Option<&'a Arc<Endpoint>>;
}

/// The servers that already failed this request.
#[derive(Debug, Default)]
pub struct Tried(Vec<SocketAddr>);

impl Tried {
    /// Not this one again.
    pub fn add(&mut self, address: SocketAddr) {
        self.0.push(address);
    }

    /// Whether it failed this request.
    pub fn contains(&self, address: SocketAddr) -> bool {
        self.0.contains(&address)
    }
}
