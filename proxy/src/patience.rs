//! A bound on silence. A timer that is set and taken back for every piece that comes would cost more than the piece: here
//! the deadline moves and the timer stays where it is. It looks when it goes off whether the deadline has moved on.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// How long somebody may still be waited for.
#[derive(Debug, Default)]
pub struct Patience {
    deadline: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// The silence is over: the next one begins with the next wait.
    pub fn renew(&mut self) {
        self.deadline = None;
    }

    /// How long the silence has lasted by now, for somebody who is waited for up to `limit`.
    pub fn spent(&self, limit: Duration) -> Duration {
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
        self.deadline.map_or(Duration::ZERO, |deadline| {
            limit.saturating_sub(left(deadline))
        })
    }

    /// Waits. Ready once the silence that began with the first call has lasted for `limit`.
    pub fn poll(&mut self, limit: Duration, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(limit, None, cx)
    }

    /// The same, and ready at `end` in any case.
    pub fn poll_until(
        &mut self,
        limit: Duration,
        end: Option<Instant>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None => {
                let silent = Instant::now().checked_add(limit);
                match silent.into_iter().chain(end).min() {
                    Some(deadline) => *self.deadline.insert(deadline),
                    // Longer than there is time.
                    None => return Poll::Pending,
                }
            }
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if timer.deadline() >= deadline {
                return Poll::Ready(());
            }
            timer.as_mut().reset(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn run_out(patience: &mut Patience, limit: Duration) -> Duration {
        let since = Instant::now();
        poll_fn(|cx| patience.poll(limit, cx)).await;
        since.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn it_counts_from_the_beginning_of_the_silence() {
        let mut patience = Patience::default();
        for _ in 0..3 {
            let wait = run_out(&mut patience, 3 * SECOND);
            assert!(tokio::time::timeout(2 * SECOND, wait).await.is_err());
            patience.renew();
        }
        assert_eq!(patience.spent(3 * SECOND), Duration::ZERO);
        assert_eq!(run_out(&mut patience, 3 * SECOND).await, 3 * SECOND);
        assert_eq!(patience.spent(3 * SECOND), 3 * SECOND);
        assert_eq!(run_out(&mut patience, 3 * SECOND).await, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_shorter_limit_does_not_wait_for_a_longer_one() {
        let mut patience = Patience::default();
        let wait = run_out(&mut patience, 3600 * SECOND);
        assert!(tokio::time::timeout(SECOND, wait).await.is_err());
        patience.renew();
        assert_eq!(run_out(&mut patience, SECOND).await, SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_comes_however_often_somebody_was_heard() {
        let mut patience = Patience::default();
        let (since, end) = (Instant::now(), Instant::now() + 5 * SECOND);
        for _ in 0..2 {
            let silence = poll_fn(|cx| patience.poll_until(3 * SECOND, Some(end), cx));
            let heard = tokio::time::timeout(2 * SECOND, silence).await;
            assert!(heard.is_err());
            patience.renew();
        }
        poll_fn(|cx| patience.poll_until(3 * SECOND, Some(end), cx)).await;
        assert_eq!(since.elapsed(), 5 * SECOND);
        patience.renew();
        poll_fn(|cx| patience.poll_until(Duration::MAX, Some(end), cx)).await;
        assert_eq!(since.elapsed(), 5 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn one_without_end_has_none() {
        let mut patience = Patience::default();
        let wait = run_out(&mut patience, Duration::MAX);
        assert!(tokio::time::timeout(86_400 * SECOND, wait).await.is_err());
    }
}
