//! Who is well: one file per kind of check, all named in [`KINDS`]; the pace and the thresholds are the same for all.
//!
//! ```yaml
//! health_check:
//!   http: { path: /api/health, interval: 2s, timeout: 1s, healthy_after: 2, unhealthy_after: 3 }
//! ```
//!
//! The probes themselves are those of `pingora-load-balancing`. What it lacks is here: no server counts as well before
//! its first answer, a bound on the whole probe, jitter, and state that belongs to the server rather than to a balancer.

mod http;
mod pace;
mod tcp;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::HealthCheck;

pub use self::pace::Pace;
pub use self::watch::{Health, Watch};
use crate::component::Kind;

/// Every kind of check there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<Check>>] = &[http::KIND, tcp::KIND];

type Probe = Box<dyn HealthCheck + Send + Sync>;

/// A kind of check with its options.
pub struct Check {
    /// Made for the first server: each of Pingora's reads the system's certificates, milliseconds that an edit must not take
    /// for checks that run already.
    probe: LazyLock<Probe, Box<dyn FnOnce() -> Probe + Send>>,
    pace: Pace,
    /// What is asked, without the pace.
    asks: String,
}

impl Check {
    fn new(asks: String, pace: Pace, probe: impl FnOnce() -> Probe + Send + 'static) -> Self {
        Self {
            probe: LazyLock::new(Box::new(probe)),
            pace,
            asks,
        }
    }

    /// Makes the probe: where it takes no time from one that is under way.
    fn prepare(&self) {
        LazyLock::force(&self.probe);
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
    pub async fn ask(&self, address: SocketAddr) -> Result<(), String> {
        let Ok(backend) = Backend::new(&address.to_string()) else {
            return Err(format!("{address} is not an address"));
        };
        match tokio::time::timeout(self.pace.timeout, self.probe.check(&backend)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err(format!("no answer within {:?}", self.pace.timeout)),
        }
    }
}

/// Pingora's error in an operator's words.
fn describe(error: &pingora::Error) -> String {
    use pingora::ErrorType as E;
    match error.etype() {
        E::ConnectRefused => "connection refused".to_owned(),
        E::ConnectTimedout => "no connection in time".to_owned(),
        E::ConnectNoRoute => "no route to it".to_owned(),
        E::ReadTimedout | E::WriteTimedout => "no answer in time".to_owned(),
        E::ConnectionClosed => "it closed the connection without an answer".to_owned(),
        E::CustomCode(_, status) => format!("it answered {status}"),
        other => match error.cause.as_ref() {
            Some(cause) => format!("{}: {cause}", other.as_str()),
            None => other.as_str().to_owned(),
        },
    }
}
