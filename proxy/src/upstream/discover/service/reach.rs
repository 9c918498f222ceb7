//! A host may have several addresses, the first of which may be silent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// A good address may be far away: it is waited for no shorter than this, as long as there is time.
const SHARE_MIN: Duration = Duration::from_millis(500);

/// Connects to the first of the addresses that takes it. Each has its share of the time that is left; the last may take all of
/// it and more, which is for the caller to bound.
///
/// # Errors
/// Why the last one did not take it.
pub(in crate::upstream::discover) async fn first_of<T, F>(
    addresses: &[SocketAddr],
    within: Duration,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let begun = Instant::now();
    let mut last = Err("it has no address".to_owned());
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let connecting = connect(*address);
        last = if left == 1 {
            connecting.await
        } else {
            let rest = within.saturating_sub(begun.elapsed());
            let share = rest / u32::try_from(left).unwrap_or(u32::MAX);
            let share = share.max(SHARE_MIN.min(rest));
            let late = |_| Err("no connection in time".to_owned());
            timeout(share, connecting).await.unwrap_or_else(late)
        };
        if last.is_ok() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const WITHIN: Duration = Duration::from_millis(1500);

    fn addresses(ports: &[u16]) -> Vec<SocketAddr> {
        let at = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
        ports.iter().map(at).collect()
    }

    /// Port 1 is silent, 2 refuses, others answer with themselves.
    async fn connect(at: SocketAddr) -> Result<u16, String> {
        match at.port() {
            1 => std::future::pending().await,
            2 => Err("refused".to_owned()),
            port => Ok(port),
        }
    }

    #[tokio::test]
    async fn a_silent_address_takes_its_share_and_no_more() {
        let begun = Instant::now();
        let all = addresses(&[1, 2, 3, 4]);
        assert_eq!(first_of(&all, WITHIN, connect).await, Ok(3));
        let took = begun.elapsed();
        assert!(took >= SHARE_MIN && took < WITHIN, "{took:?}");
    }

    #[tokio::test]
    async fn the_last_one_says_why() {
        let refused = Err("refused".to_owned());
        let all = addresses(&[1, 2]);
        assert_eq!(first_of(&all, WITHIN, connect).await, refused);
        let none = first_of(&[], WITHIN, connect).await;
        assert_eq!(none, Err("it has no address".to_owned()));
        // It may take all the time that there is, and whoever gave the time sees that it ran out.
        let all = addresses(&[2, 1]);
        let silent = timeout(WITHIN, first_of(&all, WITHIN, connect)).await;
        assert!(silent.is_err());
    }
}
