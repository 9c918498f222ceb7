//! One server under one check: what its probes say, for as long as anybody wants to know.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::{Check, Pace};
use crate::upstream::ask::with_jitter;
use crate::upstream::live::Changes;

/// What is known of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Health {
    /// No probe was answered yet.
    Untried = 0,
    /// It may be used.
    Up = 1,
    /// It may not.
    Down = 2,
}

impl Health {
    /// As it is written in the log and in the operator's answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Untried => "untried",
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// The health of a server. Dropping the last reference ends the probes.
pub struct Watch {
    asks: String,
    seen: Arc<Seen>,
    task: AbortHandle,
    /// Who is told when the health changes.
    pub changes: Arc<Changes>,
}

/// What the probes said so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Why it is down, in the words of the latest probe that decided so.
    pub reason: Option<String>,
    /// Since when it is what it is; none before the first answer.
    pub since: Option<SystemTime>,
    /// Probes that found it well, of those of this check.
    pub good: u64,
    /// Probes that did not.
    pub bad: u64,
    /// How long the latest probe took.
    pub last_duration: Option<Duration>,
}

/// What the probing task and the readers share.
#[derive(Default)]
struct Seen {
    health: AtomicU8,
    findings: Mutex<Findings>,
    course: Mutex<Course>,
}

/// Where the probes stand.
#[derive(Debug, Clone, Copy, Default)]
struct Course {
    streak: Streak,
    /// When the latest one began that came to an end.
    asked: Option<Instant>,
}

impl Watch {
    /// Probes `address` at once and then at the check's pace. Goes on from where `kin` stands, a watch that asks the same: who edits the
    /// pace again and again keeps nobody from being found ill, or well. Must be called within a tokio runtime.
    pub fn start(address: SocketAddr, check: Arc<Check>, kin: Option<&Self>) -> Arc<Self> {
        let asks = check.asks().to_owned();
        let seen = Arc::new(Seen::default());
        if let Some(kin) = kin {
            let Findings { reason, since, .. } = kin.findings();
            seen.note(kin.health(), reason);
            seen.findings().since = since;
            // Of one that nothing is known of everybody waits to hear.
            if kin.health() != Health::Untried {
                *seen.course() = *kin.seen.course();
            }
        }
        let changes = Arc::new(Changes::default());
        let probing = probe_forever(address, check, Arc::downgrade(&seen), Arc::clone(&changes));
        Arc::new(Self {
            asks,
            seen,
            changes,
            task: tokio::spawn(probing).abort_handle(),
        })
    }

    /// What the probes say.
    pub fn health(&self) -> Health {
        self.seen.health()
    }

    /// What its probes ask.
    pub fn asks(&self) -> &str {
        &self.asks
    }

    /// Why it is down.
    pub fn reason(&self) -> Option<String> {
        self.seen.findings().reason.clone()
    }

    /// All that its probes found so far.
    pub fn findings(&self) -> Findings {
        self.seen.findings().clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seen {
    fn health(&self) -> Health {
        match self.health.load(Ordering::Acquire) {
            1 => Health::Up,
            2 => Health::Down,
            _ => Health::Untried,
        }
    }

    fn findings(&self) -> MutexGuard<'_, Findings> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long until the next probe, if that is not due.
    fn pause(&self, pace: &Pace) -> Duration {
        let interval = match self.health() {
            Health::Down => pace.down_interval,
            Health::Up | Health::Untried => pace.interval,
        };
        with_jitter(interval)
    }

    /// Notes an answer, and how long it took to come.
    fn count(&self, is_good: bool, took: Duration) {
        let mut findings = self.findings();
        match is_good {
            true => findings.good += 1,
            false => findings.bad += 1,
        }
        findings.last_duration = Some(took);
    }

    /// Notes what its health is now; whether that is a change.
    fn note(&self, health: Health, reason: Option<String>) -> bool {
        let mut findings = self.findings();
        findings.reason = reason;
        let is_change = self.health.swap(health as u8, Ordering::AcqRel) != health as u8;
        if is_change {
            findings.since = Some(SystemTime::now());
        }
        is_change
    }
}

async fn probe_forever(
    address: SocketAddr,
    check: Arc<Check>,
    seen: Weak<Seen>,
    changes: Arc<Changes>,
) {
    let pace = check.pace();
    let first = seen.upgrade().and_then(|seen| {
        let due = seen.course().asked? + seen.pause(pace);
        Some(due)
    });
    if let Some(first) = first {
        sleep_until(first).await;
    }
    loop {
        let asked = Instant::now();
        let answer = check.ask(address).await;
        let Some(seen) = seen.upgrade() else { return };
        seen.count(answer.is_ok(), asked.elapsed());
        seen.course().asked = Some(asked);
        let mut streak = seen.course().streak;
        let decided = streak.judge(
            &answer,
            seen.health(),
            pace.healthy_after,
            pace.unhealthy_after,
        );
        seen.course().streak = streak;
        if let Some(health) = decided {
            let reason = answer.err();
            if seen.note(health, reason.clone()) {
                tell(address, health, reason.as_deref(), &streak, &changes);
                changes.announce();
            }
        }
        let pause = seen.pause(pace);
        drop(seen);
        sleep(pause).await;
    }
}

fn tell(
    address: SocketAddr,
    health: Health,
    reason: Option<&str>,
    streak: &Streak,
    changes: &Changes,
) {
    let upstream = changes.audience().join(", ");
    let (server, health) = (address, health.as_str());
    match reason {
        None => info!(%upstream, %server, good_in_a_row = streak.good, "server is {health}"),
        Some(reason) => {
            warn!(%upstream, %server, reason, bad_in_a_row = streak.bad, "server is {health}");
        }
    }
}

/// Answers of one kind in a row.
#[derive(Debug, Clone, Copy, Default)]
struct Streak {
    good: u32,
    bad: u32,
}

impl Streak {
    /// What the server's health is to be from now on, if this answer decides it. The very first answer always does:
    /// nothing is known that it could contradict.
    fn judge<E>(
        &mut self,
        answer: &Result<(), E>,
        now: Health,
        healthy_after: u32,
        unhealthy_after: u32,
    ) -> Option<Health> {
        (self.good, self.bad) = match answer {
            Ok(()) => (self.good.saturating_add(1), 0),
            Err(_) => (0, self.bad.saturating_add(1)),
        };
        let first = now == Health::Untried;
        if self.good > 0 && (first || self.good >= healthy_after) {
            Some(Health::Up)
        } else if self.bad > 0 && (first || self.bad >= unhealthy_after) {
            Some(Health::Down)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests;
