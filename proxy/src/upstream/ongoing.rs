//! What is under way, and how much of it still waits for its answer: a tunnel or a download goes on for hours and asks for nothing.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Requests that have begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Ongoing {
    all: AtomicUsize,
    /// Of them, those whose answer has begun.
    answered: AtomicUsize,
}

/// How far one of them is, for whoever ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// It waits for its answer.
    #[default]
    Awaiting,
    /// That has begun.
    Answered,
}

impl Ongoing {
    /// One more.
    pub(super) fn begin(&self) {
        self.all.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer of one has begun. Again it makes no difference.
    pub(super) fn answer(&self, stage: &mut Stage) {
        if std::mem::replace(stage, Stage::Answered) == Stage::Awaiting {
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One less, which was that far.
    pub(super) fn end(&self, stage: Stage) {
        self.all.fetch_sub(1, Ordering::Relaxed);
        if stage == Stage::Answered {
            self.answered.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// All of them.
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Those whose answer has not begun.
    pub(super) fn awaiting(&self) -> usize {
        let answered = self.answered.load(Ordering::Relaxed);
        self.all().saturating_sub(answered)
    }
}
