//! A name stands for all its addresses, now and later.
//!
//! The system's resolver settings and hosts file are honoured. An answer is believed for its TTL, but never longer than
//! the upstream's `dns_refresh`: Docker's own DNS, for one, gives ten minutes to names whose containers change by the
//! second. A look-up that fails keeps the addresses that are known and says so once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::proto::rr::RData;
use tracing::warn;

use super::followed::{Feed, Followed};
use super::srv::Service;

/// Even a TTL of zero is not asked for more often than this.
const REFRESH_FLOOR: Duration = Duration::from_secs(1);

/// The addresses of a name, sorted.
pub type Name = Followed<IpAddr>;

/// Looks `name` up at once and then again and again. Must be called within a tokio runtime.
pub fn follow(name: &str, refresh: Duration, resolver: Arc<Resolver>) -> Arc<Name> {
    let name = name.to_owned();
    Followed::start(format!("name `{name}`"), move |feed| {
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
        let pause = believed(answer.as_ref().ok().map(|(_, ttl)| *ttl), refresh);
        match answer {
            Ok((addresses, _)) => feed.found(addresses),
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

/// Looks names up with their TTL where the system's settings can be read, and without it otherwise.
pub struct Resolver {
    with_ttl: Option<TokioResolver>,
}

impl Resolver {
    /// Reads the system's settings (on Unix `/etc/resolv.conf` and `/etc/hosts`).
    pub fn from_system() -> Self {
        let built = TokioResolver::builder_tokio().and_then(|mut builder| {
            let options = builder.options_mut();
            options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
            // The answers are kept by `Name`, whose clock also knows `dns_refresh`.
            options.cache_size = 0;
            builder.build()
        });
        match built {
            Ok(resolver) => Self {
                with_ttl: Some(resolver),
            },
            Err(error) => {
                warn!(
                    "the system's resolver settings cannot be read ({error}); names are looked up without their TTL"
                );
                Self { with_ttl: None }
            }
        }
    }

    /// The SRV records of a service, and how long they may be believed.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn services(&self, name: &str) -> Result<(Vec<Service>, Duration), String> {
        let resolver = self.with_ttl.as_ref();
        let resolver = resolver.ok_or("the system's resolver settings cannot be read")?;
        let answer = resolver.srv_lookup(name).await;
        let answer = answer.map_err(|error| error.to_string())?;
        let services = answer
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(record) => Some(Service {
                    priority: record.priority,
                    target: record.target.to_ascii().to_ascii_lowercase(),
                    port: record.port,
                    weight: record.weight,
                }),
                _ => None,
            });
        let services: Vec<Service> = services.collect();
        let ttl = answer
            .valid_until()
            .saturating_duration_since(Instant::now());
        if services.is_empty() {
            Err("it has no SRV records".to_owned())
        } else {
            Ok((services, ttl))
        }
    }

    /// All addresses, sorted, and how long they may be believed.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn look_up(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
        let (mut addresses, ttl): (Vec<IpAddr>, Duration) = match &self.with_ttl {
            Some(resolver) => {
                let answer = resolver
                    .lookup_ip(name)
                    .await
                    .map_err(|error| error.to_string())?;
                let ttl = answer
                    .valid_until()
                    .saturating_duration_since(Instant::now());
                (answer.iter().collect(), ttl)
            }
            None => {
                let answer = tokio::net::lookup_host((name, 0))
                    .await
                    .map_err(|error| error.to_string())?;
                (answer.map(|address| address.ip()).collect(), Duration::MAX)
            }
        };
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            Err("it has no addresses".to_owned())
        } else {
            Ok((addresses, ttl))
        }
    }
}
