//! What outlives an edit of how it is asked for: who asks the same in another way begins with what is known.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Values that exist as long as somebody outside holds them: by what is asked, and how.
pub struct Kin<A, H, V>(Mutex<Known<A, H, V>>);

struct Known<A, H, V> {
    by_question: HashMap<A, Vec<(H, Weak<V>)>>,
    /// With so many questions, those are looked for that nobody asks.
    sweep_at: usize,
}

impl<A, H, V> Default for Kin<A, H, V> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            by_question: HashMap::new(),
            sweep_at: 0,
        }))
    }
}

impl<A: Eq + Hash, H: PartialEq, V> Kin<A, H, V> {
    /// The one that asks this in this way, which `make` makes if there is none; it is given the latest that asks the same.
    pub fn get_or(&self, asks: A, how: H, make: impl FnOnce(Option<&V>) -> Arc<V>) -> Arc<V> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Known {
            by_question,
            sweep_at,
        } = &mut *known;
        if by_question.len() >= *sweep_at {
            by_question.retain(|_, of| of.iter().any(|(_, value)| value.strong_count() > 0));
            *sweep_at = 2 * by_question.len() + 1;
        }
        let of = by_question.entry(asks).or_default();
        of.retain(|(_, value)| value.strong_count() > 0);
        let mut equal = of.iter().filter(|(known, _)| *known == how);
        if let Some(value) = equal.find_map(|(_, value)| value.upgrade()) {
            return value;
        }
        let latest = of.iter().rev().find_map(|(_, value)| value.upgrade());
        let value = make(latest.as_deref());
        of.push((how, Arc::downgrade(&value)));
        value
    }

    /// Whether somebody holds one that asks this.
    #[cfg(test)]
    pub fn is_held(&self, asks: impl Fn(&A) -> bool) -> bool {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = known.by_question.iter().filter(|(known, _)| asks(known));
        of.any(|(_, of)| of.iter().any(|(_, value)| value.strong_count() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_the_same_in_another_way_is_given_the_latest_that_did() {
        let kin = Kin::<&str, u8, u8>::default();
        let one = kin.get_or("a", 1, |kin| Arc::new(kin.map_or(10, |kin| kin + 1)));
        assert!(Arc::ptr_eq(&one, &kin.get_or("a", 1, |_| Arc::new(0))));
        let two = kin.get_or("a", 2, |kin| Arc::new(kin.map_or(20, |kin| kin + 1)));
        let three = kin.get_or("a", 3, |kin| Arc::new(kin.map_or(30, |kin| kin + 1)));
        let other = kin.get_or("b", 1, |kin| Arc::new(kin.map_or(40, |kin| kin + 1)));
        assert_eq!([*one, *two, *three, *other], [10, 11, 12, 40]);
    }

    #[test]
    fn what_nobody_holds_is_nobodys_kin() {
        let kin = Kin::<&str, u8, u8>::default();
        drop(kin.get_or("a", 1, |_| Arc::new(1)));
        kin.get_or("a", 2, |kin| {
            assert_eq!(kin, None);
            Arc::new(2)
        });
    }
}
