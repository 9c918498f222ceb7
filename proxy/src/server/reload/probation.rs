//! A new generation is watched for a while: if a route fails where it did not before, the generation before it returns by
//! itself, and the file is refused until it changes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, warn};

use super::candidate::Origin;
use super::{Refused, Reloader};
use crate::generation::judge::{Before, Bounds, Count, Jump, jump};
use crate::snapshot::{Refusal, Snapshot};

/// How often answers are counted.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What the latest generations answered so far.
#[derive(Default)]
struct Book {
    /// The one that is counted.
    generation: u64,
    /// Counts of it over time, the latest last.
    samples: VecDeque<(Instant, HashMap<String, Count>)>,
    /// What the one before it answered in the end, and since when this one is watched; none if there was none to compare with.
    probation: Option<(Before, Instant)>,
}

/// Watches for as long as the process runs.
pub(in crate::server) async fn watch(reloader: Arc<Reloader>) {
    let mut book = Book::default();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let snapshot = reloader.running.snapshot();
        let Some(bounds) = snapshot.reload.rollback_on else {
            book = Book::default();
            continue;
        };
        if let Some(jump) = book.look(&snapshot, &bounds, Instant::now()) {
            reloader.take_back(snapshot.generation, &jump).await;
            // What returns is not watched: it is what was.
            book = Book::default();
        }
    }
}

impl Book {
    fn look(&mut self, snapshot: &Snapshot, bounds: &Bounds, now: Instant) -> Option<Jump> {
        if self.generation != snapshot.generation {
            let before = self.window(bounds.over, now);
            let is_first = self.generation == 0;
            *self = Self {
                generation: snapshot.generation,
                samples: VecDeque::new(),
                probation: (!is_first).then_some((before, now)),
            };
        }
        let counts = counts(snapshot);
        let found = match &self.probation {
            Some((_, since)) if now.duration_since(*since) > bounds.over => {
                self.probation = None;
                None
            }
            Some((before, _)) => {
                let now = counts.iter().map(|(name, count)| (name.as_str(), *count));
                jump(bounds, before, now)
            }
            None => None,
        };
        self.samples.push_back((now, counts));
        let is_old = |(at, _): &(Instant, _)| now.duration_since(*at) > bounds.over;
        // The last one before the window is where it begins.
        while self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
        found
    }

    /// What was answered in the time before now.
    fn window(&self, over: Duration, now: Instant) -> Before {
        let Some((_, last)) = self.samples.back() else {
            return Before::default();
        };
        let mut samples = self.samples.iter();
        let begin = samples
            .rfind(|(at, _)| now.duration_since(*at) > over)
            .map(|(_, counts)| counts);
        let count = |name: &String, count: &Count| {
            let before = begin.and_then(|begin| begin.get(name)).copied();
            (name.clone(), count.since(before.unwrap_or_default()))
        };
        Before {
            routes: last.iter().map(|(name, one)| count(name, one)).collect(),
        }
    }
}

fn counts(snapshot: &Snapshot) -> HashMap<String, Count> {
    let routes = snapshot.routes.iter();
    routes
        .map(|route| (route.name.clone(), route.answers.count()))
        .collect()
}

impl Reloader {
    /// Goes back to what ran before this generation, if it still runs.
    async fn take_back(&self, number: u64, jump: &Jump) {
        let _turn = self.turn.lock().await;
        if self.running.snapshot().generation != number {
            return;
        }
        let before = self.history().good_before(number).cloned();
        let Some(before) = before else {
            warn!("generation {number} fails, and there is none to go back to: {jump}");
            return;
        };
        let back = async {
            let candidate = self.read(Origin::Kept(before.files)).await?;
            let trigger = format!("generation {number} taken back, to {}", before.number);
            self.take(candidate, &trigger).await
        };
        match back.await {
            Ok(generation) => {
                let why = jump.to_string();
                error!(
                    taken_back = number,
                    generation = generation.number,
                    "the routing file is refused, and what ran before it runs again: {why}"
                );
                if let Err(error) = self.history().refuse(number, &why) {
                    warn!("that it was taken back is not on disk: {error}");
                }
                self.running.note_refusal(Some(Refusal {
                    since: SystemTime::now(),
                    report: format!("generation {number} was taken back: {why}\n"),
                }));
            }
            Err(Refused(report)) => error!(
                "generation {number} fails ({jump}), and generation {} cannot be used any more\n{report}",
                before.number
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        errors: 0.2,
        over: Duration::from_secs(10),
        requests: 20,
    };

    fn book(samples: &[(u64, u64, u64)], start: Instant) -> Book {
        let sample = |(at, answers, failed): &(u64, u64, u64)| {
            let count = Count {
                answers: *answers,
                failed: *failed,
            };
            let counts = HashMap::from([("a".to_owned(), count)]);
            (start + Duration::from_secs(*at), counts)
        };
        Book {
            generation: 1,
            samples: samples.iter().map(sample).collect(),
            probation: None,
        }
    }

    #[test]
    fn compared_is_with_the_time_before_the_swap_and_no_longer_ago() {
        let start = Instant::now();
        let book = book(&[(0, 100, 100), (5, 200, 100), (12, 300, 110)], start);
        let before = book.window(BOUNDS.over, start + Duration::from_secs(14));
        let expected = Count {
            answers: 200,
            failed: 10,
        };
        assert_eq!(before.routes.get("a"), Some(&expected));
        let all = book.window(Duration::from_secs(60), start + Duration::from_secs(14));
        assert_eq!(all.routes.get("a").map(|count| count.answers), Some(300));
    }
}
