//! The servers of one moment and who may be picked from them. Made anew whenever one comes, goes, falls ill or recovers,
//! so that picking reads and never computes.
//!
//! Servers stand in tiers by their priority, backups last. The first tier that has enough servers which are up takes the
//! requests; the next ones are for requests that all of it failed. A server that is out for what became of its requests counts as
//! one that is not up, but where no other is left it is asked: it may be well again, and nobody else is. With `panic_below`, enough is that share; if no tier has
//! that many, the one with the largest share takes them with all that it has, whatever the probes say (Envoy's "panic threshold"): a few
//! servers that get everybody's requests fall, too. Without it, one server is enough and nobody is ever asked in spite of its probes.
//!
//! A server that comes up after it was down, or comes to others that serve already, gets its share little by little (`slow_start`): it
//! passes on what it is picked for, each request with the chance that it has not yet earned, and the policy picks another one. So the
//! others share what it passes on as they share everything else. Earned is counted by the warmest: where all warm up alike, or a key
//! decides, nothing is passed on.

use std::collections::{BTreeMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Endpoint;
use super::balance::{Asked, Picker, Policy, Tried};
use super::health::Health;
use super::outlier::Bounds;
use super::standing::Duty;
use crate::config::Share;
use crate::turns::Purpose;

/// A server that has just come up gets at least this part of its share, so that it warms up at all.
const COLDEST: f64 = 0.1;

/// So often a request is passed on from one to another; then it goes to the warmest.
const PASSES: usize = 8;

/// Why nobody could be picked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// No address is known: the names do not resolve (yet).
    Empty,
    /// Every server fails its health check, or is kept out by an operator.
    AllDown,
    /// Every server that is well was tried already.
    AllTried,
}

/// What a pool goes by.
#[derive(Clone, Copy)]
pub struct Rules<'r> {
    /// Who is picked.
    pub policy: &'r dyn Policy,
    /// The share of a tier that has to be up.
    pub panic_below: Option<Share>,
    /// How long a server that has just come up warms up.
    pub slow_start: Duration,
    /// When a server is out for what became of its requests.
    pub ejection: Option<&'r Bounds>,
}

/// How a server is, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Up by its probes, and out for what became of its requests.
    Ejected,
    Untried,
    Down,
}

impl State {
    fn of(server: &Endpoint, rules: Rules<'_>, now: Instant) -> Self {
        match server.health() {
            Health::Untried => Self::Untried,
            Health::Down => Self::Down,
            Health::Up => match server.standing().ejected(now, rules.ejection) {
                Some(_) => Self::Ejected,
                None => Self::Up,
            },
        }
    }
}

/// A tier, with the state of each server.
type Group<'m> = Vec<(&'m Arc<Endpoint>, State)>;

/// The servers of one moment.
pub struct Pool {
    all: Vec<Arc<Endpoint>>,
    /// Those that may be picked, the first choice first.
    tiers: Vec<Tier>,
    /// Those that may not, or not yet, but keep the clients that they have, with the key of these.
    keeping: Vec<(u64, Arc<Endpoint>)>,
    in_panic: bool,
    slow_start: Duration,
}

struct Tier {
    ready: Vec<Arc<Endpoint>>,
    picker: Box<dyn Picker>,
    /// Until then some warm up.
    warming_until: Option<Instant>,
}

impl Pool {
    /// Of these servers, as they are now.
    pub fn new(members: &[Arc<Endpoint>], rules: Rules<'_>, now: Instant) -> Self {
        let mut by_priority: BTreeMap<u8, Group<'_>> = BTreeMap::new();
        for member in members {
            if member.duty(now) == Duty::Serving {
                by_priority
                    .entry(member.priority())
                    .or_default()
                    .push((member, State::of(member, rules, now)));
            }
        }
        let groups: Vec<Group<'_>> = by_priority.into_values().collect();
        let (in_panic, groups) = choose(groups, rules.panic_below);
        let tiers = groups.into_iter().map(|ready| Tier::new(ready, rules, now));
        let tiers: Vec<Tier> = tiers.collect();
        let first = tiers.first().map_or(&[][..], |tier| &tier.ready);
        let first: HashSet<SocketAddr> = first.iter().map(|server| server.address()).collect();
        let keeping = members.iter().filter(|member| {
            State::of(member, rules, now) == State::Up
                && member.duty(now) != Duty::Disabled
                && !first.contains(&member.address())
        });
        let keeping = keeping
            .filter_map(|member| Some((rules.policy.keeps(member)?, Arc::clone(member))))
            .collect();
        Self {
            all: members.to_vec(),
            tiers,
            keeping,
            in_panic,
            slow_start: rules.slow_start,
        }
    }

    /// Every known server.
    pub fn all(&self) -> &[Arc<Endpoint>] {
        &self.all
    }

    /// Those that may be picked for a request that nobody failed yet.
    pub fn ready(&self) -> &[Arc<Endpoint>] {
        self.tiers.first().map_or(&[], |tier| &tier.ready)
    }

    /// Whether so few are up that all are asked.
    pub fn in_panic(&self) -> bool {
        self.in_panic
    }

    /// Whether there is one that may be picked and was not tried yet.
    pub fn has_other(&self, tried: &Tried) -> bool {
        let mut ready = self.tiers.iter().flat_map(|tier| &tier.ready);
        ready.any(|server| !tried.contains(server.address()))
    }

    /// The server for a request.
    ///
    /// # Errors
    /// Says why there is none.
    pub fn pick(&self, asked: &Asked<'_>) -> Result<&Arc<Endpoint>, Unavailable> {
        let picked = self.kept(asked).or_else(|| {
            self.tiers
                .iter()
                .find_map(|tier| tier.pick(asked, self.slow_start))
        });
        picked.ok_or(if self.all.is_empty() {
            Unavailable::Empty
        } else if self.tiers.is_empty() {
            Unavailable::AllDown
        } else {
            Unavailable::AllTried
        })
    }

    /// Whether any client is kept with a server that gets no others.
    pub fn keeps_any(&self) -> bool {
        !self.keeping.is_empty()
    }

    /// The server that keeps this client, if that is not one that may be picked anyway.
    pub fn kept(&self, asked: &Asked<'_>) -> Option<&Arc<Endpoint>> {
        let key = asked.key.filter(|_| !self.keeping.is_empty())?;
        let mut keeping = self.keeping.iter();
        let (_, server) = keeping.find(|(known, _)| *known == key)?;
        (!asked.tried.contains(server.address())).then_some(server)
    }
}

/// Who may be picked, tier by tier, and whether in panic. When nobody is up, those that were not probed yet: better a guess
/// than a refusal.
fn choose(groups: Vec<Group<'_>>, panic_below: Option<Share>) -> (bool, Vec<Vec<Arc<Endpoint>>>) {
    let of = |group: &Group<'_>, wanted: State| -> Vec<Arc<Endpoint>> {
        let members = group.iter().filter(|(_, state)| *state == wanted);
        members.map(|(member, _)| Arc::clone(member)).collect()
    };
    let all_of = |wanted: State| {
        let tiers = groups.iter().map(|group| of(group, wanted));
        let tiers: Vec<Vec<Arc<Endpoint>>> = tiers.filter(|tier| !tier.is_empty()).collect();
        tiers
    };
    let up: Vec<Vec<Arc<Endpoint>>> = groups.iter().map(|group| of(group, State::Up)).collect();
    // Of those that were not probed yet nothing bad is known.
    let known = |group: &Group<'_>| {
        let members = group.iter();
        members
            .filter(|(_, state)| *state != State::Untried)
            .count()
    };
    let is_enough = |up: &[Arc<Endpoint>], group: &Group<'_>| match panic_below {
        None => !up.is_empty(),
        Some(share) => !up.is_empty() && ratio(up.len(), known(group)) >= share.fraction(),
    };
    let enough = up
        .iter()
        .zip(&groups)
        .position(|(up, group)| is_enough(up, group));
    if let Some(first) = enough {
        // What is left of tiers that are passed over still serves before nobody does.
        let mut tiers = up;
        tiers.rotate_left(first);
        tiers.retain(|tier| !tier.is_empty());
        return (false, tiers);
    }
    let untried = all_of(State::Untried);
    if up.iter().all(Vec::is_empty) && !untried.is_empty() {
        return (false, untried);
    }
    match panic_below {
        None => (false, all_of(State::Ejected)),
        Some(_) => {
            let all = groups
                .iter()
                .map(|group| group.iter().map(|(member, _)| Arc::clone(member)).collect());
            let mut all: Vec<Vec<Arc<Endpoint>>> = all.collect();
            // The earliest of equals: `max_by` would take the last.
            let shares = up
                .iter()
                .zip(&all)
                .map(|(up, all)| ratio(up.len(), all.len()));
            let best = shares
                .enumerate()
                .rev()
                .max_by(|(_, one), (_, other)| one.total_cmp(other));
            all.rotate_left(best.map_or(0, |(tier, _)| tier));
            (!all.is_empty(), all)
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of servers are far below 2^52"
)]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

impl Tier {
    fn new(ready: Vec<Arc<Endpoint>>, rules: Rules<'_>, now: Instant) -> Self {
        let ends = ready.iter().filter_map(|server| {
            let end = server
                .standing()
                .warms_since()?
                .checked_add(rules.slow_start)?;
            (end > now).then_some(end)
        });
        Self {
            warming_until: ends.max(),
            picker: rules.policy.picker(&ready),
            ready,
        }
    }

    fn pick(&self, asked: &Asked<'_>, slow_start: Duration) -> Option<&Arc<Endpoint>> {
        let picked = self.picker.pick(&self.ready, asked)?;
        let is_warming = self.warming_until.is_some_and(|end| asked.now < end);
        if is_warming && asked.key.is_none() && asked.purpose == Purpose::Serve {
            Some(self.pass_on(picked, asked, slow_start))
        } else {
            Some(picked)
        }
    }

    /// Another one, as long as the one that is picked has not earned it yet, compared with the warmest.
    fn pass_on<'t>(
        &'t self,
        mut picked: &'t Arc<Endpoint>,
        asked: &Asked<'_>,
        slow_start: Duration,
    ) -> &'t Arc<Endpoint> {
        let warmth = |server: &Endpoint| warmth(server, slow_start, asked.now);
        if warmth(picked) >= 1.0 {
            return picked;
        }
        let ready = self.ready.iter();
        let possible = ready.filter(|server| !asked.tried.contains(server.address()));
        let warmest = possible.fold(0.0, |most: f64, server| most.max(warmth(server)));
        let mut tried = asked.tried.clone();
        for pass in 1..=PASSES {
            if fastrand::f64() * warmest < warmth(picked) {
                return picked;
            }
            // Whoever has the least to do would be picked until it is let through.
            tried = match pass {
                PASSES => {
                    let colder = self.ready.iter().filter(|it| warmth(it) < warmest);
                    tried.with(colder.map(|server| server.address()))
                }
                _ => tried.with(std::iter::once(picked.address())),
            };
            let tried = &tried;
            match self.picker.pick(&self.ready, &Asked { tried, ..*asked }) {
                Some(next) => picked = next,
                None => return picked,
            }
        }
        picked
    }
}

/// From a little to 1: how much of its share a server has earned.
fn warmth(server: &Endpoint, slow_start: Duration, now: Instant) -> f64 {
    let Some(since) = server.standing().warms_since() else {
        return 1.0;
    };
    let age = now.saturating_duration_since(since);
    if age >= slow_start {
        return 1.0;
    }
    (age.as_secs_f64() / slow_start.as_secs_f64()).max(COLDEST)
}
