//! What was counted lately, in parts that fall out of it one after the other.

use std::time::{Duration, Instant};

/// So many parts make a window: it covers four to five fifths of its time.
const PARTS: usize = 5;

/// Sums over the last time. The clock is the caller's.
#[derive(Debug)]
pub(super) struct Window<T> {
    /// How much of the time one part is.
    span: Duration,
    begun: Option<Instant>,
    parts: [Part<T>; PARTS],
}

#[derive(Debug, Clone, Copy, Default)]
struct Part<T> {
    /// Which one it is of those since the beginning, from 1; 0 is none.
    turn: u64,
    sum: T,
}

impl<T: Copy + Default> Default for Window<T> {
    fn default() -> Self {
        Self {
            span: Duration::ZERO,
            begun: None,
            parts: [Part::default(); PARTS],
        }
    }
}

impl<T: Copy + Default> Window<T> {
    /// Where to count what happens now, if that is not over already. A window of another length begins anew.
    pub(super) fn at(&mut self, now: Instant, over: Duration) -> Option<&mut T> {
        let span = over / PARTS as u32;
        if self.span != span {
            *self = Self {
                span,
                ..Self::default()
            };
        }
        self.begun.get_or_insert(now);
        let turn = self.turn(now)?;
        let place = usize::try_from(turn).ok()? % PARTS;
        let part = self.parts.get_mut(place)?;
        if part.turn < turn {
            *part = Part {
                turn,
                sum: T::default(),
            };
        }
        (part.turn == turn).then_some(&mut part.sum)
    }

    /// The parts that count now.
    pub(super) fn sums(&self, now: Instant) -> impl Iterator<Item = T> {
        let turn = self.turn(now).unwrap_or_default();
        let oldest = turn.saturating_sub(PARTS as u64 - 1).max(1);
        let parts = self.parts.iter();
        parts
            .filter(move |part| part.turn >= oldest)
            .map(|part| part.sum)
    }

    /// What happened a little before the beginning is taken to be of the first part.
    fn turn(&self, now: Instant) -> Option<u64> {
        let age = now.saturating_duration_since(self.begun?);
        let turns = age.as_nanos().checked_div(self.span.as_nanos())?;
        u64::try_from(turns).ok()?.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_older_than_the_window_falls_out_of_it_part_by_part() {
        let over = Duration::from_secs(10);
        let start = Instant::now();
        let mut window = Window::<u32>::default();
        for second in 0..30 {
            let now = start + Duration::from_secs(second);
            *window.at(now, over).unwrap() += 1;
            let sum: u32 = window.sums(now).sum();
            let so_far = second as u32 + 1;
            assert!(sum == so_far.min(9 + second as u32 % 2), "{second}: {sum}");
        }
        let now = start + Duration::from_secs(120);
        assert_eq!(window.sums(now).sum::<u32>(), 0);
        *window.at(now, over).unwrap() += 1;
        assert_eq!(window.sums(now).sum::<u32>(), 1);
    }

    #[test]
    fn what_comes_late_and_another_length_do_no_harm() {
        let over = Duration::from_secs(10);
        let now = Instant::now() + over;
        let mut window = Window::<u32>::default();
        *window.at(now, over).unwrap() += 1;
        *window.at(now - over / 2, over).unwrap() += 1;
        assert_eq!(window.sums(now).sum::<u32>(), 2);
        *window.at(now + 2 * over, over).unwrap() += 1;
        // Its place has been taken since.
        assert!(window.at(now, over).is_none());
        *window.at(now, over / 2).unwrap() += 1;
        assert_eq!(window.sums(now).sum::<u32>(), 1);
    }
}
