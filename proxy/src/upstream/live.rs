//! What outlives a reload: health, load and connections by address, addresses by name.
//!
//! Upstreams come and go with the file; a server that stays keeps what is known about it. Each entry lives as long as
//! somebody holds it, so what nobody uses any more ends by itself: its task stops and its place is free.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::Upstream;
use super::copies::Copies;
use super::discover::followed::kin::Kin;
use super::discover::names::resolver::Resolver;
use super::discover::names::{self, Name};
use super::discover::{Servers, Source};
use super::endpoint::Load;
use super::events::Events;
use super::health::{Check, Watch};
use super::limits::Gate;
use super::news::Told;
use super::standing::Standing;
use super::tally::Tally;

/// So long is known what stood about a server that is gone: names flap, and containers come back.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What stood about a server, and since when nobody has it.
struct Remembered {
    standing: Arc<Standing>,
    gone: Option<Instant>,
}

impl Remembered {
    fn is_wanted(&mut self, now: Instant) -> bool {
        if Arc::strong_count(&self.standing) > 1 {
            self.gone = None;
            return true;
        }
        let gone = *self.gone.get_or_insert(now);
        now.saturating_duration_since(gone) < REMEMBERED || !self.standing.order(now).is_none()
    }
}

/// Shared by all snapshots of a process.
pub struct Live {
    loads: Book<SocketAddr, Load>,
    tallies: Book<String, Tally>,
    gates: Book<String, Gate>,
    told: Book<String, Told>,
    /// By the names of their upstreams.
    standings: Mutex<HashMap<String, HashMap<SocketAddr, Remembered>>>,
    events: Events,
    watches: Kin<(SocketAddr, String), String, Watch>,
    names: Kin<String, Duration, Name>,
    sources: Kin<String, String, Servers>,
    resolver: Arc<Resolver>,
    copies: OnceLock<Arc<Copies>>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            loads: Book::default(),
            tallies: Book::default(),
            gates: Book::default(),
            told: Book::default(),
            standings: Mutex::default(),
            events: Events::default(),
            watches: Kin::default(),
            names: Kin::default(),
            sources: Kin::default(),
            resolver: Arc::new(Resolver::from_system()),
            copies: OnceLock::new(),
        }
    }
}

impl Live {
    /// Who sends copies of requests: on the runtime on which it is first asked for.
    pub fn copies(&self) -> Arc<Copies> {
        let copies = || Arc::new(Copies::new(Handle::current()));
        Arc::clone(self.copies.get_or_init(copies))
    }

    /// What is in flight to this address, counted over all upstreams that name it.
    pub fn load(&self, address: SocketAddr) -> Arc<Load> {
        self.loads.get_or(address, || Arc::new(Load::default()))
    }

    /// What the upstream of this name was asked so far.
    pub fn tally(&self, upstream: &str) -> Arc<Tally> {
        self.tallies.get_or(upstream.to_owned(), Arc::default)
    }

    /// What is let through to the upstream of this name.
    pub fn gate(&self, upstream: &str) -> Arc<Gate> {
        self.gates.get_or(upstream.to_owned(), Arc::default)
    }

    /// What was told of the upstream of this name.
    pub fn told(&self, upstream: &str) -> Arc<Told> {
        self.told.get_or(upstream.to_owned(), Arc::default)
    }

    /// Closes the connections to servers that nobody wants any more.
    pub fn sweep(&self) {
        let now = Instant::now();
        for load in self.loads.held() {
            load.kept().sweep(now);
        }
        for standing in self.standings() {
            if let Some(kept) = standing.taken().kept_so_far() {
                kept.sweep(now);
            }
        }
        self.forget(now);
    }

    /// What happened to servers lately.
    pub fn events(&self) -> &Events {
        &self.events
    }

    /// What is known of a server in the upstream of this name.
    pub fn standing(&self, upstream: &str, address: SocketAddr) -> Arc<Standing> {
        let mut standings = self.all_standings();
        let of = standings.entry(upstream.to_owned()).or_default();
        let known = of.entry(address).or_insert_with(|| Remembered {
            standing: Arc::default(),
            gone: None,
        });
        if Arc::strong_count(&known.standing) == 1 {
            // Nobody had it: it comes back.
            known.standing.note_gone();
        }
        known.gone = None;
        Arc::clone(&known.standing)
    }

    /// The same, if anything is known.
    pub fn known(&self, upstream: &str, address: SocketAddr) -> Option<Arc<Standing>> {
        let standings = self.all_standings();
        let known = standings.get(upstream)?.get(&address)?;
        Some(Arc::clone(&known.standing))
    }

    /// All of the upstream with this name.
    pub fn standings_of(&self, upstream: &str) -> Vec<Arc<Standing>> {
        let standings = self.all_standings();
        let of = standings.get(upstream).into_iter();
        of.flat_map(HashMap::values)
            .map(|known| Arc::clone(&known.standing))
            .collect()
    }

    /// Those of the upstream with this name that are gone are gone. Returns who was there until now, and who named it.
    pub fn note_gone(
        &self,
        upstream: &str,
        is_gone: impl Fn(SocketAddr) -> bool,
    ) -> Vec<(SocketAddr, Option<Arc<str>>)> {
        let standings = self.all_standings();
        let of = standings.get(upstream).into_iter().flatten();
        let gone = of.filter(|(address, _)| is_gone(**address));
        gone.filter_map(|(address, known)| Some((*address, known.standing.note_gone()?)))
            .collect()
    }

    fn standings(&self) -> Vec<Arc<Standing>> {
        let standings = self.all_standings();
        let all = standings.values().flat_map(HashMap::values);
        all.map(|known| Arc::clone(&known.standing)).collect()
    }

    /// Forgets servers that have been gone for long and of which no operator wants anything.
    fn forget(&self, now: Instant) {
        let mut standings = self.all_standings();
        for of in standings.values_mut() {
            of.retain(|_, known| known.is_wanted(now));
        }
        standings.retain(|_, of| !of.is_empty());
        self.events
            .keep(|upstream| standings.contains_key(upstream));
    }

    fn all_standings(&self) -> MutexGuard<'_, HashMap<String, HashMap<SocketAddr, Remembered>>> {
        self.standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The health of this server under this check: equal checks of the same server share their probes, and one that asks
    /// the same at another pace begins with what is known.
    pub fn watch(&self, address: SocketAddr, check: &Arc<Check>) -> Arc<Watch> {
        let asks = (address, check.asks().to_owned());
        self.watches.get_or(asks, check.identity(), |kin| {
            Watch::start(address, Arc::clone(check), kin)
        })
    }

    /// Whether anybody probes this server.
    #[cfg(test)]
    pub(super) fn is_watched(&self, address: SocketAddr) -> bool {
        self.watches.is_held(|(known, _)| *known == address)
    }

    /// The addresses behind a name.
    pub fn follow(&self, name: &str, refresh: Duration) -> Arc<Name> {
        self.names.get_or(name.to_owned(), refresh, |kin| {
            names::follow(name, refresh, Arc::clone(&self.resolver), kin)
        })
    }

    /// The servers of a source.
    pub fn servers(&self, source: &Arc<dyn Source>) -> Arc<Servers> {
        let (asks, how) = (source.asks(), source.identity());
        self.sources.get_or(asks, how, |kin| {
            Servers::start(source.label(), kin, |feed| {
                source.follow(Arc::clone(&self.resolver), feed)
            })
        })
    }
}

/// Values that exist as long as somebody outside holds them.
struct Book<K, V>(Mutex<Pages<K, V>>);

struct Pages<K, V> {
    entries: HashMap<K, Weak<V>>,
    /// With so many entries, those are looked for that nobody holds.
    sweep_at: usize,
}

impl<K, V> Default for Book<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Pages {
            entries: HashMap::new(),
            sweep_at: 0,
        }))
    }
}

impl<K: Eq + Hash, V> Book<K, V> {
    /// All that somebody holds.
    fn held(&self) -> Vec<Arc<V>> {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pages.entries.values().filter_map(Weak::upgrade).collect()
    }

    fn get_or(&self, key: K, make: impl FnOnce() -> Arc<V>) -> Arc<V> {
        let mut pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Pages { entries, sweep_at } = &mut *pages;
        if let Some(held) = entries.get(&key).and_then(Weak::upgrade) {
            return held;
        }
        if entries.len() >= *sweep_at {
            entries.retain(|_, value| value.strong_count() > 0);
            *sweep_at = 2 * entries.len() + 1;
        }
        let value = make();
        entries.insert(key, Arc::downgrade(&value));
        value
    }
}

/// The upstreams that want to hear of a change.
#[derive(Debug, Default)]
pub struct Changes {
    listeners: Mutex<Vec<Weak<Upstream>>>,
}

impl Changes {
    /// From now on `upstream` is refreshed on every change, for as long as it exists.
    pub fn subscribe(&self, upstream: Weak<Upstream>) {
        let mut listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        listeners.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&upstream));
        listeners.push(upstream);
    }

    /// Refreshes all of them, soon.
    pub fn announce(&self) {
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        for upstream in listeners.iter().filter_map(Weak::upgrade) {
            upstream.refresh_soon();
        }
    }

    /// The names of those that listen, for the log.
    pub fn audience(&self) -> Vec<String> {
        let listeners = self
            .listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let mut names: Vec<String> = listeners
            .iter()
            .filter_map(Weak::upgrade)
            .map(|known| known.name().to_owned())
            .collect();
        names.sort();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_stays_keeps_its_load_and_one_that_nobody_holds_is_forgotten() {
        let live = Live::default();
        let address: SocketAddr = ([127, 0, 0, 1], 80).into();
        let held = live.load(address);
        assert!(Arc::ptr_eq(&held, &live.load(address)));
        let was = Arc::downgrade(&held);
        drop(held);
        assert!(was.upgrade().is_none());
        live.load(address);
    }
}
