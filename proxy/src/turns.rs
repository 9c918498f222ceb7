//! The order in which things with weights take turns.
//!
//! Each has its turns at even distances over the round, and they are set off against each other: weights 5, 1, 1 give
//! `b a a a c a a`, never `a a a a a b c`. It is the order of a scheduler that serves the earliest deadline first (Envoy's
//! `EdfScheduler`; Demers, Keshav and Shenker, "Analysis and Simulation of a Fair Queueing Algorithm", 1989), computed once for
//! a set: taking a turn is one atomic addition, and over each full round the shares are exact. Memory: four bytes per unit of
//! weight after the weights are divided by their greatest common divisor. Beyond 131,072 units they are rounded, to one at least:
//! some thousands of servers with weights up to 1000 shall cost milliseconds, not minutes.

use std::collections::HashMap;

/// A round is no longer than this, or than one turn each.
const TURNS_MAX: u64 = 1 << 17;

/// What a decision is made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A request of a client's: what it takes, a turn or a place, is taken.
    #[default]
    Serve,
    /// A request that is only asked about: as it would be now, and nothing is taken.
    Ask,
}

/// The inverse of the golden ratio: its multiples lie as far apart as they can (Knuth, "The Art of Computer Programming", 6.4).
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Those of one weight.
struct Alike {
    many: f64,
    /// Where the next of them begins, between two turns of the one before.
    phase: f64,
}

/// Positions in the order of their turns.
pub fn smooth_order(weights: &[u16]) -> Box<[u32]> {
    let turns = turns(weights);
    let mut alike: HashMap<u64, Alike> = HashMap::new();
    for count in &turns {
        let phase = (0.5 + GOLDEN * as_f64(alike.len() as u64)).fract();
        alike
            .entry(*count)
            .or_insert(Alike { many: 0.0, phase })
            .many += 1.0;
    }
    let mut order: Vec<(f64, u32)> = Vec::new();
    for (index, count) in (0..).zip(&turns) {
        let Some(alike) = alike.get_mut(count) else {
            continue;
        };
        let offset = alike.phase / alike.many;
        alike.phase += 1.0;
        let places = (0..*count).map(|turn| (as_f64(turn) + offset) / as_f64(*count));
        order.extend(places.map(|place| (place, index)));
    }
    order.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    order.into_iter().map(|(_, index)| index).collect()
}

/// How many turns each has in a round.
fn turns(weights: &[u16]) -> Vec<u64> {
    let divisor = weights.iter().fold(0, |a, b| gcd(a, *b)).max(1);
    let weights = weights.iter().map(|weight| u64::from(weight / divisor));
    let weights: Vec<u64> = weights.collect();
    let total: u64 = weights.iter().sum();
    if total <= TURNS_MAX {
        return weights;
    }
    let rounded = |weight: u64| (weight * TURNS_MAX + total / 2) / total;
    weights
        .into_iter()
        .map(|weight| rounded(weight).max(weight.min(1)))
        .collect()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "numbers of turns are far below 2^52"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

fn gcd(a: u16, b: u16) -> u16 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_ones_take_turns() {
        assert_eq!(*smooth_order(&[7, 7, 7]), [0, 1, 2]);
    }

    #[test]
    fn a_heavy_one_is_spread_out_and_light_ones_are_apart() {
        assert_eq!(*smooth_order(&[5, 1, 1]), [1, 0, 0, 0, 2, 0, 0]);
        assert_eq!(*smooth_order(&[2, 1]), [1, 0, 0]);
    }

    #[test]
    fn shares_are_exact_over_a_turn() {
        let order = smooth_order(&[300, 100]);
        assert_eq!(order.len(), 4);
        assert_eq!(order.iter().filter(|index| **index == 0).count(), 3);
    }

    /// Those between two turns of one are bursts of the others.
    #[test]
    fn of_many_with_many_weights_nobody_waits_for_more_than_four_times_its_due() {
        let some: Vec<u16> = (1..=60).map(|it| it * it % 97 + 1).collect();
        let odd: Vec<u16> = (0..50).map(|it| 2 * it + 1).chain([1000]).collect();
        let fewer: Vec<u16> = vec![100, 1, 3, 5, 7, 9, 11, 13];
        for weights in [some, odd, fewer] {
            is_even(&weights);
        }
    }

    fn is_even(weights: &[u16]) {
        let order = smooth_order(weights);
        let total: u16 = weights.iter().sum();
        assert_eq!(order.len(), usize::from(total));
        for (index, weight) in (0_u32..).zip(weights) {
            let places = || (0..order.len()).filter(|place| order[*place] == index);
            assert_eq!(places().count(), usize::from(*weight));
            let next = places().skip(1).chain(places().map(|it| it + order.len()));
            let longest = places().zip(next).map(|(one, next)| next - one).max();
            let due = usize::from(total.div_ceil(*weight));
            assert!(longest.unwrap() <= 4 * due, "{weight}: {longest:?}");
        }
    }

    #[test]
    fn thousands_with_any_weights_have_a_round_of_bounded_length_and_everybody_has_a_turn() {
        let weights: Vec<u16> = (0..70_000_u32)
            .map(|it| u16::try_from(it % 1000 + 1).unwrap())
            .collect();
        let order = smooth_order(&weights);
        assert!(order.len() <= 3 * 70_000, "{}", order.len());
        let mut turns = vec![0_u32; weights.len()];
        for index in order {
            turns[usize::try_from(index).unwrap()] += 1;
        }
        assert!(turns.iter().all(|turns| *turns > 0));
        assert_eq!((turns[0], turns[999]), (1, 4));
    }

    #[test]
    fn of_nothing_there_is_no_order() {
        assert!(smooth_order(&[]).is_empty());
        assert!(smooth_order(&[0, 0]).is_empty());
    }
}
