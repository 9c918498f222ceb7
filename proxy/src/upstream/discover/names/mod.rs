//! A name stands for all its addresses, now and later.
//!
//! The system's resolver settings and hosts file are honoured. An answer is believed for its TTL, but never longer than
//! the upstream's `dns_refresh`: Docker's own DNS, for one, gives ten minutes to names whose containers change by the
//! second. A look-up that fails keeps the addresses that are known and says so once; one that fails for IPv4 or IPv6 keeps
//! those of that kind. `resolver` is who knows, `srv` what servers are by SRV records.

pub mod resolver;
pub(super) mod srv;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use self::resolver::Resolver;
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
    loop {
        let answer = resolver.look_up(&name).await;
        let pause = believed(answer.as_ref().ok().map(|found| found.ttl), refresh);
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

/// For how long an answer holds, or none.
pub(super) fn believed(ttl: Option<Duration>, refresh: Duration) -> Duration {
    let most = refresh.max(REFRESH_FLOOR);
    ttl.map_or(most, |ttl| ttl.clamp(REFRESH_FLOOR, most))
}
