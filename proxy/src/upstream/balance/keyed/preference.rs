//! Who is next where the first choice of a key failed the request, or has too much to do already.
//!
//! Bounded loads: Mirrokni, Thorup and Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016. No server takes a request
//! that would give it more than `factor` times its share of all that is in flight, rounded up. Since the shares add up to more
//! than there is, somebody always has room. Costs a look at every server, and only where the first choice is busy at all.

use std::cell::OnceCell;
use std::sync::Arc;

use crate::config::Factor;
use crate::upstream::Endpoint;
use crate::upstream::balance::Asked;

/// So far an order is followed. Few servers in many places (weights of 1000 to 1) can hide the others for longer: then all are
/// looked at.
const STEPS: usize = 1024;

/// A bound on what a server carries, for one set of servers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    factor: Factor,
    weights: f64,
}

impl Bound {
    /// For these.
    pub(crate) fn new(factor: Factor, ready: &[Arc<Endpoint>]) -> Self {
        let weights = ready.iter().map(|server| f64::from(server.weight())).sum();
        Self { factor, weights }
    }
}

/// The first of an order (of positions in `ready`) that did not fail the request and has room; where all are full, the first that did
/// not fail it. `key` is where to begin when all have to be looked at.
pub(crate) fn first<'a>(
    ready: &'a [Arc<Endpoint>],
    asked: &Asked<'_>,
    key: u64,
    bound: Option<Bound>,
    order: impl Iterator<Item = u16>,
) -> Option<&'a Arc<Endpoint>> {
    let untried = |server: &&'a Arc<Endpoint>| !asked.tried.contains(server.address());
    let room = Room::new(bound, ready);
    let mut full = None;
    let preferred = order
        .take(STEPS)
        .filter_map(|at| ready.get(usize::from(at)));
    for server in preferred.filter(untried) {
        if room.is_at(server) {
            return Some(server);
        }
        full = full.or(Some(server));
    }
    let (before, after) = ready.split_at_checked(beginning(key, ready.len()))?;
    let mut rest = after.iter().chain(before).filter(untried);
    let any = rest.clone().next();
    rest.find(|server| room.is_at(server)).or(full).or(any)
}

/// A place that follows from the key.
fn beginning(key: u64, length: usize) -> usize {
    let place = u64::try_from(length).ok();
    let place = place.and_then(|length| key.checked_rem(length));
    place.and_then(|place| place.try_into().ok()).unwrap_or(0)
}

/// Who has room at this moment.
struct Room<'a> {
    bound: Option<Bound>,
    ready: &'a [Arc<Endpoint>],
    in_flight: OnceCell<usize>,
}

impl<'a> Room<'a> {
    fn new(bound: Option<Bound>, ready: &'a [Arc<Endpoint>]) -> Self {
        Self {
            bound,
            ready,
            in_flight: OnceCell::new(),
        }
    }

    fn is_at(&self, server: &Endpoint) -> bool {
        let (Some(bound), now @ 1..) = (self.bound, server.in_flight()) else {
            // Everybody may have one.
            return true;
        };
        let sum = || self.ready.iter().map(|server| server.in_flight()).sum();
        // This one comes on top.
        let all = self.in_flight.get_or_init(sum).saturating_add(1);
        let share = count(all) * f64::from(server.weight()) / bound.weights;
        count(now) < bound.factor.of(share).ceil()
    }
}

/// Above four thousand million it matters no more.
fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}
