//! A new generation is watched for a while: if a route fails where it did not before, the generation before it returns by
//! itself, and the file is refused until it changes.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use tracing::{error, warn};

use super::candidate::Origin;
use super::{Refused, Reloader};
use crate::admin::Will;
use crate::generation::judge::{Before, Count, Jump, jump};
use crate::snapshot::{Refusal, Snapshot};

/// How often answers are counted.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Counts that are kept of the time that is compared with.
const SAMPLES: u32 = 20;

/// What the latest generations answered so far.
struct Book {
    /// The one that is counted.
    snapshot: Arc<Snapshot>,
    /// Counts of it over time, the latest last.
    samples: VecDeque<(Instant, HashMap<String, Count>)>,
    /// While it is watched.
    probation: Option<Probation>,
}

/// A generation that has not proven itself yet.
struct Probation {
    /// The latest that had: what it answered in the end is compared with, and to it leads the way back. An edit that follows
    /// a bad one too soon is compared with what was before both.
    good: u64,
    before: Before,
    since: Instant,
}

/// What became of going back.
enum Way {
    /// What was before runs again.
    Back,
    /// Another edit came first.
    Overtaken,
    /// There is nothing to go back to.
    Closed,
}

/// Watches for as long as the process runs.
pub(in crate::server) async fn watch(reloader: Arc<Reloader>) {
    let mut book = Book::new(reloader.running.snapshot());
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let found = book.look(reloader.running.snapshot(), Instant::now());
        if let Some((jump, good)) = found {
            let number = book.snapshot.generation;
            match reloader.take_back(number, good, &jump).await {
                // What returns is not watched: it is what was.
                Way::Back => book = Book::new(reloader.running.snapshot()),
                Way::Overtaken => {}
                Way::Closed => book.probation = None,
            }
        }
    }
}

impl Book {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        Self {
            snapshot,
            samples: VecDeque::new(),
            probation: None,
        }
    }

    /// A route that fails, and the generation that it did not in.
    fn look(&mut self, snapshot: Arc<Snapshot>, now: Instant) -> Option<(Jump, u64)> {
        let bounds = snapshot
            .reload
            .rollback_on
            .map(|rollback| rollback.bounds())
            .filter(|_| !snapshot.is_insisted_on);
        let Some(bounds) = bounds else {
            *self = Self::new(snapshot);
            return None;
        };
        if self.snapshot.generation != snapshot.generation {
            let probation = match self.probation.take() {
                Some(probation) => Probation {
                    since: now,
                    ..probation
                },
                None => Probation {
                    good: self.snapshot.generation,
                    before: self.before(counts(&self.snapshot), bounds.over, now),
                    since: now,
                },
            };
            *self = Self::new(snapshot);
            self.probation = Some(probation);
        }
        let is_over = |probation: &mut Probation| now.duration_since(probation.since) > bounds.over;
        self.probation.take_if(is_over);
        let counts = counts(&self.snapshot);
        let after = counts.iter().map(|(name, count)| (name.as_str(), *count));
        let found = self.probation.as_ref().and_then(|probation| {
            let jump = jump(&bounds, &probation.before, after)?;
            Some((jump, probation.good))
        });
        // Few enough for many routes and a long time.
        let is_due = |(at, _): &(Instant, _)| now.duration_since(*at) >= bounds.over / SAMPLES;
        if self.samples.back().is_none_or(is_due) {
            self.samples.push_back((now, counts));
        }
        let is_old = |(at, _): &(Instant, _)| now.duration_since(*at) > bounds.over;
        // The last one before the window is where it begins.
        while self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
        found
    }

    /// What was answered in the time before now, up to these counts.
    fn before(&self, last: HashMap<String, Count>, over: Duration, now: Instant) -> Before {
        let mut samples = self.samples.iter();
        let begin = samples
            .rfind(|(at, _)| now.duration_since(*at) > over)
            .map(|(_, counts)| counts);
        let count = |(name, count): (String, Count)| {
            let before = begin.and_then(|begin| begin.get(&name)).copied();
            (name, count.since(before.unwrap_or_default()))
        };
        Before {
            routes: last.into_iter().map(count).collect(),
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
    /// Goes back to `good`, if this generation still runs.
    async fn take_back(&self, number: u64, good: u64, jump: &Jump) -> Way {
        let _turn = self.turn.lock().await;
        if self.running.snapshot().generation != number {
            return Way::Overtaken;
        }
        let files = self.history().get(number).map(|one| one.files.clone());
        let target = self.history().get(good).cloned();
        let Some(target) = target.filter(|target| Some(&target.files) != files.as_ref()) else {
            warn!(
                "generation {number} fails, and the file before it is the same or no longer kept: {jump}"
            );
            return Way::Closed;
        };
        let back = async {
            let candidate = self.read(Origin::Kept(target.files)).await?;
            let trigger = format!("generation {number} taken back, to {good}");
            self.take(Arc::new(candidate), &trigger, Will::Wanted).await
        };
        match back.await {
            Ok(generation) => {
                let why = jump.to_string();
                error!(
                    taken_back = number,
                    generation = generation.number,
                    "the routing file is refused, and what ran before it runs again: {why}"
                );
                for number in good + 1..=number {
                    self.refuse(number, &why);
                }
                self.running.note_refusal(Some(Refusal {
                    since: SystemTime::now(),
                    report: format!("generation {number} was taken back: {why}\n"),
                }));
                Way::Back
            }
            Err(Refused(report)) => {
                error!(
                    "generation {number} fails ({jump}), and generation {good} cannot be used any more\n{report}"
                );
                Way::Closed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Plan;

    const OVER: Duration = Duration::from_secs(10);

    fn counted(answers: u64, failed: u64) -> HashMap<String, Count> {
        HashMap::from([("a".to_owned(), Count { answers, failed })])
    }

    #[test]
    fn compared_is_with_the_time_before_the_swap_and_no_longer_ago() {
        let text = "listeners: { w: { address: '127.0.0.1:1' } }";
        let plan = Plan::parse("x", text, &|_| None, None).unwrap();
        let mut book = Book::new(Arc::new(Snapshot::still(&plan.made)));
        let start = Instant::now();
        for (at, answers, failed) in [(0, 100, 100), (5, 200, 100), (12, 300, 110)] {
            let at = start + Duration::from_secs(at);
            book.samples.push_back((at, counted(answers, failed)));
        }
        let now = start + Duration::from_secs(14);
        let before = book.before(counted(320, 110), OVER, now);
        let expected = Count {
            answers: 220,
            failed: 10,
        };
        assert_eq!(before.routes.get("a"), Some(&expected));
        let all = book.before(counted(320, 110), OVER * 6, now);
        assert_eq!(all.routes.get("a").map(|count| count.answers), Some(320));
    }
}
