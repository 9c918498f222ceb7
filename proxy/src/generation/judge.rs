//! Whether a new generation fails where the one before did not: by route, against the same span of time before the swap, and
//! never on a handful of requests or by chance (the test of two proportions, pooled; at four standard deviations).

use std::collections::HashMap;
use std::time::Duration;

/// When a generation is taken back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// So many more of a route's answers fail than before, as a share of all: from 0 to 1.
    pub errors: f64,
    /// How long it is watched, and how long before the swap is compared with.
    pub over: Duration,
    /// Answers of a route that it takes to say anything.
    pub requests: u64,
}

/// Answers, and how many of them failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// All.
    pub answers: u64,
    /// By the fault of the proxy or of a server.
    pub failed: u64,
}

impl Count {
    /// What came since.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            answers: self.answers.saturating_sub(before.answers),
            failed: self.failed.saturating_sub(before.failed),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of so many is a share")]
    fn share(self) -> f64 {
        if self.answers == 0 {
            0.0
        } else {
            self.failed as f64 / self.answers as f64
        }
    }
}

/// What was before the swap.
#[derive(Debug, Clone, Default)]
pub struct Before {
    /// By route.
    pub routes: HashMap<String, Count>,
}

/// A route that fails now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jump {
    /// Its name.
    pub route: String,
    /// What was before.
    pub before: Count,
    /// What is now.
    pub after: Count,
}

impl std::fmt::Display for Jump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |count: Count| count.share() * 100.0;
        let (before, after) = (self.before, self.after);
        write!(
            f,
            "route {}: {} of {} answers failed ({:.1} %), before it {} of {} ({:.1} %)",
            self.route,
            after.failed,
            after.answers,
            percent(after),
            before.failed,
            before.answers,
            percent(before)
        )
    }
}

/// The route that fails most, if one does. A route that was not there, or that nobody asked, is compared with all that were: what it takes now
/// went to one of them, or nowhere.
pub fn jump<'r>(
    bounds: &Bounds,
    before: &Before,
    now: impl Iterator<Item = (&'r str, Count)>,
) -> Option<Jump> {
    let all = before.routes.values();
    let all = all.fold(Count::default(), |sum, one| Count {
        answers: sum.answers + one.answers,
        failed: sum.failed + one.failed,
    });
    let enough = now.filter(|(_, after)| after.answers >= bounds.requests.max(1));
    let jumps = enough.filter_map(|(route, after)| {
        let known = before.routes.get(route).copied();
        let before = known.filter(|known| known.answers > 0).unwrap_or(all);
        let jumps = after.share() - before.share() >= bounds.errors && !by_chance(before, after);
        jumps.then(|| Jump {
            route: route.to_owned(),
            before,
            after,
        })
    });
    jumps.max_by(|one, other| one.after.share().total_cmp(&other.after.share()))
}

/// Standard deviations that it takes.
const DEVIATIONS: f64 = 4.0;

/// Whether both may well be of the same kind. Where nothing came before, there is nothing to be alike to.
#[expect(clippy::cast_precision_loss, reason = "a share of so many is a share")]
fn by_chance(before: Count, after: Count) -> bool {
    if before.answers == 0 {
        return false;
    }
    let both = Count {
        answers: before.answers + after.answers,
        failed: before.failed + after.failed,
    };
    let spread = 1.0 / before.answers as f64 + 1.0 / after.answers as f64;
    let deviation = (both.share() * (1.0 - both.share()) * spread).sqrt();
    after.share() - before.share() < DEVIATIONS * deviation
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        errors: 0.2,
        over: Duration::from_secs(30),
        requests: 20,
    };

    const fn count(answers: u64, failed: u64) -> Count {
        Count { answers, failed }
    }

    fn judged(before: &[(&str, Count)], now: &[(&str, Count)]) -> Option<String> {
        let routes = before
            .iter()
            .map(|(name, count)| ((*name).to_owned(), *count));
        let before = Before {
            routes: routes.collect(),
        };
        jump(&BOUNDS, &before, now.iter().copied()).map(|jump| jump.route)
    }

    #[test]
    fn a_jump_is_told_by_route_and_a_handful_is_none() {
        let a = Some("a".to_owned());
        for (before, now, expected) in [
            (
                vec![("a", count(100, 0))],
                vec![("a", count(20, 4))],
                a.clone(),
            ),
            (vec![("a", count(100, 0))], vec![("a", count(19, 19))], None),
            (
                vec![("a", count(100, 0))],
                vec![("a", count(100, 19))],
                None,
            ),
            // It failed before.
            (
                vec![("a", count(100, 90))],
                vec![("a", count(100, 100))],
                None,
            ),
            // Others do well: that does not help this one.
            (
                vec![("a", count(50, 0)), ("b", count(10_000, 0))],
                vec![("a", count(30, 30)), ("b", count(10_000, 0))],
                a.clone(),
            ),
            // It was hardly asked, and failed then.
            (
                vec![("a", count(15, 15)), ("b", count(300, 0))],
                vec![("a", count(25, 25))],
                None,
            ),
            // It is new.
            (
                vec![("b", count(100, 0))],
                vec![("a", count(30, 30))],
                a.clone(),
            ),
            (
                vec![("b", count(100, 100))],
                vec![("a", count(30, 30))],
                None,
            ),
            (vec![], vec![("a", count(30, 30))], a),
            (vec![], vec![], None),
        ] {
            assert_eq!(judged(&before, &now), expected, "{before:?} {now:?}");
        }
    }

    /// One answer in twenty fails, before and after: however it falls, nothing is taken back.
    #[test]
    fn noise_is_no_jump() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..2000 {
            let mut draw = |answers: u64| {
                let failed = (0..answers).filter(|_| random.f64() < 0.05).count();
                count(answers, failed as u64)
            };
            let (before, now) = (draw(200), draw(30));
            assert_eq!(
                judged(&[("a", before)], &[("a", now)]),
                None,
                "round {round}"
            );
        }
    }
}
