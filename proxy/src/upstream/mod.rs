//! Who answers: an upstream is a set of servers that answer alike, and what is known about each right now.
//!
//! | file | holds |
//! |---|---|
//! | `endpoint` | one server: its address, its weight, what is in flight to it |
//! | `pool` | the servers of one moment and who may be picked from them |
//! | `standing` | what is known of a server within its upstream, over reloads |
//! | `tally` | what was asked and how it ended, counted, over reloads |
//! | `kept` | the connections to one server that wait for their next request |
//! | `latency` | how long one server takes to answer |
//! | `copies` | requests that are sent to see what becomes of them |
//! | `events`, `news` | what happened to servers lately, and how that is found out |
//! | `live` | what outlives a reload: health, load and connections by address, addresses by name |
//! | `balance/` | who is picked: one file per policy |
//! | `health/` | who is well: one file per kind of check |
//! | `outlier/`, `ejection` | who is out for what became of its requests: one file per reason |
//! | `discover/` | who is there: one file per source of addresses |

pub mod balance;
pub mod copies;
pub mod discover;
mod ejection;
pub mod endpoint;
pub mod events;
pub mod health;
pub mod kept;
pub mod latency;
pub mod live;
mod news;
pub mod outlier;
mod pool;
pub mod standing;
pub mod tally;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use tokio::task::AbortHandle;

use self::balance::{Outcome, Policy};
use self::discover::dns::Name;
pub use self::endpoint::{Endpoint, InFlight, Seat};
use self::events::Event;
use self::health::{Check, Watch};
pub use self::live::Live;
use self::pool::Rules;
pub use self::pool::{Pool, Unavailable};
use self::standing::{Duty, Order};
use self::tally::Tally;
use crate::config::Share;

/// Waiting for a server, with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection to stand.
    pub connect: Duration,
    /// The longest silence, before the answer and within it.
    pub read: Duration,
    /// For a piece of the request to be taken.
    pub write: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The longest silence on an upgraded connection.
    pub tunnel: Duration,
}

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
    /// Its servers.
    pub servers: Vec<ServerSpec>,
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
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often a request may be sent in all.
    pub attempts: u8,
    /// The longest time a name's addresses are believed.
    pub dns_refresh: Duration,
}

impl Spec {
    /// Whether both describe the same upstream.
    pub fn same(&self, other: &Self) -> bool {
        self.name == other.name
            && self.servers == other.servers
            && self.policy.identity() == other.policy.identity()
            && self.check.as_ref().map(|check| check.identity())
                == other.check.as_ref().map(|check| check.identity())
            && self.panic_below == other.panic_below
            && self.slow_start == other.slow_start
            && self.outlier_ejection == other.outlier_ejection
            && self.timeouts == other.timeouts
            && self.attempts == other.attempts
            && self.dns_refresh == other.dns_refresh
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            policy: self.policy.as_ref(),
            panic_below: self.panic_below,
            slow_start: self.slow_start,
            ejection: self.outlier_ejection.as_ref(),
        }
    }
}

/// A running upstream: its servers are watched and its names followed for as long as it exists.
pub struct Upstream {
    spec: Spec,
    live: Arc<Live>,
    tally: Arc<Tally>,
    names: Mutex<HashMap<String, Arc<Name>>>,
    members: Mutex<Vec<Arc<Endpoint>>>,
    retired: AtomicBool,
    pool: ArcSwap<Pool>,
    /// Waits for what changes by itself first: an order that ends, a server that comes back.
    next_change: Mutex<Option<AbortHandle>>,
}

impl Upstream {
    /// Starts to follow the names and to probe the servers. Must be called within a tokio runtime.
    pub fn start(spec: Spec, live: &Arc<Live>) -> Arc<Self> {
        let upstream = Arc::new_cyclic(|me: &Weak<Self>| {
            let names = spec
                .servers
                .iter()
                .filter_map(|server| match &server.host {
                    Host::Ip(_) => None,
                    Host::Name(name) => {
                        let followed = live.follow(name, spec.dns_refresh);
                        followed.changes.subscribe(me.clone());
                        Some((name.clone(), followed))
                    }
                })
                .collect();
            let pool = ArcSwap::from_pointee(Pool::new(&[], spec.rules(), Instant::now()));
            Self {
                tally: live.tally(&spec.name),
                spec,
                live: Arc::clone(live),
                names: Mutex::new(names),
                members: Mutex::default(),
                retired: AtomicBool::new(false),
                pool,
                next_change: Mutex::default(),
            }
        });
        upstream.refresh();
        upstream
    }

    /// One that asks nobody: no name is followed and no server probed, so none is known.
    pub fn still(spec: Spec, live: &Arc<Live>) -> Arc<Self> {
        let pool = ArcSwap::from_pointee(Pool::new(&[], spec.rules(), Instant::now()));
        Arc::new(Self {
            tally: live.tally(&spec.name),
            spec,
            live: Arc::clone(live),
            names: Mutex::default(),
            members: Mutex::default(),
            retired: AtomicBool::new(true),
            pool,
            next_change: Mutex::default(),
        })
    }

    /// Whether it asks nobody.
    pub fn is_still(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// The name in the file.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// What defines it.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// What it was asked so far, and is being asked.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// What happened to its servers lately.
    pub fn events(&self) -> Vec<Event> {
        self.live.events().of(self.name())
    }

    /// The servers of this moment.
    pub fn pool(&self) -> Guard<Arc<Pool>> {
        self.pool.load()
    }

    /// Whether anybody wants to know how long attempts take.
    pub fn learns(&self) -> bool {
        let ejection = &self.spec.outlier_ejection;
        self.spec.policy.learner().is_some() || ejection.is_some_and(|it| it.latency.is_some())
    }

    /// Tells those who want to know what became of an attempt with a server of its own: its policy, and who puts servers out.
    /// Nothing is found out where nobody does.
    pub fn note(&self, server: &Endpoint, outcome: impl FnOnce() -> Option<Outcome>) {
        let learner = self.spec.policy.learner();
        let bounds = &self.spec.outlier_ejection;
        if learner.is_none() && bounds.is_none() {
            return;
        }
        let Some(outcome) = outcome() else { return };
        if let Some(learner) = learner {
            learner.note(server, self.pool.load().ready(), &outcome);
        }
        if let Some(bounds) = bounds {
            self.judge(server, &outcome, bounds);
        }
    }

    /// Whether every name was looked up and every server probed at least once.
    pub fn is_settled(&self) -> bool {
        self.names().values().all(|name| name.was_asked())
            && self
                .pool
                .load()
                .all()
                .iter()
                .all(|server| server.is_settled())
    }

    /// Takes in what changed: addresses that came or went, servers that fell ill or recovered.
    pub fn refresh(self: &Arc<Self>) {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        if self.retired.load(Ordering::Acquire) {
            return;
        }
        let wanted = self.addresses();
        members.retain(|member| {
            let stays = wanted.contains(&(member.address(), member.seat()));
            if !wanted
                .iter()
                .any(|(address, _)| *address == member.address())
            {
                self.tell_gone(member);
            }
            stays
        });
        for (address, seat) in wanted {
            if !members.iter().any(|member| member.address() == address) {
                members.push(Arc::new(self.endpoint(address, seat)));
            }
        }
        members.sort_by_key(|member| member.address());
        let now = Instant::now();
        self.make_room(&members, now);
        // Those that come first are no late comers, however long it takes to find out about them.
        let is_known = self.names().values().all(|name| name.was_asked());
        let mut others = members.iter();
        let serves = is_known && others.any(|member| member.standing().ready_since().is_some());
        for member in members.iter() {
            self.see(member, serves, now);
        }
        let before = self.pool.load();
        let pool = Pool::new(&members, self.spec.rules(), now);
        self.tell_panic(&before, &pool, now);
        self.pool.store(Arc::new(pool));
        self.wait_for_the_next_change(&members, now);
    }

    /// What an operator wants of a server. Whether there is such a server.
    pub fn order(self: &Arc<Self>, address: SocketAddr, order: Order) -> bool {
        let pool = self.pool.load();
        let mut servers = pool.all().iter();
        let Some(server) = servers.find(|server| server.address() == address) else {
            return false;
        };
        server.standing().give(order);
        if order.duty.is_some_and(|duty| duty.value == Duty::Serving) {
            server.standing().outlier().take_back(Instant::now());
        }
        self.refresh();
        true
    }

    /// Nothing is wanted of a server any more, which may be gone. Whether anything was known of it.
    pub fn take_back(self: &Arc<Self>, address: SocketAddr) -> bool {
        let Some(standing) = self.live.known(self.name(), address) else {
            return false;
        };
        standing.take_back();
        self.refresh();
        true
    }

    /// It has left the file. Requests that came before still use it as it stands; but what it asked of servers and name
    /// servers ends, for such a request may be a tunnel that stays for hours.
    pub fn retire(&self) {
        let _members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        self.retired.store(true, Ordering::Release);
        let mut waiting = self
            .next_change
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiting.take() {
            waiting.abort();
        }
        self.names().clear();
        for server in self.pool.load().all() {
            server.forget();
            server.standing().forget_if_back(Instant::now());
        }
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Arc<Name>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each address once; where servers overlap, the first one written decides the rest.
    fn addresses(&self) -> Vec<(SocketAddr, Seat)> {
        let mut found: Vec<(SocketAddr, Seat)> = Vec::new();
        for server in &self.spec.servers {
            let ips: Vec<IpAddr> = match &server.host {
                Host::Ip(ip) => vec![*ip],
                Host::Name(name) => self
                    .names()
                    .get(name)
                    .map(|name| name.addresses())
                    .unwrap_or_default(),
            };
            for ip in ips {
                let address = SocketAddr::new(ip, server.port);
                if !found.iter().any(|(known, _)| *known == address) {
                    found.push((address, server.seat));
                }
            }
        }
        found
    }

    fn endpoint(self: &Arc<Self>, address: SocketAddr, seat: Seat) -> Endpoint {
        let watch: Option<Arc<Watch>> = self.spec.check.as_ref().map(|check| {
            let watch = self.live.watch(address, check);
            watch.changes.subscribe(Arc::downgrade(self));
            watch
        });
        let standing = self.live.standing(self.name(), address);
        if self.spec.outlier_ejection.is_some() {
            standing.changes.subscribe(Arc::downgrade(self));
        }
        Endpoint::seated(address, seat, standing, self.live.load(address), watch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::component;

    pub(super) fn spec(check: &str) -> Spec {
        let text = format!(
            "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nupstreams: {{ a: {{ servers: [ '127.0.0.1:1' ], health_check: {check} }} }}"
        );
        let surroundings = component::Surroundings::default();
        let loaded = crate::config::parse("x", &text, &|_| None, None, |file, _| {
            let written = file.upstreams.get("a").unwrap();
            let written = written.health_check.as_ref().unwrap();
            component::build("", health::KINDS, written, &surroundings)
        })
        .unwrap();
        let usual = crate::config::Component::bare(balance::DEFAULT);
        let policy = component::build("", balance::KINDS, &usual, &surroundings);
        let second = Duration::from_secs(1);
        Spec {
            name: "a".to_owned(),
            servers: vec![ServerSpec {
                host: Host::Ip([127, 0, 0, 1].into()),
                port: 1,
                seat: Seat::of_weight(1),
            }],
            policy: policy
                .unwrap_or_else(|problems| panic!("{problems:?}"))
                .made,
            check: Some(loaded.made.made),
            panic_below: None,
            slow_start: Duration::ZERO,
            outlier_ejection: None,
            timeouts: Timeouts {
                connect: second,
                read: second,
                write: second,
                idle: second,
                tunnel: second,
            },
            attempts: 1,
            dns_refresh: second,
        }
    }

    #[tokio::test]
    async fn who_still_uses_an_upstream_that_left_keeps_none_of_its_probes_alive() {
        let live = Arc::new(Live::default());
        let left = Upstream::start(spec("tcp"), &live);
        let server = Arc::clone(left.pool().all().first().unwrap());
        let probes = || live.is_watched(server.address());
        assert!(probes());
        left.retire();
        assert!(!probes());
        left.refresh();
        assert!(!probes(), "it asks nobody again");
        assert!(Arc::ptr_eq(left.pool().all().first().unwrap(), &server));
    }
}
