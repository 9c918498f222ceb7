//! Token buckets by key, so many and no more.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lru::LruCache;

use crate::config::Rate;

/// Threads that ask at the same time rarely ask for the same part.
const PARTS: usize = 16;

/// Buckets of one kind.
pub(super) struct Buckets {
    /// What one request takes, in nanoseconds of filling.
    cost: u64,
    /// What a full bucket holds, likewise.
    depth: u64,
    /// By key, the moment at which a bucket will be full, in nanoseconds. What is forgotten is full.
    parts: Vec<Mutex<LruCache<u64, u64>>>,
}

/// How a bucket stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    /// Requests that may come at once.
    pub(super) left: u64,
    /// Until it is full.
    pub(super) full_in: Duration,
}

/// It is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Empty {
    pub(super) level: Level,
    /// Until there is enough in it for one request.
    pub(super) next_in: Duration,
}

impl Buckets {
    pub(super) fn new(rate: Rate, burst: u32, keys: u32) -> Self {
        let span = u64::try_from(rate.span.as_nanos()).unwrap_or(u64::MAX);
        let cost = (span / u64::from(rate.count).max(1)).max(1);
        let keys = usize::try_from(keys).unwrap_or(usize::MAX);
        let of_a_part = NonZeroUsize::new(keys.div_ceil(PARTS)).unwrap_or(NonZeroUsize::MIN);
        let part = |_| {
            // Room is made as keys come.
            let mut part = LruCache::unbounded();
            part.resize(of_a_part);
            Mutex::new(part)
        };
        Self {
            cost,
            depth: cost.saturating_mul(u64::from(burst)),
            parts: (0..PARTS).map(part).collect(),
        }
    }

    /// Takes what one request costs, `now` after the beginning.
    pub(super) fn take(&self, key: u64, now: Duration) -> Result<Level, Empty> {
        let now = nanoseconds(now);
        let Some(mut part) = self.part(key) else {
            return Ok(self.level(now, now));
        };
        let full_at = part.get(&key).copied().unwrap_or(now).max(now);
        let then = self.after_one_more(full_at, now)?;
        part.put(key, then);
        Ok(self.level(then, now))
    }

    /// What taking would come to.
    pub(super) fn look(&self, key: u64, now: Duration) -> Result<Level, Empty> {
        let now = nanoseconds(now);
        let full_at = self.part(key).and_then(|part| part.peek(&key).copied());
        let then = self.after_one_more(full_at.unwrap_or(now).max(now), now)?;
        Ok(self.level(then, now))
    }

    fn part(&self, key: u64) -> Option<MutexGuard<'_, LruCache<u64, u64>>> {
        let place = usize::try_from(key >> 32).unwrap_or_default() % PARTS;
        let part = self.parts.get(place)?;
        Some(part.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// When it will be full.
    fn after_one_more(&self, full_at: u64, now: u64) -> Result<u64, Empty> {
        let then = full_at.saturating_add(self.cost);
        if then - now > self.depth {
            return Err(Empty {
                level: self.level(full_at, now),
                next_in: Duration::from_nanos(then - now - self.depth),
            });
        }
        Ok(then)
    }

    fn level(&self, full_at: u64, now: u64) -> Level {
        let missing = full_at - now;
        Level {
            left: self.depth.saturating_sub(missing) / self.cost,
            full_in: Duration::from_nanos(missing),
        }
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(count: u32, burst: u32, keys: u32) -> Buckets {
        let span = Duration::from_secs(1);
        Buckets::new(Rate { count, span }, burst, keys)
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_what_flows_in() {
        let buckets = buckets(10, 3, 100);
        for left in [2, 1, 0] {
            assert_eq!(buckets.take(1, ms(0)).unwrap().left, left);
        }
        let empty = buckets.take(1, ms(40)).unwrap_err();
        assert_eq!((empty.level.left, empty.next_in), (0, ms(60)));
        assert_eq!(empty.level.full_in, ms(260));
        assert_eq!(buckets.take(1, ms(100)).unwrap().left, 0);
        assert!(buckets.take(1, ms(199)).is_err());
        assert_eq!(buckets.take(2, ms(199)).unwrap().left, 2, "another's");
        assert_eq!(
            buckets.take(1, ms(10_000)).unwrap().left,
            2,
            "never above the brim"
        );
    }

    #[test]
    fn who_only_looks_takes_nothing() {
        let buckets = buckets(10, 1, 100);
        for _ in 0..3 {
            assert_eq!(buckets.look(1, ms(0)).unwrap().left, 0);
        }
        assert!(buckets.take(1, ms(0)).is_ok() && buckets.look(1, ms(0)).is_err());
    }

    /// Over any time no more than the burst and what flowed in.
    #[test]
    fn over_time_it_is_exactly_the_rate() {
        let buckets = buckets(100, 10, 100);
        let taken = (0..10_000).filter(|millis| buckets.take(7, ms(*millis)).is_ok());
        assert_eq!(taken.count(), 10 + 999);
    }

    #[test]
    fn a_flood_of_keys_takes_no_more_room() {
        let buckets = buckets(1, 1, 160);
        for key in 0..100_000_u64 {
            let _ = buckets.take(key << 32 | key, ms(0));
        }
        let held: usize = buckets
            .parts
            .iter()
            .map(|part| part.lock().unwrap().len())
            .sum();
        assert!(held <= 160, "{held}");
    }
}
