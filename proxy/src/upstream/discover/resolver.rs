//! Names are looked up, with the system's resolver settings and its hosts file.
//!
//! The two families are asked for side by side and told apart: one that cannot be found out is not one without addresses. So
//! search domains are gone through here: the first name that has any address is the one that is meant, in both families.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tracing::warn;

use super::srv::Service;

/// Looks names up with their TTL where the system's settings can be read, and without it otherwise.
pub struct Resolver {
    system: Option<System>,
}

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Sorted, and at least one.
    pub addresses: Vec<IpAddr>,
    /// How long they may be believed.
    pub ttl: Duration,
    /// The family that could not be found out, if there is one.
    pub missing: Option<Missing>,
}

/// A family of addresses that could not be found out.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    is_v6: bool,
    why: String,
}

/// What the system says of names.
struct System {
    resolver: TokioResolver,
    hosts: Arc<Hosts>,
    search: Search,
}

/// What is put behind a name.
struct Search {
    domains: Vec<Name>,
    /// A name with fewer dots is tried with them first.
    ndots: usize,
}

/// The addresses of a family, and how long they may be believed.
type Family = (Vec<IpAddr>, Duration);

impl Found {
    /// With those of `known` that are of the family that could not be found out; and what is wrong, in words that go on from
    /// a label.
    pub(super) fn beside(
        self,
        known: impl Iterator<Item = IpAddr>,
    ) -> (Vec<IpAddr>, Option<String>) {
        let mut addresses = self.addresses;
        let trouble = self.missing.map(|Missing { is_v6, why }| {
            addresses.extend(known.filter(|ip| ip.is_ipv6() == is_v6));
            addresses.sort_unstable();
            let family = if is_v6 { "IPv6" } else { "IPv4" };
            format!("does not resolve to {family}: {why}")
        });
        (addresses, trouble)
    }
}

impl Resolver {
    /// Reads the system's settings (on Unix `/etc/resolv.conf` and `/etc/hosts`).
    pub fn from_system() -> Self {
        let system = System::new().map_err(|error| {
            warn!(
                "the system's resolver settings cannot be read ({error}); names are looked up without their TTL"
            );
        });
        Self {
            system: system.ok(),
        }
    }

    /// The SRV records of a service, and how long they may be believed.
    ///
    /// # Errors
    /// Why there are none.
    pub(super) async fn services(&self, name: &str) -> Result<(Vec<Service>, Duration), String> {
        let system = self.system.as_ref();
        let system = system.ok_or("the system's resolver settings cannot be read")?;
        let answer = system.resolver.srv_lookup(name).await;
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
        if services.is_empty() {
            Err("it has no SRV records".to_owned())
        } else {
            Ok((services, left_until(answer.valid_until())))
        }
    }

    /// All addresses.
    ///
    /// # Errors
    /// Why there are none.
    pub async fn look_up(&self, name: &str) -> Result<Found, String> {
        let mut found = match (&self.system, name.parse()) {
            (_, Ok(ip)) => Found::whole(vec![ip], Duration::MAX),
            (Some(system), _) => system.look_up(name).await?,
            (None, _) => {
                let answer = tokio::net::lookup_host((name, 0)).await;
                let answer = answer.map_err(|error| error.to_string())?;
                let addresses = answer.map(|address| address.ip()).collect();
                Found::whole(addresses, Duration::MAX)
            }
        };
        found.addresses.sort_unstable();
        found.addresses.dedup();
        if found.addresses.is_empty() {
            Err(NO_ADDRESSES.to_owned())
        } else {
            Ok(found)
        }
    }
}

const NO_ADDRESSES: &str = "it has no addresses";

impl Found {
    fn whole(addresses: Vec<IpAddr>, ttl: Duration) -> Self {
        Self {
            addresses,
            ttl,
            missing: None,
        }
    }
}

impl System {
    fn new() -> Result<Self, NetError> {
        let (config, mut options) = read_system_conf()?;
        // The answers are kept by `name`, whose clock also knows `dns_refresh`.
        options.cache_size = 0;
        let search = Search::new(&config, options.ndots);
        let provider = TokioRuntimeProvider::default();
        let builder = TokioResolver::builder_with_config(config, provider);
        let mut resolver = builder.with_options(options).build()?;
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        resolver.set_hosts(Arc::clone(&hosts));
        Ok(Self {
            resolver,
            hosts,
            search,
        })
    }

    async fn look_up(&self, name: &str) -> Result<Found, String> {
        let name = Name::from_utf8(name).map_err(|error| error.to_string())?;
        let mut why = None;
        for name in self.search.all(&name) {
            let (four, six) = tokio::join!(
                self.family(&name, RecordType::A),
                self.family(&name, RecordType::AAAA)
            );
            match both(four, six) {
                // Whoever writes a name into the hosts file need not have a name server that knows it.
                Ok(found) if self.is_host(&name) => {
                    return Ok(Found::whole(found.addresses, found.ttl));
                }
                Ok(found) => return Ok(found),
                Err(trouble) => why = trouble.or(why),
            }
        }
        Err(why.unwrap_or_else(|| NO_ADDRESSES.to_owned()))
    }

    /// None at all is an answer, too.
    async fn family(&self, name: &Name, kind: RecordType) -> Result<Family, String> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(answer) => {
                let records = answer.answers().iter();
                let addresses = records.filter_map(|record| record.data.ip_addr());
                Ok((addresses.collect(), left_until(answer.valid_until())))
            }
            Err(error) if error.is_no_records_found() => Ok((Vec::new(), Duration::MAX)),
            Err(error) => Err(error.to_string()),
        }
    }

    fn is_host(&self, name: &Name) -> bool {
        [RecordType::A, RecordType::AAAA].into_iter().any(|kind| {
            let query = Query::query(name.clone(), kind);
            self.hosts.lookup_static_host(&query).is_some()
        })
    }
}

/// What two families make; none if there is no address, and why, if that is for a failure.
fn both(
    four: Result<Family, String>,
    six: Result<Family, String>,
) -> Result<Found, Option<String>> {
    let missing = |is_v6, why| Some(Missing { is_v6, why });
    let ((mut addresses, ttl), missing) = match (four, six) {
        (Ok((mut four, ttl)), Ok((six, other))) => {
            let ttl = match (four.is_empty(), six.is_empty()) {
                (false, true) => ttl,
                (true, false) => other,
                _ => ttl.min(other),
            };
            four.extend(six);
            ((four, ttl), None)
        }
        (Ok(four), Err(why)) => (four, missing(true, why)),
        (Err(why), Ok(six)) => (six, missing(false, why)),
        (Err(why), Err(_)) => return Err(Some(why)),
    };
    if addresses.is_empty() {
        // Nothing was found, and what failed may be all that there is.
        return Err(missing.map(|missing| missing.why));
    }
    addresses.sort_unstable();
    Ok(Found {
        addresses,
        ttl,
        missing,
    })
}

impl Search {
    fn new(config: &ResolverConfig, ndots: usize) -> Self {
        let own = config.domain.iter();
        let own = own.filter(|domain| !config.search.contains(domain));
        Self {
            domains: own.chain(&config.search).cloned().collect(),
            ndots,
        }
    }

    /// All that a name may mean, in the order in which they are tried.
    fn all(&self, name: &Name) -> Vec<Name> {
        let mut alone = name.clone();
        alone.set_fqdn(true);
        if name.is_fqdn() {
            return vec![alone];
        }
        let domains = self.domains.iter();
        let below = domains.filter_map(|domain| name.clone().append_domain(domain).ok());
        let mut all: Vec<Name> = below.collect();
        let is_first = usize::from(name.num_labels()) > self.ndots || name.is_localhost();
        let place = if is_first { 0 } else { all.len() };
        all.insert(place, alone);
        all
    }
}

fn left_until(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(written: &[&str]) -> Vec<IpAddr> {
        written.iter().map(|ip| ip.parse().unwrap()).collect()
    }

    fn some(written: &[&str], seconds: u64) -> Result<Family, String> {
        Ok((ips(written), Duration::from_secs(seconds)))
    }

    fn none() -> Result<Family, String> {
        Ok((Vec::new(), Duration::MAX))
    }

    fn failed(why: &str) -> Result<Family, String> {
        Err(why.to_owned())
    }

    #[test]
    fn a_family_that_fails_is_not_one_without_addresses() {
        let known = || ips(&["10.0.0.9", "::9"]).into_iter();
        let found = both(some(&["10.0.0.1"], 9), some(&["::1"], 5)).unwrap();
        assert_eq!(found.ttl, Duration::from_secs(5));
        assert_eq!(found.beside(known()), (ips(&["10.0.0.1", "::1"]), None));
        let found = both(some(&["10.0.0.1"], 9), none()).unwrap();
        assert_eq!(found.ttl, Duration::from_secs(9));
        assert_eq!(found.beside(known()), (ips(&["10.0.0.1"]), None));
        let found = both(some(&["10.0.0.1"], 9), failed("late")).unwrap();
        let trouble = Some("does not resolve to IPv6: late".to_owned());
        assert_eq!(found.beside(known()), (ips(&["10.0.0.1", "::9"]), trouble));
        let found = both(failed("late"), some(&["::1"], 9)).unwrap();
        let trouble = Some("does not resolve to IPv4: late".to_owned());
        assert_eq!(found.beside(known()), (ips(&["10.0.0.9", "::1"]), trouble));
    }

    #[test]
    fn where_no_address_is_found_nothing_is() {
        assert_eq!(both(none(), none()), Err(None));
        let late = Err(Some("late".to_owned()));
        assert_eq!(both(none(), failed("late")), late);
        assert_eq!(both(failed("late"), none()), late);
        assert_eq!(both(failed("late"), failed("later")), late);
    }

    #[test]
    fn search_domains_are_tried_as_the_settings_say() {
        let name = |text: &str| Name::from_utf8(text).unwrap();
        let config = ResolverConfig::from_parts(
            Some(name("own.test.")),
            vec![name("a.test."), name("b.test.")],
            Vec::new(),
        );
        let tried = |text: &str, ndots: usize| -> Vec<String> {
            let all = Search::new(&config, ndots).all(&name(text));
            all.iter().map(ToString::to_string).collect()
        };
        let below = ["api.own.test.", "api.a.test.", "api.b.test."];
        assert_eq!(tried("api", 1), [&below[..], &["api."]].concat());
        assert_eq!(tried("api", 0), [&["api."], &below[..]].concat());
        assert_eq!(tried("api.", 5), ["api."]);
        assert_eq!(tried("x.y", 1)[0], "x.y.");
        assert_eq!(tried("x.y", 5)[3], "x.y.");
        assert_eq!(tried("localhost", 5)[0], "localhost.");
    }
}
