//! One server under one check: what its probes say, for as long as anybody wants to know.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::task::AbortHandle;
use tracing::{info, warn};

use super::Check;
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

/// What the probing task and the readers share.
#[derive(Default)]
struct Seen {
    health: AtomicU8,
    probes: AtomicU64,
    reason: Mutex<Option<String>>,
}

impl Watch {
    /// Probes `address` at once and then at the check's pace, beginning with what `kin`, a watch that asks the same, knows.
    /// Must be called within a tokio runtime.
    pub fn start(address: SocketAddr, check: Arc<Check>, kin: Option<&Self>) -> Arc<Self> {
        check.prepare();
        let asks = check.asks().to_owned();
        let seen = Arc::new(Seen::default());
        if let Some(kin) = kin {
            seen.note(kin.health(), kin.reason());
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
        self.seen
            .reason
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Probes answered or failed so far.
    pub fn probes(&self) -> u64 {
        self.seen.probes.load(Ordering::Relaxed)
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

    /// Notes a change of health; whether it was one.
    fn note(&self, health: Health, reason: Option<String>) -> bool {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
        self.health.swap(health as u8, Ordering::AcqRel) != health as u8
    }
}

async fn probe_forever(
    address: SocketAddr,
    check: Arc<Check>,
    seen: Weak<Seen>,
    changes: Arc<Changes>,
) {
    let mut streak = Streak::default();
    loop {
        let answer = check.ask(address).await;
        let Some(seen) = seen.upgrade() else { return };
        seen.probes.fetch_add(1, Ordering::Relaxed);
        if let Some(health) = streak.judge(
            &answer,
            seen.health(),
            check.pace().healthy_after,
            check.pace().unhealthy_after,
        ) {
            let reason = answer.err();
            if seen.note(health, reason.clone()) {
                tell(address, health, reason.as_deref(), &changes);
                changes.announce();
            }
        }
        drop(seen);
        tokio::time::sleep(with_jitter(check.pace().interval)).await;
    }
}

fn tell(address: SocketAddr, health: Health, reason: Option<&str>, changes: &Changes) {
    let upstream = changes.audience().join(", ");
    match reason {
        None => info!(%upstream, server = %address, "server is {}", health.as_str()),
        Some(reason) => {
            warn!(%upstream, server = %address, reason, "server is {}", health.as_str())
        }
    }
}

/// Answers of one kind in a row.
#[derive(Debug, Default)]
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

/// A tenth more or less, so that many proxies do not probe in step.
fn with_jitter(interval: Duration) -> Duration {
    interval.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Result<(), ()> = Ok(());
    const BAD: Result<(), ()> = Err(());

    #[test]
    fn the_first_answer_decides_alone() {
        assert_eq!(
            Streak::default().judge(&GOOD, Health::Untried, 5, 5),
            Some(Health::Up)
        );
        assert_eq!(
            Streak::default().judge(&BAD, Health::Untried, 5, 5),
            Some(Health::Down)
        );
    }

    #[test]
    fn after_that_it_takes_as_many_in_a_row_as_the_file_says() {
        let mut streak = Streak::default();
        let bad = |streak: &mut Streak| streak.judge(&BAD, Health::Up, 2, 3);
        assert_eq!(bad(&mut streak), None);
        assert_eq!(bad(&mut streak), None);
        assert_eq!(
            streak.judge(&GOOD, Health::Up, 2, 3),
            None,
            "one good answer starts the count anew"
        );
        assert_eq!(bad(&mut streak), None);
        assert_eq!(bad(&mut streak), None);
        assert_eq!(bad(&mut streak), Some(Health::Down));
        assert_eq!(streak.judge(&GOOD, Health::Down, 2, 3), None);
        assert_eq!(streak.judge(&GOOD, Health::Down, 2, 3), Some(Health::Up));
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        for _ in 0..1000 {
            let pause = with_jitter(Duration::from_secs(1));
            assert!((900..=1100).contains(&pause.as_millis()), "{pause:?}");
        }
    }
}
