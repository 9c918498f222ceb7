//! Waiting for something to become true, with a deadline instead of a sleep.

use std::fmt::Debug;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

/// Long enough for a busy machine, short enough to wait for. For what should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// What a look at the world may return: `bool`, `Option` or `Result`.
pub trait Outcome {
    /// What is there once it is there.
    type Value;
    /// The value, or why it is not there yet.
    fn value(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();
    fn value(self) -> Result<(), String> {
        if self {
            Ok(())
        } else {
            Err("not yet true".into())
        }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;
    fn value(self) -> Result<T, String> {
        self.ok_or_else(|| "not yet there".into())
    }
}

impl<T, E: Debug> Outcome for Result<T, E> {
    type Value = T;
    fn value(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Looks again and again until `look` finds what it is looking for, and returns it.
///
/// # Panics
///
/// After `deadline`, with `what` and the last look's answer. A look that hangs is given up then, too.
pub async fn eventually<O, L>(what: &str, deadline: Duration, mut look: L) -> O::Value
where
    O: Outcome,
    L: AsyncFnMut() -> O,
{
    let end = Instant::now() + deadline;
    let mut last = String::from("no look ended");
    while Instant::now() < end {
        match timeout_at(end, look()).await.map(Outcome::value) {
            Ok(Ok(value)) => return value,
            Ok(Err(reason)) => last = reason,
            Err(_) => break,
        }
        sleep(PAUSE).await;
    }
    panic!("not within {deadline:?}: {what}; last: {last}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looks_until_it_is_true() {
        let mut looks = 0;
        let found = eventually("three looks", PATIENCE, async || {
            looks += 1;
            (looks == 3).then_some(looks)
        })
        .await;
        assert_eq!(found, 3);
    }

    #[tokio::test]
    #[should_panic(expected = "not within 50ms: never; last: \"no\"")]
    async fn gives_up_at_the_deadline_and_says_what_it_saw() {
        eventually("never", Duration::from_millis(50), async || {
            Err::<(), _>("no")
        })
        .await;
    }

    #[tokio::test]
    #[should_panic(expected = "not within 50ms: a look that hangs")]
    async fn gives_up_on_a_look_that_hangs() {
        eventually("a look that hangs", Duration::from_millis(50), async || {
            std::future::pending::<bool>().await
        })
        .await;
    }
}
