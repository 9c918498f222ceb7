//! What changed is taken in: addresses that came or went, servers that fell ill or recovered, orders, edits.
//!
//! With few servers that takes some hundred microseconds at most, and whoever notices a change takes it in at once. It takes
//! milliseconds where servers are counted in thousands, or a policy computes tables, and they may all change at once: there,
//! changes are taken in together, beside the threads that serve, and after a pause as long as the last time took.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime::Handle;

use super::health::Watch;
use super::news::THE_FILE;
use super::outlier::Back;
use super::{Endpoint, Host, Pool, Seat, ServerSpec, Upstream};

/// Servers, with what is said of them and who says it.
type NamedServers = HashMap<SocketAddr, (Seat, Arc<str>)>;

/// So many servers are few, and so much weight that they have together.
const FEW: (usize, u32) = (100, 10_000);

/// How far it is known who the servers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    /// Somebody has not answered yet.
    UnderWay,
    /// Nobody is known, for all who were asked failed.
    InVain,
    /// It is.
    Done,
}

/// One at a time takes in what changed.
#[derive(Debug, Default)]
pub(super) struct Refreshing {
    turn: Mutex<()>,
    /// Changes that nobody took in yet.
    changes: AtomicUsize,
    /// All who know the servers had answered the last time, one way or the other.
    knew: AtomicBool,
}

impl Refreshing {
    /// Nobody else does, until the returned value is dropped.
    pub(super) fn begin(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether all that changed is taken in, and nobody is waited for who knows the servers.
    pub(super) fn is_done(&self) -> bool {
        self.changes.load(Ordering::Acquire) == 0 && self.knew.load(Ordering::Acquire)
    }
}

impl Upstream {
    /// Takes in what changed, soon.
    pub fn refresh_soon(self: &Arc<Self>) {
        if self.has_few() {
            self.refresh();
            return;
        }
        if self.refreshing.changes.fetch_add(1, Ordering::AcqRel) > 0 {
            // Somebody is about to, and looks again if that is too late.
            return;
        }
        let Some(runtime) = &self.runtime else {
            return;
        };
        let me = Arc::downgrade(self);
        runtime.spawn(async move {
            while let Some(upstream) = me.upgrade() {
                let begun = Instant::now();
                let seen = upstream.refreshing.changes.load(Ordering::Acquire);
                let taking = Arc::clone(&upstream);
                let taken_in = tokio::task::spawn_blocking(move || taking.refresh()).await;
                let changes = &upstream.refreshing.changes;
                let order = (Ordering::AcqRel, Ordering::Relaxed);
                if changes.compare_exchange(seen, 0, order.0, order.1).is_ok() {
                    return;
                }
                if taken_in.is_err() {
                    // It panicked, or the process ends: the next change is another try.
                    changes.store(0, Ordering::Release);
                    return;
                }
                drop(upstream);
                tokio::time::sleep(begun.elapsed()).await;
            }
        });
    }

    /// Whether what changed is taken in within microseconds.
    fn has_few(&self) -> bool {
        let pool = self.pool.load();
        let coming = self.source().as_ref().map(|source| source.found());
        let weights = pool.all().iter().map(|server| u32::from(server.weight()));
        !self.spec.policy.takes_time()
            && pool.all().len() <= FEW.0
            && coming.is_none_or(|servers| servers.len() <= FEW.0)
            && weights.sum::<u32>() <= FEW.1
    }

    /// Takes in what changed, now.
    pub fn refresh(self: &Arc<Self>) {
        // Whoever notices a change, it is none of the threads that serve that probes servers and looks names up.
        let _within = self.runtime.as_ref().map(Handle::enter);
        let turn = self.refreshing.begin();
        if self.retired.load(Ordering::Acquire) {
            return;
        }
        // Nobody leaves before it is known who comes in its place: a server may be there already, under another name, and one
        // of before is better than none. What is known before it is taken is in it.
        let [asked, answered] = self.source_was();
        let servers = self.servers();
        self.follow_names(&servers);
        let asked = asked && self.names().values().all(|name| name.was_asked());
        let named = self.addresses(&servers);
        let search = match named.is_empty() {
            _ if !asked => Search::UnderWay,
            true if !(answered && servers.is_empty()) => Search::InVain,
            _ => Search::Done,
        };
        let members = self.take_in(&named, search);
        let now = Instant::now();
        // What ends by the clock of the wall may end while all this is done: it is waited for even so.
        let next_end = self.next_end(&members, now);
        for member in &members {
            member.weigh(now);
        }
        // Until then others serve under its name, and the edit may be refused.
        let in_effect = self.in_effect.load(Ordering::Acquire);
        if in_effect {
            self.take_note(&members, &named, search, now);
        }
        let pool = Pool::new(&members, self.spec.rules(), now);
        if in_effect {
            self.tell_panic(&pool, now);
        }
        self.pool.store(Arc::new(pool));
        self.refreshing.knew.store(asked, Ordering::Release);
        self.wait_for(next_end);
        drop(turn);
        // Who waits may go to one that came.
        self.gate.serve();
    }

    /// What there is to tell of servers, and who is late.
    fn take_note(
        &self,
        members: &[Arc<Endpoint>],
        named: &NamedServers,
        search: Search,
        now: Instant,
    ) {
        if search == Search::Done {
            self.tell_gone(members);
        }
        self.tell_kept(search, members.len());
        match self.spec.outlier_ejection {
            Some(_) => self.make_room(members, now),
            // An earlier file that comes again puts nobody out for what was then.
            None => members.iter().for_each(|member| {
                member.standing().outlier().take_back(now, Back::ByFile);
            }),
        }
        let mut others = members.iter();
        let serves = !self.is_beginning(search != Search::UnderWay)
            && others.any(|member| member.standing().ready_since().is_some());
        for member in members {
            if let Some((_, by)) = named.get(&member.address()) {
                member.standing().named(by);
            }
            self.see(member, serves, now);
        }
    }

    /// Whether its source was asked, and whether it ever knew an answer. The file always does.
    fn source_was(&self) -> [bool; 2] {
        let source = self.source();
        source.as_ref().map_or([true; 2], |source| {
            [source.was_asked(), source.was_answered()]
        })
    }

    /// The servers of the one before it are its own for a while, as they were: with what the file said of them, and the probes
    /// that they had.
    pub(super) fn inherit(self: &Arc<Self>, before: &Self) {
        let pool = before.pool();
        let servers = pool.all().iter();
        let inherited =
            servers.map(|it| Arc::new(self.endpoint(it.address(), it.seat(), it.watch())));
        *self.inherited() = inherited.collect();
    }

    fn inherited(&self) -> MutexGuard<'_, Vec<Arc<Endpoint>>> {
        self.inherited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// All servers, and of those that it has for a while only, the ones that it does not have anyway. Nobody comes or leaves until the
    /// first is dropped.
    pub(super) fn everybody(&self) -> (MutexGuard<'_, Vec<Arc<Endpoint>>>, Vec<Arc<Endpoint>>) {
        let mut inherited = self.inherited().clone();
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let is_there = |one: &Endpoint| members.iter().any(|it| it.address() == one.address());
        inherited.retain(|server| !is_there(server));
        (members, inherited)
    }

    /// From now on these are the servers, and those of before if it is not known whether they left.
    fn take_in(self: &Arc<Self>, wanted: &NamedServers, search: Search) -> Vec<Arc<Endpoint>> {
        let stay = search != Search::Done;
        let mut inherited = self.inherited();
        inherited.retain(|server| stay && !wanted.contains_key(&server.address()));
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|member| match wanted.get(&member.address()) {
            Some((seat, _)) => *seat == member.seat(),
            None => stay,
        });
        let there: HashSet<SocketAddr> = members.iter().map(|it| it.address()).collect();
        let came = wanted
            .iter()
            .filter(|(address, _)| !there.contains(address));
        members.extend(came.map(|(address, (seat, _))| {
            let watch = self.spec.check.as_ref();
            let watch = watch.map(|check| self.live.watch(*address, check));
            Arc::new(self.endpoint(*address, *seat, watch))
        }));
        members.sort_by_key(|member| member.address());
        let there: HashSet<SocketAddr> = members.iter().map(|it| it.address()).collect();
        inherited.retain(|server| !there.contains(&server.address()));
        let mut all = [members.as_slice(), inherited.as_slice()].concat();
        all.sort_by_key(|member| member.address());
        all
    }

    /// Follows the names of these servers, and no others.
    fn follow_names(self: &Arc<Self>, servers: &[ServerSpec]) {
        let hosts = servers.iter().filter_map(|server| match &server.host {
            Host::Ip(_) => None,
            Host::Name(name) => Some(name.as_str()),
        });
        let hosts: HashSet<&str> = hosts.collect();
        let mut names = self.names();
        names.retain(|name, _| hosts.contains(name.as_str()));
        for host in hosts {
            names.entry(host.to_owned()).or_insert_with(|| {
                let followed = self.live.follow(host, self.spec.dns_refresh);
                followed.changes().subscribe(Arc::downgrade(self));
                followed
            });
        }
    }

    /// Each address once. Who writes an address out says more of it than who writes a name; else the first one written decides.
    fn addresses(&self, servers: &[ServerSpec]) -> NamedServers {
        let source: Option<Arc<str>> = self.source().as_ref().map(|source| source.label().into());
        let the_file: Arc<str> = THE_FILE.into();
        let names = self.names();
        let mut found = HashMap::new();
        let is_written = |server: &&ServerSpec| matches!(server.host, Host::Ip(_));
        let written = servers.iter().filter(is_written);
        let by_name = servers.iter().filter(|server| !is_written(server));
        for server in written.chain(by_name) {
            let mut add = |ip: IpAddr, by: &Arc<str>| {
                let address = SocketAddr::new(ip, server.port);
                found
                    .entry(address)
                    .or_insert((server.seat, Arc::clone(by)));
            };
            match &server.host {
                Host::Ip(ip) => add(*ip, source.as_ref().unwrap_or(&the_file)),
                Host::Name(name) => {
                    let Some(name) = names.get(name) else {
                        continue;
                    };
                    let by = source.clone().unwrap_or_else(|| name.label().into());
                    name.found().iter().for_each(|ip| add(*ip, &by));
                }
            }
        }
        found
    }

    fn endpoint(
        self: &Arc<Self>,
        address: SocketAddr,
        seat: Seat,
        watch: Option<Arc<Watch>>,
    ) -> Endpoint {
        if let Some(watch) = &watch {
            watch.changes.subscribe(Arc::downgrade(self));
        }
        let standing = self.live.standing(self.name(), address);
        if self.spec.outlier_ejection.is_some() {
            standing.changes.subscribe(Arc::downgrade(self));
        }
        Endpoint::seated(address, seat, standing, self.live.load(address), watch)
            .with_own_connections(self.counts_connections())
    }
}
