//! `balance: round_robin`: each server in turn, as often as its weight says, as evenly spread as the weights allow.
//!
//! ```yaml
//! balance: round_robin
//! ```
//!
//! The order is nginx's smooth weighted round robin (nginx commit 52327e0627f4, 2012): weights 5, 1, 1 give
//! `a a b a c a a`, never `a a a a a b c`. It is computed once for a set of servers; picking is one atomic addition, and
//! over each full turn the shares are exact. Memory: two bytes per unit of weight after the weights are divided by their
//! greatest common divisor.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Deserialize;

use super::{Picker, Policy, Tried};
use crate::component::Kind;
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind {
    name: "round_robin",
    summary: "each server in turn, as often as its weight says",
    build: |options| Ok(Arc::new(options.decode::<RoundRobin>()?)),
};

/// It has no options.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoundRobin {
    /// Where the turn stands. It goes on when the set changes, so that the first server is not favoured by every change.
    #[serde(skip)]
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

/// Indices of servers in the order in which they are picked.
struct Schedule {
    order: Box<[u16]>,
    turn: Arc<AtomicUsize>,
}

impl Picker for Schedule {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], tried: &Tried) -> Option<&'a Arc<Endpoint>> {
        // One turn for each request: a second one, for a server that was tried, would take another request's.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        (0..self.order.len()).find_map(|step| {
            let place = turn.wrapping_add(step) % self.order.len();
            let server = ready.get(usize::from(*self.order.get(place)?))?;
            (!tried.contains(server.address())).then_some(server)
        })
    }
}

/// In each step every server gains its weight, the richest is picked and pays the sum of all weights.
fn smooth_order(weights: &[u16]) -> Box<[u16]> {
    let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
    let weights: Vec<i64> = weights
        .iter()
        .map(|weight| i64::from(weight / divisor))
        .collect();
    let total: i64 = weights.iter().sum();
    let mut credit = vec![0_i64; weights.len()];
    let mut order = Vec::new();
    for _ in 0..total {
        for (credit, weight) in credit.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // The first of equals: `max_by_key` would take the last.
        let richest = credit
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, credit)| **credit)
            .map(|(index, _)| index);
        if let Some(index) = richest {
            if let Some(credit) = credit.get_mut(index) {
                *credit -= total;
            }
            order.extend(u16::try_from(index));
        }
    }
    order.into_boxed_slice()
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_servers_take_turns() {
        assert_eq!(*smooth_order(&[7, 7, 7]), [0, 1, 2]);
    }

    #[test]
    fn a_heavy_server_is_spread_out() {
        assert_eq!(*smooth_order(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shares_are_exact_over_a_turn() {
        let order = smooth_order(&[300, 100]);
        assert_eq!(order.len(), 4);
        assert_eq!(order.iter().filter(|index| **index == 0).count(), 3);
    }

    fn server(port: u16) -> Arc<Endpoint> {
        let second = std::time::Duration::from_secs(1);
        let timeouts = crate::upstream::Timeouts {
            connect: second,
            read: second,
            write: second,
            idle: second,
            tunnel: second,
        };
        let address = ([127, 0, 0, 1], port).into();
        Arc::new(Endpoint::new(address, 1, Arc::default(), None, &timeouts))
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
                        picker.pick(&ready, &Tried::default());
                    }
                });
            }
            for _ in 0..100_000 {
                let left = picker.pick(&ready, &tried).map(|server| server.address());
                assert_eq!(left, Some(ready[1].address()));
            }
        });
    }

    #[test]
    fn nobody_to_pick_is_not_a_crash() {
        assert!(smooth_order(&[]).is_empty());
    }
}
