//! What the file asks for: everything that defines an upstream.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::balance::Policy;
use super::discover::Source;
use super::endpoint::Seat;
use super::health::Check;
use super::limits::Limits;
use super::outlier;
use super::pool::Rules;
use super::retry::Retry;
use super::standing::Duty;
use crate::config::{self, HedgeAfter, Share};

/// Waiting for a server, with every default filled in. Equal ones wait equally long, however they were written.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For the connection to stand.
    pub connect: Duration,
    /// The longest silence until the answer begins, if that is not the same as within it.
    pub first_byte: Option<Duration>,
    /// The longest silence within the answer.
    pub read: Duration,
    /// For a piece of the request to be taken.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The longest silence on an upgraded connection.
    pub tunnel: Duration,
    /// For the whole request with all its attempts.
    pub request: Option<Duration>,
}

impl Timeouts {
    /// The longest silence until the answer begins.
    pub fn first_byte(&self) -> Duration {
        self.first_byte.unwrap_or(self.read)
    }

    fn in_full(&self) -> [Option<Duration>; 7] {
        let first_byte = Some(self.first_byte());
        let [connect, read] = [self.connect, self.read].map(Some);
        let [write, idle, tunnel] = [self.write, self.idle, self.tunnel].map(Some);
        [connect, first_byte, read, write, idle, tunnel, self.request]
    }
}

impl PartialEq for Timeouts {
    fn eq(&self, other: &Self) -> bool {
        self.in_full() == other.in_full()
    }
}

impl Eq for Timeouts {}

/// A server as the file writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerSpec {
    /// Where it is.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// What else the file says of it.
    pub seat: Seat,
}

impl ServerSpec {
    /// At this address, and nothing else is said of it.
    pub fn at(address: SocketAddr) -> Self {
        Self {
            host: Host::Ip(address.ip()),
            port: address.port(),
            seat: Seat::of_weight(1),
        }
    }
}

impl From<&config::Server> for ServerSpec {
    fn from(server: &config::Server) -> Self {
        let host = match &server.address.host {
            config::Host::Ip(ip) => Host::Ip(*ip),
            config::Host::Name(name) => Host::Name(name.clone()),
        };
        let seat = Seat {
            weight: server.weight.value,
            priority: match server.is_backup() {
                true => Seat::BACKUP,
                false => server.priority.map_or(0, |priority| priority.value),
            },
            duty: match server.state {
                config::Duty::Serve => Duty::Serving,
                config::Duty::Drain => Duty::Draining,
                config::Duty::Disable => Duty::Disabled,
            },
            until: server.until.map(|until| until.get()),
        };
        Self {
            host,
            port: server.address.port,
            seat,
        }
    }
}

impl fmt::Display for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(ip) => SocketAddr::new(*ip, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// An address, or a name that stands for all the addresses it resolves to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// Fixed.
    Ip(IpAddr),
    /// Resolved, again and again.
    Name(String),
}

/// Everything that defines an upstream. Equal specs mean the same running upstream, kept over a reload.
#[derive(Clone)]
pub struct Spec {
    /// The name in the file.
    pub name: String,
    /// Its servers, if the file names them.
    pub servers: Vec<ServerSpec>,
    /// Who knows them, if the file does not.
    pub source: Option<Arc<dyn Source>>,
    /// How one is picked.
    pub policy: Arc<dyn Policy>,
    /// How to find out whether one is well.
    pub check: Option<Arc<Check>>,
    /// The share of its servers that has to be up; with fewer, all are asked.
    pub panic_below: Option<Share>,
    /// How long a server that has just come up warms up.
    pub slow_start: Duration,
    /// When a server is out for what became of its requests, if ever.
    pub outlier_ejection: Option<outlier::Bounds>,
    /// What it takes at a time.
    pub limits: Option<Limits>,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// When a request is sent again.
    pub retry: Retry,
    /// When it is sent to a second server beside the first.
    pub hedge: Option<HedgeAfter>,
    /// The longest time a name's addresses are believed.
    pub dns_refresh: Duration,
}

impl Spec {
    /// Whether both describe the same upstream.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.servers == other.servers
            && self.source.as_ref().map(|source| source.identity())
                == other.source.as_ref().map(|source| source.identity())
            && self.policy.identity() == other.policy.identity()
            && self.check.as_ref().map(|check| check.identity())
                == other.check.as_ref().map(|check| check.identity())
            && self.panic_below == other.panic_below
            && self.slow_start == other.slow_start
            && self.outlier_ejection == other.outlier_ejection
            && self.limits == other.limits
            && self.timeouts == other.timeouts
            && self.retry == other.retry
            && self.hedge == other.hedge
            && self.dns_refresh == other.dns_refresh
    }

    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            policy: self.policy.as_ref(),
            panic_below: self.panic_below,
            slow_start: self.slow_start,
            ejection: self.outlier_ejection.as_ref(),
        }
    }
}
