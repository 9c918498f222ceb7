//! Who answers: an upstream is a set of servers that answer alike, and what is known about each right now.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | everything that defines an upstream |
//! | `endpoint` | one server: its address, its weight, what is in flight to it |
//! | `pool` | the servers of one moment and who may be picked from them |
//! | `standing` | what is known of a server within its upstream, over reloads |
//! | `tally` | what was asked and how it ended, counted, over reloads |
//! | `ongoing` | what is under way, and how much of it waits for its answer |
//! | `retry` | when a request is sent again, as the file says |
//! | `hedge` | how long a request waits before a second server is asked |
//! | `limits/` | how much is let through at a time, and who waits |
//! | `kept` | the connections to one server that wait for their next request |
//! | `latency` | how long one server takes to answer |
//! | `ask` | a question of our own over HTTP: a probe, a list of servers |
//! | `copies` | requests that are sent to see what becomes of them |
//! | `refresh` | what changed is taken in: who came, left, fell ill or recovered |
//! | `events`, `news` | what happened to servers lately, and how that is found out |
//! | `live` | what outlives a reload: health, load and connections by address, addresses by name |
//! | `balance/` | who is picked: one file per policy |
//! | `health/` | who is well: one file per kind of check |
//! | `outlier/`, `ejection` | who is out for what became of its requests: one file per reason |
//! | `discover/` | who is there: one file per source of addresses |

mod ask;
pub mod balance;
pub mod copies;
pub mod discover;
mod ejection;
pub mod endpoint;
pub mod events;
pub mod health;
pub mod hedge;
pub mod kept;
pub mod latency;
pub mod limits;
pub mod live;
mod news;
mod ongoing;
pub mod outlier;
mod pool;
mod refresh;
pub mod retry;
mod spec;
pub mod standing;
pub mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use self::balance::Outcome;
use self::discover::Servers;
use self::discover::followed::Report;
use self::discover::names::Name;
pub use self::endpoint::{Endpoint, InFlight, Seat};
use self::events::Event;
use self::limits::{Gate, Limits};
pub use self::live::Live;
use self::news::Told;
use self::outlier::{Back, Usual};
pub use self::pool::{Pool, Unavailable};
use self::refresh::Refreshing;
pub use self::spec::{Host, ServerSpec, Spec, Timeouts};
use self::standing::{Duty, Order, Standing};
use self::tally::Tally;

/// A running upstream: its servers are watched and its names followed for as long as it exists.
pub struct Upstream {
    spec: Spec,
    live: Arc<Live>,
    tally: Arc<Tally>,
    gate: Arc<Gate>,
    told: Arc<Told>,
    /// Probes servers and looks names up; one that asks nobody has none.
    runtime: Option<Handle>,
    names: Mutex<HashMap<String, Arc<Name>>>,
    source: Mutex<Option<Arc<Servers>>>,
    members: Mutex<Vec<Arc<Endpoint>>>,
    /// Servers of the one before it in its place, which it does not name: they stay until it is known who comes.
    inherited: Mutex<Vec<Arc<Endpoint>>>,
    /// What is usual among them.
    usual: Usual,
    retired: AtomicBool,
    /// It is what the file says.
    in_effect: AtomicBool,
    /// All about it was known once.
    settled: AtomicBool,
    refreshing: Refreshing,
    pool: ArcSwap<Pool>,
    /// Waits for what changes by itself first: an order that ends, a server that comes back.
    next_change: Mutex<Option<AbortHandle>>,
}

impl Upstream {
    /// Starts to follow the names and to probe the servers. Must be called within a tokio runtime.
    pub fn start(spec: Spec, live: &Arc<Live>) -> Arc<Self> {
        let upstream = Arc::new_cyclic(|me: &Weak<Self>| {
            let source = spec.source.as_ref().map(|source| {
                let followed = live.servers(source);
                followed.changes().subscribe(me.clone());
                followed
            });
            let pool = ArcSwap::from_pointee(Pool::new(&[], spec.rules(), Instant::now()));
            Self {
                tally: live.tally(&spec.name),
                gate: live.gate(&spec.name),
                told: live.told(&spec.name),
                runtime: Some(Handle::current()),
                spec,
                live: Arc::clone(live),
                names: Mutex::default(),
                source: Mutex::new(source),
                members: Mutex::default(),
                inherited: Mutex::default(),
                usual: Usual::default(),
                retired: AtomicBool::new(false),
                in_effect: AtomicBool::new(false),
                settled: AtomicBool::new(false),
                refreshing: Refreshing::default(),
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
            gate: live.gate(&spec.name),
            told: live.told(&spec.name),
            runtime: None,
            spec,
            live: Arc::clone(live),
            names: Mutex::default(),
            source: Mutex::default(),
            members: Mutex::default(),
            inherited: Mutex::default(),
            usual: Usual::default(),
            retired: AtomicBool::new(true),
            in_effect: AtomicBool::new(false),
            settled: AtomicBool::new(false),
            refreshing: Refreshing::default(),
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

    /// How those are doing who know its servers: its source, and the names of servers.
    pub fn sources(&self) -> Vec<Report> {
        let source = self.source().as_ref().map(|source| source.report());
        let names = self.names();
        let mut all: Vec<Report> = names.values().map(|name| name.report()).collect();
        all.sort_by(|one, other| one.label.cmp(&other.label));
        all.splice(..0, source);
        all
    }

    /// What it was asked so far, and is being asked.
    pub fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// What is let through to it, if it has limits.
    pub fn gate(&self) -> Option<&Arc<Gate>> {
        self.spec.limits.as_ref().map(|_| &self.gate)
    }

    /// Whether its connections are counted.
    pub fn counts_connections(&self) -> bool {
        let limits = self.spec.limits.as_ref();
        limits.is_some_and(Limits::has_connections)
    }

    /// Whether it finds a limit out from what becomes of attempts.
    pub fn adapts(&self) -> bool {
        let limits = self.spec.limits.as_ref();
        limits.is_some_and(|limits| limits.adaptive.is_some())
    }

    /// Whether servers are picked as in the other one.
    fn has_policy_of(&self, other: &Self) -> bool {
        self.spec.policy.identity() == other.spec.policy.identity()
    }

    /// It is about to be what the file says, in place of `before`: what there is to tell of its servers is told by it, and those
    /// that it does not have are gone, as soon as it is known who comes.
    pub fn step_forward(self: &Arc<Self>, before: Option<&Self>) {
        if let Some(before) = before {
            self.inherit(before);
        }
        self.in_effect.store(true, Ordering::Release);
        self.refresh();
    }

    /// It is what the file says now: its limits hold from here on, for all who wait.
    pub fn take_effect(self: &Arc<Self>) {
        // What was wanted of a server meanwhile was said to those before it.
        self.refresh();
        self.gate.rule(self.spec.limits, self);
    }

    /// Another one takes its place, and tells what there is to tell.
    pub fn step_back(&self) {
        let _refreshing = self.refreshing.begin();
        self.in_effect.store(false, Ordering::Release);
    }

    /// What is known of all servers that it ever had, as far as that is not forgotten.
    fn standings(&self) -> Vec<Arc<Standing>> {
        self.live.standings_of(self.name())
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
        self.spec.policy.learner().is_some()
            || self.spec.hedge.is_some()
            || self.adapts()
            || ejection.is_some_and(|it| it.latency.is_some())
    }

    /// Tells those who want to know what became of an attempt with a server of its own: its policy, and who puts servers out.
    /// Nothing is found out where nobody does.
    pub fn note(&self, server: &Endpoint, outcome: impl FnOnce() -> Option<Outcome>) {
        let learner = self.spec.policy.learner();
        let bounds = &self.spec.outlier_ejection;
        let hedge = self.spec.hedge;
        if learner.is_none() && bounds.is_none() && hedge.is_none() {
            return;
        }
        let Some(outcome) = outcome() else { return };
        if let Some(learner) = learner {
            learner.note(server, self.pool.load().ready(), &outcome);
        }
        if let (Some(after), Some(took)) = (hedge, outcome.took) {
            self.tally.latencies.note(outcome.end, took, after);
        }
        if let Some(bounds) = bounds {
            self.judge(server, &outcome, bounds);
        }
    }

    /// Whether its source was asked, every name looked up and every server probed at least once, and that was taken in. What
    /// comes later is no reason to wait.
    pub fn is_settled(&self) -> bool {
        let all = |pool: &Pool| pool.all().iter().all(|server| server.is_settled());
        let is_settled = || self.refreshing.is_done() && all(&self.pool.load());
        self.settled.load(Ordering::Acquire) || {
            let is_settled = is_settled();
            self.settled.store(is_settled, Ordering::Release);
            is_settled
        }
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
            server
                .standing()
                .outlier()
                .take_back(Instant::now(), Back::ByOperator);
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
        let _refreshing = self.refreshing.begin();
        self.retired.store(true, Ordering::Release);
        let mut waiting = self
            .next_change
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(waiting) = waiting.take() {
            waiting.abort();
        }
        self.names().clear();
        *self.source() = None;
        for server in self.pool.load().all() {
            server.forget();
        }
    }

    /// Nobody has come in its place: its servers are gone, and should it come back, it begins anew.
    pub fn leave(&self) {
        self.tell_gone(&[]);
        self.told.forget();
    }

    fn names(&self) -> MutexGuard<'_, HashMap<String, Arc<Name>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn source(&self) -> MutexGuard<'_, Option<Arc<Servers>>> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those that the file names, or the source.
    fn servers(&self) -> Arc<Vec<ServerSpec>> {
        match &*self.source() {
            Some(source) => source.found(),
            None => Arc::new(self.spec.servers.clone()),
        }
    }
}
