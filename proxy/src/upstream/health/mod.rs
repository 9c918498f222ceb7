//! Who is well: one file per kind of check, all named in [`KINDS`]; the pace, the thresholds and the port are the same for
//! all.
//!
//! ```yaml
//! health_check:
//!   http: { path: /api/health, interval: 2s, timeout: 1s, healthy_after: 2, unhealthy_after: 3 }
//! ```
//!
//! Every probe is a connection of its own: one that is kept open would not notice that new ones are refused. No server
//! counts as well before its first answer, the timeout is for the whole probe, and what is known belongs to the server, not
//! to an upstream.

mod grpc;
mod http;
mod pace;
mod probe;
mod tcp;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

pub use self::pace::Pace;
use self::pace::Settings;
use self::probe::{Probe, Progress};
pub use self::watch::{Findings, Health, Watch};
use crate::component::Kind;

/// Every kind of check there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<Check>>] = &[http::KIND, tcp::KIND, grpc::KIND];

/// A kind of check with its options.
pub struct Check {
    probe: Box<dyn Probe>,
    pace: Pace,
    port: Option<u16>,
    /// What is asked and where, without the pace.
    asks: String,
}

impl Check {
    /// `asks` says all that decides on the outcome, except the port.
    fn new(asks: &str, settings: Settings, probe: impl Probe + 'static) -> Self {
        let Settings { pace, port } = settings;
        Self {
            probe: Box::new(probe),
            asks: format!("{asks} at {port:?}"),
            pace,
            port,
        }
    }

    /// Equal identities mean the same check with the same options.
    pub fn identity(&self) -> String {
        format!("{} {:?}", self.asks, self.pace)
    }

    /// What is asked: checks that ask the same agree on who is well, at whatever pace.
    pub fn asks(&self) -> &str {
        &self.asks
    }

    /// When to probe and how many answers it takes.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Asks the server once.
    ///
    /// # Errors
    /// The reason, in words for an operator.
    pub async fn ask(&self, mut server: SocketAddr) -> Result<(), String> {
        if let Some(port) = self.port {
            server.set_port(port);
        }
        let (progress, patience) = (Progress::default(), self.pace.timeout);
        let asked = self.probe.ask(server, &progress);
        match tokio::time::timeout(patience, asked).await {
            Ok(outcome) => outcome,
            Err(_) => Err(format!("{} within {patience:?}", progress.missing())),
        }
    }
}

#[cfg(test)]
mod tests;
