//! What is found out again and again by a task of its own: the addresses of a name, the servers of a source. What is known
//! stays known while it cannot be found out (`kin`: also over an edit of how it is asked), and those who know do not decide how
//! much is said (`brief`, `left_out`).

mod brief;
pub mod kin;
pub(super) mod left_out;

use std::collections::HashSet;
use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::upstream::live::Changes;
use crate::upstream::tally::Count;

/// What is followed. Dropping the last reference ends the task.
pub struct Followed<T> {
    known: Arc<Known<T>>,
    task: AbortHandle,
}

/// How a source is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the log calls it.
    pub label: String,
    /// How much it has found.
    pub found: usize,
    /// How often it was found out, and how often it could not be.
    pub answers: u64,
    /// As `answers`.
    pub failures: u64,
    /// Why nothing new is known, if that is so.
    pub trouble: Option<Trouble>,
}

/// Why nothing can be found out, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// When it was noticed first.
    pub since: SystemTime,
    /// What it is, in words that go on from the label.
    pub what: String,
}

struct Known<T> {
    label: String,
    found: ArcSwap<Vec<T>>,
    asked: AtomicBool,
    answered: AtomicBool,
    trouble: Mutex<Option<Told>>,
    answers: Count,
    failures: Count,
    changes: Changes,
}

/// So many reasons of one trouble are logged, each once: some name the moment, and two servers may each have one of their own.
const REASONS_MAX: usize = 8;

/// A trouble, and the reasons that the log has of it.
#[derive(Clone)]
struct Told {
    trouble: Trouble,
    reasons: Vec<String>,
}

/// Where the task says what it finds.
pub struct Feed<T>(Arc<Known<T>>);

impl<T: PartialEq + Display + Send + Sync + 'static> Followed<T> {
    /// Starts the task that `follow` makes, with what `kin`, which asks the same, knows; `label` is what the log calls it. Must
    /// be called within a tokio runtime.
    pub fn start<F>(
        label: String,
        kin: Option<&Self>,
        follow: impl FnOnce(Feed<T>) -> F,
    ) -> Arc<Self>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        // What was found when it was asked, and not what was before.
        let asked = kin.is_some_and(Self::was_asked);
        let answered = kin.is_some_and(Self::was_answered);
        let known = Arc::new(Known {
            label,
            found: ArcSwap::new(kin.map(Self::found).unwrap_or_default()),
            asked: AtomicBool::new(asked),
            answered: AtomicBool::new(answered),
            trouble: Mutex::new(kin.and_then(|kin| kin.known.trouble().clone())),
            answers: Count::default(),
            failures: Count::default(),
            changes: Changes::default(),
        });
        let following = follow(Feed(Arc::clone(&known)));
        Arc::new(Self {
            known,
            task: tokio::spawn(following).abort_handle(),
        })
    }
}

impl<T> Followed<T> {
    /// What was found last.
    pub fn found(&self) -> Arc<Vec<T>> {
        self.known.found.load_full()
    }

    /// Whether the first question was answered, one way or the other.
    pub fn was_asked(&self) -> bool {
        self.known.asked.load(Ordering::Acquire)
    }

    /// Whether it was found out at least once, be it that there is nothing.
    pub fn was_answered(&self) -> bool {
        self.known.answered.load(Ordering::Acquire)
    }

    /// What the log calls it.
    pub fn label(&self) -> &str {
        &self.known.label
    }

    /// How it is doing.
    pub fn report(&self) -> Report {
        Report {
            label: self.known.label.clone(),
            found: self.known.found.load().len(),
            answers: self.known.answers.get(),
            failures: self.known.failures.get(),
            trouble: self
                .known
                .trouble()
                .as_ref()
                .map(|told| told.trouble.clone()),
        }
    }

    /// Who is told when something changes.
    pub fn changes(&self) -> &Changes {
        &self.known.changes
    }
}

impl<T> Drop for Followed<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: PartialEq + Display> Feed<T> {
    /// These are all that there are.
    pub fn found(&self, found: Vec<T>) {
        self.found_in_part(found, None);
    }

    /// These are all that are known, and not all of that was found out if there is `trouble`, which goes on from the label.
    pub fn found_in_part(&self, found: Vec<T>, trouble: Option<String>) {
        let known = &self.0;
        let before = known.found.load();
        let is_change = **before != found;
        if is_change {
            let (came, left) = (beside(&found, &before), beside(&before, &found));
            let (now, before) = (found.len(), before.len());
            info!(
                ?came,
                ?left,
                "{}: {now} found, {before} before",
                known.label
            );
            known.found.store(Arc::new(found));
        }
        if trouble.is_none() {
            known.answers.note();
        }
        match trouble {
            Some(what) => known.note(what),
            None if known.trouble().take().is_some() && !is_change => {
                info!("{} answers again", known.label);
            }
            None => (),
        }
        // Whoever sees that it was asked sees what it found.
        let is_first = !known.answered.swap(true, Ordering::AcqRel);
        let is_first = !known.asked.swap(true, Ordering::AcqRel) || is_first;
        if is_change || is_first {
            known.changes.announce();
        }
    }

    /// It cannot be found out now: what is known stays. `what` goes on from the label: `does not resolve: ...`.
    pub fn failed(&self, what: String) {
        let known = &self.0;
        known.note(what);
        if !known.asked.swap(true, Ordering::AcqRel) {
            known.changes.announce();
        }
    }

    /// What was found last.
    pub fn known(&self) -> Arc<Vec<T>> {
        self.0.found.load_full()
    }
}

impl<T> Known<T> {
    fn trouble(&self) -> MutexGuard<'_, Option<Told>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what is wrong, once.
    fn note(&self, what: String) {
        self.failures.note();
        let what = brief::text(&what);
        let mut trouble = self.trouble();
        let told = trouble.get_or_insert_with(|| Told {
            trouble: Trouble {
                since: SystemTime::now(),
                what: String::new(),
            },
            reasons: Vec::new(),
        });
        if told.is_news(&what) {
            let kept = self.found.load().len();
            warn!(kept, "{} {what}", self.label);
        }
        told.trouble.what = what;
    }
}

impl Told {
    /// Whether the log is to have this reason.
    fn is_news(&mut self, what: &str) -> bool {
        let is_news = self.reasons.len() < REASONS_MAX && !self.reasons.iter().any(|it| it == what);
        if is_news {
            self.reasons.push(what.to_owned());
        }
        is_news
    }
}

/// What is in `these` and not in `those`, as the log says it.
fn beside<T: Display>(these: &[T], those: &[T]) -> Vec<String> {
    let those: HashSet<String> = those.iter().map(ToString::to_string).collect();
    let these = these.iter().map(ToString::to_string);
    brief::list(these.filter(|one| !those.contains(one)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pair = (Arc<Followed<&'static str>>, Feed<&'static str>);

    fn followed() -> Pair {
        let mut feed = None;
        let followed = Followed::start("the list".to_owned(), None, |given| {
            feed = Some(given);
            std::future::pending()
        });
        (followed, feed.unwrap())
    }

    #[tokio::test]
    async fn what_is_found_in_part_is_known_and_so_is_the_trouble() {
        let (followed, feed) = followed();
        feed.found_in_part(vec!["a"], Some("is half there".to_owned()));
        assert!(followed.was_asked());
        let first = followed.report().trouble.unwrap();
        feed.failed("is gone".to_owned());
        feed.found_in_part(vec!["b"], Some("is half there".to_owned()));
        assert_eq!(followed.report().trouble, Some(first));
        assert_eq!(*followed.found(), ["b"]);
        feed.found(vec!["b"]);
        assert_eq!(followed.report().trouble, None);
    }

    #[tokio::test]
    async fn who_asks_the_same_begins_with_what_is_known_and_with_the_trouble() {
        let start = |kin: Option<&Followed<&'static str>>| {
            Followed::start("it".to_owned(), kin, |_| std::future::pending())
        };
        let (one, feed) = followed();
        assert!(!start(Some(&*one)).was_asked());
        feed.found(vec!["a"]);
        feed.failed("is gone".to_owned());
        let other = start(Some(&*one));
        assert!(other.was_asked());
        assert_eq!(*other.found(), ["a"]);
        assert_eq!(other.report().trouble, one.report().trouble);
    }

    #[tokio::test]
    async fn a_reason_is_not_as_long_as_others_want() {
        let (followed, feed) = followed();
        feed.failed("x".repeat(5000));
        let trouble = followed.report().trouble.unwrap();
        assert_eq!(trouble.what.chars().count(), 301);
        feed.failed("x".repeat(6000));
        assert_eq!(followed.report().trouble, Some(trouble));
    }

    #[test]
    fn a_trouble_with_reasons_by_turns_is_logged_once_for_each_and_not_for_ever() {
        let mut told = Told {
            trouble: Trouble {
                since: SystemTime::UNIX_EPOCH,
                what: String::new(),
            },
            reasons: Vec::new(),
        };
        assert!(told.is_news("SERVFAIL"));
        assert!(told.is_news("timed out"));
        assert!(!told.is_news("SERVFAIL"));
        assert!(!told.is_news("timed out"));
        let others = (0..100).filter(|at| told.is_news(&format!("question {at} failed")));
        assert_eq!(others.count(), REASONS_MAX - 2);
    }

    #[test]
    fn the_log_says_who_came_and_who_left() {
        assert_eq!(beside(&["a", "b", "c"], &["b", "d"]), ["a", "c"]);
    }

    #[tokio::test]
    async fn what_is_known_stays_known_in_trouble_and_the_trouble_keeps_its_beginning() {
        let (followed, feed) = followed();
        assert!(!followed.was_asked());
        feed.found(vec!["a"]);
        feed.failed("does not answer".to_owned());
        let first = followed.report().trouble.unwrap();
        feed.failed("answers nonsense".to_owned());
        let second = followed.report().trouble.unwrap();
        assert_eq!(second.since, first.since);
        assert_eq!(second.what, "answers nonsense");
        assert_eq!(*followed.found(), ["a"]);
        feed.found(Vec::new());
        assert_eq!(followed.report().trouble, None);
        assert!(followed.found().is_empty());
    }
}
