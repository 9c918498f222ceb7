//! A name stands for all its addresses, now and later.
//!
//! The system's resolver settings and hosts file are honoured. An answer is believed for its TTL, but never longer than
//! the upstream's `dns_refresh`: Docker's own DNS, for one, gives ten minutes to names whose containers change by the
//! second. A look-up that fails keeps the addresses that are known and says so once.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use tokio::task::AbortHandle;
use tracing::{info, warn};

use crate::upstream::live::Changes;

/// Even a TTL of zero is not asked for more often than this.
const REFRESH_FLOOR: Duration = Duration::from_secs(1);

/// A name and its addresses. Dropping the last reference ends the look-ups.
pub struct Name {
    known: Arc<Known>,
    task: AbortHandle,
    /// Who is told when the addresses change.
    pub changes: Arc<Changes>,
}

#[derive(Default)]
struct Known {
    addresses: ArcSwap<Vec<IpAddr>>,
    asked: AtomicBool,
    trouble: Mutex<Option<String>>,
}

impl Name {
    /// Looks `name` up at once and then again and again. Must be called within a tokio runtime.
    pub fn start(name: &str, refresh: Duration, resolver: Arc<Resolver>) -> Arc<Self> {
        let known = Arc::new(Known::default());
        let changes = Arc::new(Changes::default());
        let following = follow(
            name.to_owned(),
            refresh,
            resolver,
            Arc::downgrade(&known),
            Arc::clone(&changes),
        );
        Arc::new(Self {
            known,
            changes,
            task: tokio::spawn(following).abort_handle(),
        })
    }

    /// The addresses, sorted.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.known.addresses.load().to_vec()
    }

    /// Whether the first look-up came to an end, good or bad.
    pub fn was_asked(&self) -> bool {
        self.known.asked.load(Ordering::Acquire)
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn follow(
    name: String,
    refresh: Duration,
    resolver: Arc<Resolver>,
    known: Weak<Known>,
    changes: Arc<Changes>,
) {
    loop {
        let answer = resolver.look_up(&name).await;
        let Some(known) = known.upgrade() else { return };
        let pause = match answer {
            Ok((addresses, ttl)) => {
                known.take(&name, addresses, &changes);
                ttl.clamp(REFRESH_FLOOR, refresh.max(REFRESH_FLOOR))
            }
            Err(trouble) => {
                known.keep(&name, trouble);
                refresh.max(REFRESH_FLOOR)
            }
        };
        if !known.asked.swap(true, Ordering::AcqRel) {
            changes.announce();
        }
        drop(known);
        tokio::time::sleep(pause).await;
    }
}

impl Known {
    fn take(&self, name: &str, addresses: Vec<IpAddr>, changes: &Changes) {
        let was_in_trouble = self
            .trouble
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .is_some();
        let before = self.addresses.load();
        if **before != addresses {
            info!(
                name,
                ?addresses,
                "name resolves to {} addresses, before to {}",
                addresses.len(),
                before.len()
            );
            self.addresses.store(Arc::new(addresses));
            changes.announce();
        } else if was_in_trouble {
            info!(name, ?addresses, "name resolves again");
        }
    }

    fn keep(&self, name: &str, trouble: String) {
        let mut last = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_deref() != Some(&trouble) {
            warn!(
                name,
                kept = self.addresses.load().len(),
                "name does not resolve: {trouble}"
            );
            *last = Some(trouble);
        }
    }
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

    /// All addresses, sorted, and how long they may be believed.
    async fn look_up(&self, name: &str) -> Result<(Vec<IpAddr>, Duration), String> {
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
