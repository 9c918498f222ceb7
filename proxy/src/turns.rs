//! The order in which things with weights take turns.
//!
//! It is nginx's smooth weighted round robin (nginx commit 52327e0627f4, 2012): weights 5, 1, 1 give `a a b a c a a`, never
//! `a a a a a b c`. It is computed once for a set; taking a turn is one atomic addition, and over each full turn the shares
//! are exact. Memory: two bytes per unit of weight after the weights are divided by their greatest common divisor.

/// What a decision is made for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Purpose {
    /// A request of a client's: what it takes, a turn or a place, is taken.
    #[default]
    Serve,
    /// A request that is only asked about: as it would be now, and nothing is taken.
    Ask,
}

/// Positions in the order of their turns. In each step every one gains its weight, the richest is next and pays the sum of
/// all weights.
pub fn smooth_order(weights: &[u16]) -> Box<[u16]> {
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
    fn equal_ones_take_turns() {
        assert_eq!(*smooth_order(&[7, 7, 7]), [0, 1, 2]);
    }

    #[test]
    fn a_heavy_one_is_spread_out() {
        assert_eq!(*smooth_order(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn shares_are_exact_over_a_turn() {
        let order = smooth_order(&[300, 100]);
        assert_eq!(order.len(), 4);
        assert_eq!(order.iter().filter(|index| **index == 0).count(), 3);
    }

    #[test]
    fn of_nothing_there_is_no_order() {
        assert!(smooth_order(&[]).is_empty());
        assert!(smooth_order(&[0, 0]).is_empty());
    }
}
