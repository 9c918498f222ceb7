//! What is known of a server within its upstream, and outlives a reload: since when it may be picked, and what an operator
//! wants of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::health::Health;
use super::limits::Taken;
use super::live::Changes;
use super::outlier::{Bounds, Ejected, Record};
use super::tally::Attempts;

/// Whether a server gets requests, its health aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Duty {
    /// It does.
    #[default]
    Serving,
    /// No new ones, but from clients that a cookie keeps with it.
    Draining,
    /// None.
    Disabled,
}

impl Duty {
    /// As it is written in the log and in the operator's answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

/// What an operator wants, for so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held<T> {
    /// It.
    pub value: T,
    /// When it ends by itself; nothing means until it is taken back.
    pub until: Option<Instant>,
}

/// What an operator wants of a server, in place of what the file says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Order {
    /// Whether it gets requests.
    pub duty: Option<Held<Duty>>,
    /// Its share.
    pub weight: Option<Held<u16>>,
}

impl Order {
    /// As far as it still holds.
    fn at(self, now: Instant) -> Self {
        let holds = |until: Option<Instant>| until.is_none_or(|until| now < until);
        Self {
            duty: self.duty.filter(|held| holds(held.until)),
            weight: self.weight.filter(|held| holds(held.until)),
        }
    }

    /// Whether nothing is wanted.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// When the first part of it ends.
    pub fn until(&self) -> Option<Instant> {
        let duty = self.duty.and_then(|held| held.until);
        let weight = self.weight.and_then(|held| held.until);
        duty.into_iter().chain(weight).min()
    }
}

/// What decides whether a server may be picked, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// What its probes say.
    pub health: Health,
    /// What the file or an operator says.
    pub duty: Duty,
    /// Its share.
    pub weight: u16,
    /// Whether it is out for what became of its requests.
    pub is_ejected: bool,
    /// Whether it is an operator that says so of `duty`, and of `weight`.
    pub is_duty_ordered: bool,
    /// As `is_duty_ordered`.
    pub is_weight_ordered: bool,
}

/// What is known of a server within its upstream.
#[derive(Debug, Default)]
pub struct Standing {
    known: Mutex<Known>,
    attempts: Attempts,
    taken: Taken,
    outlier: Mutex<Record>,
    /// Who is told when it is put out.
    pub changes: Changes,
}

#[derive(Debug, Default)]
struct Known {
    order: Order,
    /// The latest order did not end by itself.
    is_taken_back: bool,
    seen: Option<Seen>,
    /// Who names it.
    by: Option<Arc<str>>,
    ready_since: Option<Instant>,
    /// It was down, or came to others that serve already: once it is ready, it has to warm up.
    is_cold: bool,
    warms_since: Option<Instant>,
}

impl Standing {
    /// How attempts with it ended.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// What its upstream has there, if that has limits.
    pub fn taken(&self) -> &Taken {
        &self.taken
    }

    /// What became of attempts with it, where the file asks for ejection.
    pub fn outlier(&self) -> MutexGuard<'_, Record> {
        self.outlier.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is out for what became of its requests, and why.
    pub fn ejected(&self, now: Instant, bounds: Option<&Bounds>) -> Option<Ejected> {
        self.outlier().ejected(now, bounds?)
    }

    /// Since when it may be picked.
    pub fn ready_since(&self) -> Option<Instant> {
        self.lock().ready_since
    }

    /// Since when it warms up, if it had to.
    pub fn warms_since(&self) -> Option<Instant> {
        self.lock().warms_since
    }

    /// How it is seen from now on; `late` means that others serve already. Returns how it was seen before, if that was otherwise.
    pub fn note(&self, seen: Seen, late: bool, now: Instant) -> Option<Option<Seen>> {
        let mut known = self.lock();
        let before = known.seen.replace(seen);
        let is_out = seen.health == Health::Down || seen.is_ejected;
        known.is_cold |= is_out || (before.is_none() && late);
        match (seen.health, seen.duty) {
            (Health::Up, Duty::Serving) if is_out => {
                (known.ready_since, known.warms_since) = (None, None);
            }
            (Health::Up, Duty::Serving) if known.ready_since.is_none() => {
                known.ready_since = Some(now);
                known.warms_since = std::mem::take(&mut known.is_cold).then_some(now);
            }
            // A check that has just changed knows nothing yet.
            (Health::Up, Duty::Serving) | (Health::Untried, _) => {}
            _ => (known.ready_since, known.warms_since) = (None, None),
        }
        (before != Some(seen)).then_some(before)
    }

    /// Who names it.
    pub fn named(&self, by: &Arc<str>) {
        self.lock().by = Some(Arc::clone(by));
    }

    /// As far as that is known.
    pub fn named_by(&self) -> Option<Arc<str>> {
        self.lock().by.clone()
    }

    /// It is gone. If it was there, who named it.
    pub fn note_gone(&self) -> Option<Option<Arc<str>>> {
        let mut known = self.lock();
        let order = known.order;
        let before = std::mem::replace(
            &mut *known,
            Known {
                order,
                ..Known::default()
            },
        );
        before.seen.map(|_| before.by)
    }

    /// What an operator wants, as far as that still holds.
    pub fn order(&self, now: Instant) -> Order {
        self.lock().order.at(now)
    }

    /// What an operator wants from now on; what is not said stays.
    pub fn give(&self, order: Order) {
        let mut known = self.lock();
        known.is_taken_back = false;
        known.order = Order {
            duty: order.duty.or(known.order.duty),
            weight: order.weight.or(known.order.weight),
        };
    }

    /// Nothing is wanted any more.
    pub fn take_back(&self) {
        let mut known = self.lock();
        (known.order, known.is_taken_back) = (Order::default(), true);
    }

    /// Whether what was wanted was taken back, and did not end by itself.
    pub fn is_taken_back(&self) -> bool {
        self.lock().is_taken_back
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seen(health: Health) -> Seen {
        Seen {
            health,
            duty: Duty::Serving,
            weight: 1,
            is_ejected: false,
            is_duty_ordered: false,
            is_weight_ordered: false,
        }
    }

    #[test]
    fn the_parts_of_an_order_end_by_themselves_and_another_part_leaves_them_alone() {
        let standing = Standing::default();
        let now = Instant::now();
        let held = |until| Held {
            value: Duty::Draining,
            until,
        };
        let weight = Some(Held {
            value: 3,
            until: Some(now + SECOND),
        });
        let duty = Some(held(None));
        standing.give(Order { duty, weight: None });
        standing.give(Order { duty: None, weight });
        assert_eq!(standing.order(now), Order { duty, weight });
        assert_eq!(standing.order(now + SECOND), Order { duty, weight: None });
        assert!(!standing.is_taken_back());
        standing.take_back();
        assert!(standing.order(now).is_none() && standing.is_taken_back());
        standing.give(Order { duty: None, weight });
        assert!(!standing.is_taken_back(), "this one may end by itself");
    }

    #[test]
    fn who_was_down_or_came_late_warms_up_once() {
        let now = Instant::now();
        for (late, down, warms) in [
            (false, false, false),
            (true, false, true),
            (false, true, true),
        ] {
            let standing = Standing::default();
            standing.note(seen(Health::Untried), late, now);
            if down {
                standing.note(seen(Health::Down), late, now);
            }
            standing.note(seen(Health::Up), late, now);
            assert_eq!(
                standing.warms_since(),
                warms.then_some(now),
                "{late} {down}"
            );
            standing.note(seen(Health::Up), true, now + SECOND);
            assert_eq!(standing.ready_since(), Some(now));
            let drained = Seen {
                duty: Duty::Draining,
                ..seen(Health::Up)
            };
            standing.note(drained, true, now + SECOND);
            standing.note(seen(Health::Up), true, now + SECOND);
            assert_eq!(standing.warms_since(), None, "it was never down");
            let ejected = Seen {
                is_ejected: true,
                ..seen(Health::Up)
            };
            standing.note(ejected, true, now + SECOND);
            assert_eq!(standing.ready_since(), None);
            standing.note(seen(Health::Up), true, now + SECOND);
            assert_eq!(standing.warms_since(), Some(now + SECOND));
        }
    }
}
