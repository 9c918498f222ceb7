//! `balance: round_robin`: each server in turn, as often as its weight says, as evenly spread as the weights allow.
//!
//! ```yaml
//! balance: round_robin
//! ```
//!
//! The order (`turns`) is computed once for a set of servers; picking is one atomic addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Asked, Picker, Policy};
use crate::component::{Kind, NoOptions};
use crate::turns::{Purpose, smooth_order};
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<NoOptions>(
    "round_robin",
    "each server in turn, as often as its weight says",
    |options| {
        let NoOptions {} = options.decode()?;
        Ok(Arc::new(RoundRobin::default()))
    },
);

#[derive(Debug, Default)]
pub(super) struct RoundRobin {
    /// Where the turn stands. It goes on when the set changes, so that the first server is not favoured by every change.
    turn: Arc<AtomicUsize>,
}

impl Policy for RoundRobin {
    fn identity(&self) -> String {
        KIND.name.to_owned()
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        let weights: Vec<u16> = ready.iter().map(|server| server.weight()).collect();
        Box::new(Schedule {
            order: smooth_order(&weights),
            turn: Arc::clone(&self.turn),
        })
    }
}

/// So many turns are passed over for servers that were tried: a round may be long, and nearly all of a large set full.
const STEPS_MAX: usize = 1000;

/// Indices of servers in the order in which they are picked.
struct Schedule {
    order: Box<[u32]>,
    turn: Arc<AtomicUsize>,
}

impl Picker for Schedule {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        let turn = match asked.purpose {
            // One turn for each request: a second one, for a server that was tried, would take another request's.
            Purpose::Serve => self.turn.fetch_add(1, Ordering::Relaxed),
            Purpose::Ask => self.turn.load(Ordering::Relaxed),
        };
        let at = |step: usize, length: usize| turn.wrapping_add(step).checked_rem(length);
        let mut in_turn = (0..self.order.len().min(STEPS_MAX)).filter_map(|step| {
            let index = self.order.get(at(step, self.order.len())?)?;
            ready.get(usize::try_from(*index).ok()?)
        });
        let may_be = |server: &&Arc<Endpoint>| !asked.tried.contains(server.address());
        in_turn.find(may_be).or_else(|| {
            let mut anybody = (0..ready.len()).filter_map(|step| ready.get(at(step, ready.len())?));
            anybody.find(may_be)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::upstream::balance::Tried;

    fn asked(tried: &Tried) -> Asked<'_> {
        Asked {
            tried,
            purpose: Purpose::Serve,
            key: None,
            now: Instant::now(),
        }
    }

    fn server(port: u16) -> Arc<Endpoint> {
        let address = ([127, 0, 0, 1], port).into();
        Arc::new(Endpoint::new(address, 1, Arc::default(), None))
    }

    #[test]
    fn who_is_left_is_found_whatever_others_pick_meanwhile() {
        let ready = [server(1), server(2)];
        let picker = RoundRobin::default().picker(&ready);
        let mut tried = Tried::default();
        tried.add(ready[0].address());
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..100_000 {
                        picker.pick(&ready, &asked(Tried::NONE));
                    }
                });
            }
            for _ in 0..100_000 {
                let left = picker
                    .pick(&ready, &asked(&tried))
                    .map(|server| server.address());
                assert_eq!(left, Some(ready[1].address()));
            }
        });
    }

    #[test]
    fn the_last_of_thousands_is_found() {
        let ready: Vec<Arc<Endpoint>> = (1..=3000).map(server).collect();
        let picker = RoundRobin::default().picker(&ready);
        let all = ready.iter().map(|server| server.address());
        let tried = Tried::NONE.with(all.filter(|address| address.port() != 2500));
        let picked = picker.pick(&ready, &asked(&tried));
        assert_eq!(picked.map(|server| server.address().port()), Some(2500));
        let tried = tried.with([ready[2499].address()].into_iter());
        assert!(picker.pick(&ready, &asked(&tried)).is_none());
    }

    #[test]
    fn nobody_to_pick_is_not_a_crash() {
        let picker = RoundRobin::default().picker(&[]);
        assert!(picker.pick(&[], &asked(Tried::NONE)).is_none());
    }
}
