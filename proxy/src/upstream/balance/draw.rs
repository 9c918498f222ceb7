//! Draws servers by lot, each as often as its weight says, and takes the best of a few.
//!
//! The lot is Vose's alias method (M. D. Vose, "A linear algorithm for generating random numbers with a given distribution",
//! IEEE Transactions on Software Engineering 17, 1991), in whole numbers, so that shares are exact: one random word and one
//! look into a table, however many servers there are. Memory: eight bytes for each server.

use std::sync::Arc;

use super::Tried;
use crate::upstream::Endpoint;

/// The most that can be compared for one request.
pub(super) const CHOICES_MAX: u8 = 10;

/// So often a lot that does not count is drawn again. Then those that are left are counted: where few are left, or one has
/// nearly all the weight, lots could be drawn for ever.
const DRAWS: usize = 4;

/// The lots of one set of servers.
pub(super) struct Draw {
    columns: Box<[Column]>,
    total: u64,
}

/// A server and the one that it shares its place with.
struct Column {
    /// How much of the place is its own, out of all the weight.
    own: u32,
    other: u32,
}

impl Draw {
    pub(super) fn new(ready: &[Arc<Endpoint>]) -> Self {
        let weights: Vec<u64> = ready.iter().map(|server| server.weight().into()).collect();
        Self {
            columns: columns(&weights),
            total: weights.iter().sum(),
        }
    }

    /// The best of so many servers that were not tried: drawn by weight, each once, and the first unless a later one is better.
    pub(super) fn best_of<'a>(
        &self,
        choices: u8,
        ready: &'a [Arc<Endpoint>],
        tried: &Tried,
        is_better: impl Fn(&Endpoint, &Endpoint) -> bool,
    ) -> Option<&'a Arc<Endpoint>> {
        let mut drawn = [usize::MAX; CHOICES_MAX as usize];
        let mut best: Option<&Arc<Endpoint>> = None;
        for count in 0..usize::from(choices).min(ready.len()) {
            let is_out = |index: usize, server: &Endpoint| {
                drawn.contains(&index) || tried.contains(server.address())
            };
            let Some((index, server)) = self.another(ready, is_out) else {
                break;
            };
            if let Some(place) = drawn.get_mut(count) {
                *place = index;
            }
            if best.is_none_or(|best| is_better(server, best)) {
                best = Some(server);
            }
        }
        best
    }

    /// One of those that count, by weight.
    fn another<'a>(
        &self,
        ready: &'a [Arc<Endpoint>],
        is_out: impl Fn(usize, &Endpoint) -> bool,
    ) -> Option<(usize, &'a Arc<Endpoint>)> {
        for _ in 0..DRAWS {
            let index = self.index()?;
            let server = ready.get(index)?;
            if !is_out(index, server) {
                return Some((index, server));
            }
        }
        let left = || {
            let all = ready.iter().enumerate();
            all.filter(|(index, server)| !is_out(*index, server))
        };
        let total: u64 = left().map(|(_, server)| u64::from(server.weight())).sum();
        let mut lot = fastrand::u64(0..total.max(1));
        left().find(
            |(_, server)| match lot.checked_sub(server.weight().into()) {
                Some(rest) => {
                    lot = rest;
                    false
                }
                None => true,
            },
        )
    }

    /// Half of the random word finds the column, the other half decides between the two in it.
    fn index(&self) -> Option<usize> {
        let word = fastrand::u64(..);
        let (high, low) = (word >> 32, word & u64::from(u32::MAX));
        let index = ((high * self.columns.len() as u64) >> 32) as usize;
        let column = self.columns.get(index)?;
        let is_own = (low * self.total) >> 32 < u64::from(column.own);
        Some(if is_own { index } else { column.other as usize })
    }
}

/// Every column is as high as the sum of all weights, and every server has its weight as often as there are columns: who has
/// too little for its own is filled up by one that has too much.
fn columns(weights: &[u64]) -> Box<[Column]> {
    let height: u64 = weights.iter().sum();
    let mut amounts: Vec<u64> = weights
        .iter()
        .map(|weight| weight * weights.len() as u64)
        .collect();
    let mut columns: Vec<Column> = (0..weights.len() as u32)
        .map(|index| Column {
            own: u32::try_from(height).unwrap_or(u32::MAX),
            other: index,
        })
        .collect();
    let (mut poor, mut rich): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|index| amounts.get(*index) < Some(&height));
    while let (Some(needs), Some(gives)) = (poor.pop(), rich.pop()) {
        let has = amounts.get(needs).copied().unwrap_or_default();
        if let Some(column) = columns.get_mut(needs) {
            column.own = u32::try_from(has).unwrap_or(u32::MAX);
            column.other = gives as u32;
        }
        let Some(amount) = amounts.get_mut(gives) else {
            break;
        };
        *amount -= height - has;
        if *amount < height {
            poor.push(gives);
        } else {
            rich.push(gives);
        }
    }
    columns.into_boxed_slice()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::balance::simulation::servers;

    /// What each column gives to whom must add up to the weights, to the last unit.
    #[test]
    fn shares_are_exact() {
        for weights in [
            vec![1],
            vec![5, 1, 1],
            vec![1, 1, 1, 1],
            vec![65535, 1, 300, 7, 7],
            vec![65535; 300],
        ] {
            let height: u64 = weights.iter().sum();
            let mut given = vec![0; weights.len()];
            for (index, column) in columns(&weights).iter().enumerate() {
                given[index] += u64::from(column.own);
                given[column.other as usize] += height - u64::from(column.own);
            }
            let expected: Vec<u64> = weights
                .iter()
                .map(|weight| weight * weights.len() as u64)
                .collect();
            assert_eq!(given, expected);
        }
    }

    #[test]
    fn of_two_that_are_compared_none_is_the_other() {
        fastrand::seed(1);
        let ready = servers(&[1, 1]);
        let draw = Draw::new(&ready);
        for _ in 0..1000 {
            let is_second = |one: &Endpoint, _: &Endpoint| one.address() == ready[1].address();
            let best = draw.best_of(2, &ready, Tried::NONE, is_second).unwrap();
            assert_eq!(best.address(), ready[1].address());
        }
    }

    #[test]
    fn whoever_is_left_is_found_and_by_weight() {
        fastrand::seed(2);
        let ready = servers(&[65535, 3, 1]);
        let draw = Draw::new(&ready);
        let mut tried = Tried::default();
        tried.add(ready[0].address());
        let mut first = 0;
        for _ in 0..10_000 {
            let server = draw.best_of(1, &ready, &tried, |_, _| false).unwrap();
            first += usize::from(server.address() == ready[1].address());
        }
        assert!((7300..7700).contains(&first), "{first}");
        tried.add(ready[1].address());
        tried.add(ready[2].address());
        assert!(draw.best_of(3, &ready, &tried, |_, _| false).is_none());
    }

    #[test]
    fn nobody_to_draw_is_not_a_crash() {
        let draw = Draw::new(&[]);
        assert!(draw.best_of(2, &[], Tried::NONE, |_, _| true).is_none());
    }
}
