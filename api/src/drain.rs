//! How a process leaves: first it says so, then it takes no more connections, then it waits for those it has.
//!
//! Ordinary requests are waited for by the HTTP server. What outlives a request's answer (a WebSocket) holds an
//! [`InFlight`] token; what could go on for long (events, a WebSocket) watches [`Drain::closing`] and ends itself.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// How far the process is on its way out. It only ever goes forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Business as usual.
    Serving,
    /// The health check fails, so that balancers look elsewhere; connections are still accepted.
    Leaving,
    /// No more connections; what is in flight finishes.
    Closing,
}

/// The process's phase, and what must end before it may exit. Clones share both.
#[derive(Debug, Clone)]
pub struct Drain {
    phase: watch::Sender<Phase>,
    in_flight: TaskTracker,
}

/// Keeps the process alive until dropped, or until the drain's time is up.
#[derive(Debug)]
#[must_use = "the process waits only while this is held"]
pub struct InFlight {
    _token: TaskTrackerToken,
}

impl Drain {
    /// A process that serves.
    pub fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            in_flight: TaskTracker::new(),
        }
    }

    /// Whether the process has been told to stop.
    pub fn is_leaving(&self) -> bool {
        *self.phase.borrow() >= Phase::Leaving
    }

    /// Moves on: the health check fails at once, the listener closes after `delay`.
    pub async fn leave(&self, delay: Duration) {
        self.phase.send_replace(Phase::Leaving);
        tokio::time::sleep(delay).await;
        self.phase.send_replace(Phase::Closing);
    }

    /// Resolves once the process takes no more connections.
    pub fn closing(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut phase = self.phase.subscribe();
        async move {
            // An error means that the sender is gone, and the process with it: that is closing as well.
            let _ = phase.wait_for(|phase| *phase >= Phase::Closing).await;
        }
    }

    /// A token for work that outlives the answer to its request.
    pub fn enter(&self) -> InFlight {
        InFlight {
            _token: self.in_flight.token(),
        }
    }

    /// Resolves once nobody holds a token.
    pub async fn idle(&self) {
        self.in_flight.close();
        self.in_flight.wait().await;
    }
}

impl Default for Drain {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[tokio::test(start_paused = true)]
    async fn it_is_unhealthy_at_once_and_closes_after_the_delay() {
        let drain = Drain::new();
        assert!(!drain.is_leaving());

        let leaving = tokio::spawn({
            let drain = drain.clone();
            async move { drain.leave(Duration::from_secs(5)).await }
        });
        tokio::time::sleep(Duration::from_secs(4)).await;
        assert!(drain.is_leaving());
        assert!(drain.closing().now_or_never().is_none());

        tokio::time::sleep(Duration::from_secs(2)).await;
        assert!(drain.closing().now_or_never().is_some());
        assert!(leaving.await.is_ok());
    }

    #[tokio::test]
    async fn it_is_idle_once_the_last_token_is_gone() {
        let drain = Drain::new();
        let token = drain.enter();
        assert!(drain.idle().now_or_never().is_none());
        drop(token);
        assert!(drain.idle().now_or_never().is_some());
    }
}
