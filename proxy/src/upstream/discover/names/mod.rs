//! A name stands for all its addresses, now and later.
//!
//! The system's resolver settings and hosts file are honoured. An answer is believed for its TTL, but never longer than
//! the upstream's `dns_refresh`: Docker's own DNS, for one, gives ten minutes to names whose containers change by the
//! second. A look-up that fails keeps the addresses that are known and says so once; one that fails for IPv4 or IPv6 keeps
//! those of that kind. `resolver` is who knows, `found` what was found out, `srv` what servers are by SRV records.

pub mod found;
pub mod resolver;
pub(super) mod srv;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::resolver::{AGAIN, Resolver};
use crate::upstream::ask::with_jitter;
use crate::upstream::discover::followed::{Feed, Followed};

/// Even a TTL of zero is not asked for more often than this.
const REFRESH_FLOOR: Duration = Duration::from_secs(1);

/// The addresses of a name, sorted.
pub type Name = Followed<IpAddr>;

/// Looks `name` up at once and then again and again, beginning with what `kin` knows of it. Must be called within a tokio
/// runtime.
pub fn follow(
    name: &str,
    refresh: Duration,
    resolver: Arc<Resolver>,
    kin: Option<&Name>,
) -> Arc<Name> {
    let name = name.to_owned();
    Followed::start(format!("name `{name}`"), kin, move |feed| {
        look_up_again_and_again(name, refresh, resolver, feed)
    })
}

async fn look_up_again_and_again(
    name: String,
    refresh: Duration,
    resolver: Arc<Resolver>,
    feed: Feed<IpAddr>,
) {
    let mut pace = Pace::new(refresh);
    loop {
        let answer = resolver.look_up(&name).await;
        let pause = pace.after(answer.as_ref().ok().map(|found| found.ttl));
        match answer {
            Ok(found) => {
                let (addresses, trouble) = found.beside(feed.known().iter().copied());
                feed.found_in_part(addresses, trouble);
            }
            Err(trouble) => feed.failed(format!("does not resolve: {trouble}")),
        }
        tokio::time::sleep(pause).await;
    }
}

/// When it is asked again.
pub(super) struct Pace {
    most: Duration,
    /// Failures in a row.
    failures: u32,
}

impl Pace {
    /// An answer is believed for so long at most.
    pub(super) fn new(refresh: Duration) -> Self {
        Self {
            most: refresh.max(REFRESH_FLOOR),
            failures: 0,
        }
    }

    /// After an answer with this TTL, or none: then soon, and less soon with each time.
    pub(super) fn after(&mut self, ttl: Option<Duration>) -> Duration {
        if let Some(ttl) = ttl {
            self.failures = 0;
            return ttl.clamp(REFRESH_FLOOR, self.most);
        }
        let doubled = 1 << self.failures.min(10);
        self.failures = self.failures.saturating_add(1);
        let pause = (REFRESH_FLOOR * doubled).min(AGAIN).min(self.most);
        with_jitter(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_is_believed_for_its_ttl_and_never_longer_than_the_file_says() {
        let mut pace = Pace::new(5 * SECOND);
        assert_eq!(pace.after(Some(3 * SECOND)), 3 * SECOND);
        assert_eq!(pace.after(Some(600 * SECOND)), 5 * SECOND);
        assert_eq!(pace.after(Some(Duration::ZERO)), SECOND);
    }

    #[test]
    fn after_a_failure_it_is_asked_again_soon_however_long_answers_are_believed() {
        let mut pace = Pace::new(600 * SECOND);
        for seconds in [1, 2, 4, 5, 5] {
            let pause = pace.after(None).as_secs_f64() / f64::from(seconds);
            assert!((0.9..=1.1).contains(&pause), "{seconds}: {pause}");
        }
        pace.after(Some(SECOND));
        assert!(pace.after(None) < 2 * SECOND);
        let mut often = Pace::new(SECOND);
        (0..20).for_each(|_| assert!(often.after(None) <= SECOND * 11 / 10));
    }
}
