//! `limits:` how much an upstream takes at a time, and who waits when that is reached.
//!
//! | file | holds |
//! |---|---|
//! | `taken` | what is taken at one server |
//! | `held` | what a request and an attempt hold, and give back when they are dropped |
//! | `queue` | who waits for a place |
//! | `adaptive` | the limit that is found out from latency |
//!
//! The [`Gate`] belongs to the upstream's name: its counts, its queue and what it found out outlive reloads, and what is in effect now holds
//! for all who wait. An upstream without limits never comes here; one with limits pays a short lock when a request begins and when it ends.

mod adaptive;
mod held;
mod queue;
mod taken;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use self::adaptive::Adaptive;
pub use self::adaptive::Bounds;
pub use self::held::{Pass, Place, Spot};
use self::queue::{Queue, Ticket, Waiter, Wanted};
pub use self::queue::{Refused, Waiting};
pub use self::taken::{Open, Taken};
use super::balance::{Asked, End, Outcome};
use super::{Endpoint, Unavailable, Upstream};
use crate::turns::Purpose;

/// What an upstream takes at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// All of it.
    pub all: Most,
    /// Each of its servers.
    pub server: Most,
    /// Who may wait; without it nobody.
    pub queue: Option<QueueLimits>,
    /// Finds `all.requests` out.
    pub adaptive: Option<Bounds>,
}

/// Bounds, where there are any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Most {
    /// Requests under way.
    pub requests: Option<usize>,
    /// Open connections.
    pub connections: Option<usize>,
}

/// Who may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// So many.
    pub length: usize,
    /// For so long.
    pub timeout: Duration,
}

impl Limits {
    /// Whether connections are counted.
    pub fn has_connections(&self) -> bool {
        self.all.connections.is_some() || self.server.connections.is_some()
    }
}

/// What is let through to an upstream.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    /// Connections.
    open: AtomicUsize,
    /// Of the requests, those whose answer has begun.
    answered: AtomicUsize,
}

#[derive(Default)]
struct State {
    /// What the file says now.
    rule: Limits,
    requests: usize,
    /// Connections in use, or about to be.
    busy: usize,
    queue: Queue,
    adaptive: Option<Adaptive>,
}

/// How it stands, for the operator.
#[derive(Debug, Clone, Copy)]
pub struct Stand {
    /// Requests under way.
    pub requests: usize,
    /// Those whose answer has not begun.
    pub awaiting: usize,
    /// So many may be.
    pub most: Option<usize>,
    /// Open connections.
    pub connections: usize,
    /// Requests that wait.
    pub waiting: usize,
    /// The most that ever did at once.
    pub longest: usize,
}

/// What becomes of a request that asks for a place.
pub enum Answer {
    /// It has one.
    Granted(Grant),
    /// It waits for one.
    Waits(Box<Waiting>),
    /// There is none, and no room to wait.
    Shed,
    /// There is no server.
    Unavailable(Unavailable),
}

/// A server, and a place there.
pub struct Grant {
    /// The server.
    pub server: Arc<Endpoint>,
    /// So few servers were up that all were asked.
    pub in_panic: bool,
    /// With the upstream, for the first attempt.
    pub place: Option<Place>,
    /// With the server.
    pub spot: Spot,
    /// For a connection, if they are counted.
    pub pass: Option<Box<Pass>>,
}

/// Why there is no place.
enum No {
    Server(Unavailable),
    /// The upstream is full.
    Upstream,
    /// Its servers are; if not for everybody, it waits for this.
    Servers(Option<Wanted>),
}

impl Gate {
    /// How it stands.
    pub fn stand(&self) -> Stand {
        let state = self.lock();
        Stand {
            requests: state.requests,
            awaiting: self.awaiting(&state),
            most: state.most(Instant::now()),
            connections: self.open.load(Ordering::Relaxed),
            waiting: state.queue.len(),
            longest: state.queue.longest(),
        }
    }

    /// From now on this holds, also for those that wait.
    pub fn rule(self: &Arc<Self>, limits: Option<Limits>, upstream: &Arc<Upstream>) {
        let mut state = self.lock();
        let old = state.queue.move_to(upstream);
        let rule = limits.unwrap_or_default();
        let begins_to_count = rule.has_connections() && !state.rule.has_connections();
        state.rule = rule;
        state.adaptive = rule.adaptive.map(|bounds| match state.adaptive.take() {
            Some(mut known) => {
                known.stay_within(bounds);
                known
            }
            None => Adaptive::new(bounds),
        });
        if rule.has_connections() {
            for standing in upstream.standings() {
                self.make_room(rule, 0, standing.taken(), upstream);
            }
        }
        self.serve_all(state);
        drop(old);
        if begins_to_count {
            let pool = upstream.pool();
            let servers = pool.all().iter();
            servers.for_each(|server| server.close_uncounted());
        }
    }

    /// Asks for a place with a server. Attempts after the first one have their place with the upstream.
    pub fn ask(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        asked: &Asked<'_>,
        is_first: bool,
    ) -> Answer {
        let mut state = self.lock();
        let mut wants = None;
        // Whoever is kept with a server that gets nobody else's requests takes nothing from those in line.
        let is_apart = || upstream.pool().kept(asked).is_some();
        if !is_first || !state.queue.has_plain() || is_apart() {
            match self.grant(&mut state, upstream, asked, is_first) {
                Ok(grant) => return Answer::Granted(grant),
                Err(No::Server(reason)) => return Answer::Unavailable(reason),
                Err(No::Upstream) => {}
                Err(No::Servers(wanted)) => wants = wanted,
            }
        }
        let room = state.rule.queue;
        let room = room.filter(|queue| state.queue.len() < queue.length);
        let until = room.and_then(|queue| asked.now.checked_add(queue.timeout));
        let Some(until) = until else {
            return Answer::Shed;
        };
        let (sender, turn) = oneshot::channel();
        let ticket = state.queue.push(Waiter {
            upstream: Arc::clone(upstream),
            key: asked.key,
            tried: asked.tried.clone(),
            is_first,
            wants,
            turn: sender,
        });
        self.serve_all(state);
        Answer::Waits(Box::new(Waiting {
            gate: Arc::clone(self),
            ticket,
            turn,
            until,
        }))
    }

    /// Asks for a place with a server now, beside the one that the request has. Whoever waits comes first.
    pub fn ask_beside(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        asked: &Asked<'_>,
    ) -> Option<Grant> {
        let mut state = self.lock();
        if state.queue.has_plain() {
            return None;
        }
        self.grant(&mut state, upstream, asked, true).ok()
    }

    /// What may have changed who finds a place has changed.
    pub fn serve(self: &Arc<Self>) {
        self.serve_all(self.lock());
    }

    /// What became of an attempt.
    pub fn learn(self: &Arc<Self>, outcome: &Outcome) {
        let mut state = self.lock();
        let under_way = self.awaiting(&state);
        let Some(adaptive) = &mut state.adaptive else {
            return;
        };
        let Some(took) = outcome.took else { return };
        match outcome.end {
            End::Answered | End::Unable => adaptive.answered(took, outcome.at, under_way),
            End::Failed | End::Left => adaptive.failed(took, outcome.at, under_way),
            // Its head was noted already.
            End::BrokeOff | End::Complete => return,
        }
        self.serve_all(state);
    }

    fn leave(&self, ticket: Ticket) {
        let left = self.lock().queue.remove(ticket);
        // With the lock free: its upstream may end with it.
        drop(left);
    }

    /// Those that wait get what there is, in their order.
    fn serve_all(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let mut over = Vec::new();
        let mut last = None;
        while let Some((ticket, waiter)) = state.queue.after(last) {
            last = Some(ticket);
            if state.still_wants(waiter) {
                continue;
            }
            let (upstream, tried) = (Arc::clone(&waiter.upstream), waiter.tried.clone());
            let asked = Asked {
                tried: &tried,
                purpose: Purpose::Serve,
                key: waiter.key,
                now: Instant::now(),
            };
            let is_first = waiter.is_first;
            let said = match self.grant(&mut state, &upstream, &asked, is_first) {
                Ok(grant) => Ok(grant),
                Err(No::Server(reason)) => Err(reason),
                // An attempt after the first one asks for less.
                Err(No::Upstream) if is_first => break,
                Err(No::Upstream) => continue,
                Err(No::Servers(wanted)) => {
                    let is_plain = wanted.is_none();
                    state.queue.wants(ticket, wanted);
                    // One that came before an edit asks for other servers.
                    if is_plain && is_first && !upstream.is_still() && !upstream.pool().keeps_any()
                    {
                        break;
                    }
                    continue;
                }
            };
            if let Some(waiter) = state.queue.remove(ticket) {
                over.push((waiter.turn.send(said), waiter.upstream));
            }
        }
        drop(state);
        // With the lock free: whoever left at this moment gives back what it was given.
        drop(over);
    }

    fn grant(
        self: &Arc<Self>,
        state: &mut State,
        upstream: &Arc<Upstream>,
        asked: &Asked<'_>,
        is_first: bool,
    ) -> Result<Grant, No> {
        let counts_connections = upstream.counts_connections();
        let pool = upstream.pool();
        let awaiting = self.awaiting(state);
        if !state.has_room(awaiting, is_first, counts_connections, asked.now) {
            // No turn is taken for nothing.
            let purpose = Purpose::Ask;
            let known = pool.pick(&Asked { purpose, ..*asked });
            return Err(known.map_or_else(No::Server, |_| No::Upstream));
        }
        let has_room =
            |server: &Endpoint| state.has_room_at(server.standing().taken(), counts_connections);
        let mut server = pool.pick(asked).map_err(No::Server)?;
        if !has_room(server) {
            if asked.key.is_some() && upstream.spec().policy.keeps(server) == asked.key {
                // What it has there it has nowhere else.
                return Err(No::Servers(Some(Wanted {
                    server: Some(Arc::clone(server)),
                    among: Arc::clone(&pool),
                })));
            }
            let no_room = || {
                let wanted = || Wanted {
                    server: None,
                    among: Arc::clone(&pool),
                };
                No::Servers((!asked.tried.is_empty()).then(wanted))
            };
            if !pool.all().iter().any(|server| has_room(server)) {
                return Err(no_room());
            }
            let full = pool.all().iter().filter(|server| !has_room(server));
            let tried = &asked.tried.with(full.map(|server| server.address()));
            let next = pool.pick(&Asked { tried, ..*asked });
            // A later tier is for what this one cannot do, as for whom it failed, and not for what it has no room for yet.
            let is_of_tier = |next: &Endpoint| next.priority() == server.priority();
            server = next
                .ok()
                .filter(|next| !is_first || is_of_tier(next) || pool.in_panic())
                .ok_or_else(no_room)?;
        }
        let server = Arc::clone(server);
        let in_panic = pool.in_panic();
        Ok(self.hold(state, server, in_panic, upstream, is_first))
    }

    fn hold(
        self: &Arc<Self>,
        state: &mut State,
        server: Arc<Endpoint>,
        in_panic: bool,
        upstream: &Arc<Upstream>,
        is_first: bool,
    ) -> Grant {
        let standing = server.standing();
        let taken = standing.taken();
        taken.requests.fetch_add(1, Ordering::Relaxed);
        state.requests += usize::from(is_first);
        let pass = upstream.counts_connections().then(|| {
            taken.busy.fetch_add(1, Ordering::Relaxed);
            state.busy += 1;
            Box::new(Pass {
                upstream: Arc::clone(upstream),
                gate: Arc::clone(self),
                standing: Arc::clone(standing),
            })
        });
        Grant {
            in_panic,
            place: is_first.then(|| Place::new(self)),
            spot: Spot {
                gate: Arc::clone(self),
                standing: Arc::clone(standing),
            },
            pass,
            server,
        }
    }

    /// Closes connections that wait for their next request until so many more may be opened. There are enough of them: those in use
    /// are within the limits. Only what somebody closes at this very moment can be missing.
    fn make_room(&self, rule: Limits, more: usize, taken: &Taken, upstream: &Upstream) {
        let is_too_much = |most: Option<usize>, open: usize| {
            most.is_some_and(|most| open.saturating_add(more) > most)
        };
        while is_too_much(rule.server.connections, taken.open()) && taken.close_one() {}
        let open = || self.open.load(Ordering::Relaxed);
        if !is_too_much(rule.all.connections, open()) {
            return;
        }
        for standing in upstream.standings() {
            while is_too_much(rule.all.connections, open()) && standing.taken().close_one() {}
        }
    }

    fn awaiting(&self, state: &State) -> usize {
        let answered = self.answered.load(Ordering::Relaxed);
        state.requests.saturating_sub(answered)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// So many requests may be under way.
    fn most(&self, now: Instant) -> Option<usize> {
        let adaptive = self.adaptive.as_ref();
        adaptive
            .map(|adaptive| adaptive.limit(now))
            .or(self.rule.all.requests)
    }

    /// A limit that is found out is one of requests that wait for their answer: by what it is found out.
    fn has_room(
        &self,
        awaiting: usize,
        is_first: bool,
        counts_connections: bool,
        now: Instant,
    ) -> bool {
        let is_below = |most: Option<usize>, held| most.is_none_or(|most| held < most);
        let held = match self.adaptive {
            Some(_) => awaiting,
            None => self.requests,
        };
        (!is_first || is_below(self.most(now), held))
            && (!counts_connections || is_below(self.rule.all.connections, self.busy))
    }

    /// Whether somebody waits for a server that is still full: then nothing is to be done for it.
    fn still_wants(&self, waiter: &Waiter) -> bool {
        let Some(wanted) = &waiter.wants else {
            return false;
        };
        let is_same = Arc::ptr_eq(&wanted.among, &waiter.upstream.pool());
        let server = wanted.server.as_ref().filter(|_| is_same);
        let counts_connections = waiter.upstream.counts_connections();
        server.is_some_and(|it| !self.has_room_at(it.standing().taken(), counts_connections))
    }

    fn has_room_at(&self, taken: &Taken, counts_connections: bool) -> bool {
        let most = self.rule.server;
        let is_below = |most: Option<usize>, held| most.is_none_or(|most| held < most);
        is_below(most.requests, taken.requests())
            && (!counts_connections || is_below(most.connections, taken.busy()))
    }
}

#[cfg(test)]
mod tests;
