//! Names are looked up, with the system's resolver settings and its hosts file.
//!
//! The two families are asked for side by side and told apart: one that cannot be found out is not one without addresses. So
//! search domains are gone through here: the first name that has any address is the one that is meant, in both families. One that
//! cannot be found out ends the search (as in musl's resolver): what comes behind it may be somebody else's. The hosts file comes
//! first, and who stands there stands there in all families.

use std::collections::VecDeque;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{Hosts, TokioResolver};
use tokio::time::timeout;
use tracing::warn;

use super::found::{Found, Missing};
use super::srv::Service;

/// Looks names up with their TTL where the system's settings can be read, and without it otherwise.
pub struct Resolver {
    system: Option<System>,
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

/// A family that is silent is waited for so much longer than one that has answered; some networks drop what asks for IPv6.
const PATIENCE: Duration = Duration::from_secs(1);

/// One that could not be found out is asked for again after this time at the latest.
pub(super) const AGAIN: Duration = Duration::from_secs(5);

/// The addresses of a family.
#[derive(Debug)]
struct Family {
    addresses: Vec<IpAddr>,
    /// How long they may be believed.
    ttl: Duration,
    /// The name is there, with or without such addresses.
    exists: bool,
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
    pub(in crate::upstream::discover) async fn services(
        &self,
        name: &str,
    ) -> Result<(Vec<Service>, Duration), String> {
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
        found.leave_out();
        match (found.addresses.is_empty(), found.nowhere()) {
            (true, Some(wrong)) => Err(format!("it {wrong}")),
            (true, None) => Err(NO_ADDRESSES.to_owned()),
            _ => Ok(found),
        }
    }
}

const NO_ADDRESSES: &str = "it has no addresses";

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
        if let Some(found) = self.in_hosts(&name) {
            return Ok(found);
        }
        first(self.search.all(&name), |name| self.ask(name)).await
    }

    /// For both families of a name, which is whole; none if there is no address, and why, if that is for a failure.
    async fn ask(&self, name: Name) -> Result<Found, Option<String>> {
        let four = pin!(self.family(&name, RecordType::A));
        let six = pin!(self.family(&name, RecordType::AAAA));
        match select(four, six).await {
            Either::Left((four, six)) => {
                let six = other(six, &four).await;
                both(four, six)
            }
            Either::Right((six, four)) => both(other(four, &six).await, six),
        }
    }

    fn in_hosts(&self, name: &Name) -> Option<Found> {
        let mut name = name.clone();
        name.set_fqdn(true);
        let of = |kind| {
            let found = self
                .hosts
                .lookup_static_host(&Query::query(name.clone(), kind));
            let records = found.map(|found| found.answers().to_vec());
            let records = records.into_iter().flatten();
            records.filter_map(|record| record.data.ip_addr())
        };
        let addresses = of(RecordType::A).chain(of(RecordType::AAAA));
        let addresses: Vec<IpAddr> = addresses.collect();
        (!addresses.is_empty()).then(|| Found::whole(addresses, Duration::MAX))
    }

    /// None at all is an answer, too.
    async fn family(&self, name: &Name, kind: RecordType) -> Result<Family, String> {
        match self.resolver.lookup(name.clone(), kind).await {
            Ok(answer) => {
                let records = answer.answers().iter();
                let addresses = records.filter_map(|record| record.data.ip_addr());
                Ok(Family {
                    addresses: addresses.collect(),
                    ttl: left_until(answer.valid_until()),
                    exists: true,
                })
            }
            Err(error) if error.is_no_records_found() => Ok(Family {
                addresses: Vec::new(),
                ttl: Duration::MAX,
                exists: !error.is_nx_domain(),
            }),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The first of these names that has an address; none if it cannot be told which one that is.
async fn first<F>(names: Vec<Name>, ask: impl Fn(Name) -> F) -> Result<Found, String>
where
    F: Future<Output = Result<Found, Option<String>>>,
{
    for name in names {
        match ask(name).await {
            Ok(found) => return Ok(found),
            Err(None) => {}
            Err(Some(why)) => return Err(why),
        }
    }
    Err(NO_ADDRESSES.to_owned())
}

/// The second family to answer, which is not waited for long if the first one said enough.
async fn other(
    second: impl Future<Output = Result<Family, String>>,
    first: &Result<Family, String>,
) -> Result<Family, String> {
    match first {
        Ok(first) if !first.addresses.is_empty() || !first.exists => {
            let late = |_| Err(format!("no answer within {PATIENCE:?}"));
            timeout(PATIENCE, second).await.unwrap_or_else(late)
        }
        _ => second.await,
    }
}

/// What two families make; none if there is no address, and why, if that is for a failure.
fn both(
    four: Result<Family, String>,
    six: Result<Family, String>,
) -> Result<Found, Option<String>> {
    let missing = |is_v6, why| Some(Missing { is_v6, why });
    let (families, missing) = match (four, six) {
        (Ok(four), Ok(six)) => (vec![four, six], None),
        (Ok(four), Err(why)) => (vec![four], missing(true, why)),
        (Err(why), Ok(six)) => (vec![six], missing(false, why)),
        (Err(why), Err(_)) => return Err(Some(why)),
    };
    let exists = families.iter().all(|family| family.exists);
    let with_any = || {
        families
            .iter()
            .filter(|family| !family.addresses.is_empty())
    };
    let ttl = with_any().map(|family| family.ttl).min();
    let Some(ttl) = ttl else {
        // Nothing was found. What failed may be all that there is, unless there is no such name.
        return Err(missing.filter(|_| exists).map(|missing| missing.why));
    };
    let mut addresses: Vec<IpAddr> = with_any()
        .flat_map(|family| family.addresses.clone())
        .collect();
    addresses.sort_unstable();
    Ok(Found {
        addresses,
        ttl: missing.as_ref().map_or(ttl, |_| ttl.min(AGAIN)),
        missing,
        left_out: Vec::new(),
    })
}

impl Search {
    fn new(config: &ResolverConfig, ndots: usize) -> Self {
        let domains = config.domain.iter().chain(&config.search);
        Self {
            domains: domains.cloned().collect(),
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
        let mut below: VecDeque<Name> = domains
            .filter_map(|domain| name.clone().append_domain(domain).ok())
            .collect();
        let is_first = usize::from(name.num_labels()) > self.ndots || name.is_localhost();
        match is_first {
            true => below.push_front(alone),
            false => below.push_back(alone),
        }
        let mut all: Vec<Name> = Vec::new();
        for mut name in below {
            name.set_fqdn(true);
            if !all.contains(&name) {
                all.push(name);
            }
        }
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
        Ok(Family {
            addresses: ips(written),
            ttl: Duration::from_secs(seconds),
            exists: true,
        })
    }

    fn none() -> Result<Family, String> {
        some(&[], 1)
    }

    fn no_name() -> Result<Family, String> {
        none().map(|none| Family {
            exists: false,
            ..none
        })
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
        assert_eq!(both(no_name(), failed("late")), Err(None));
        assert_eq!(both(failed("late"), no_name()), Err(None));
        // Some name servers say so of a family (RFC 4074, section 4.2).
        assert!(both(some(&["10.0.0.1"], 9), no_name()).is_ok());
    }

    #[test]
    fn what_is_missing_is_asked_for_again_soon() {
        let found = both(some(&["10.0.0.1"], 600), failed("late")).unwrap();
        assert_eq!(found.ttl, AGAIN);
    }

    #[tokio::test]
    async fn what_comes_behind_a_name_that_cannot_be_found_out_is_not_taken_for_it() {
        let name = |text: &str| Name::from_utf8(text).unwrap();
        let ask = |name: Name| {
            std::future::ready(match name.to_string().as_str() {
                "gone." => Err(None),
                "late." => Err(Some("late".to_owned())),
                _ => Ok(Found::whole(ips(&["10.0.0.1"]), AGAIN)),
            })
        };
        let all = |names: &[&str]| names.iter().map(|it| name(it)).collect::<Vec<Name>>();
        assert!(first(all(&["gone.", "a."]), ask).await.is_ok());
        let late = first(all(&["gone.", "late.", "a."]), ask).await;
        assert_eq!(late, Err("late".to_owned()));
        let none = first(all(&["gone."]), ask).await;
        assert_eq!(none, Err(NO_ADDRESSES.to_owned()));
    }

    #[tokio::test]
    async fn a_silent_family_does_not_hold_back_the_one_that_has_answered() {
        let silent = || std::future::pending::<Result<Family, String>>();
        for enough in [some(&["10.0.0.1"], 9), no_name()] {
            assert!(other(silent(), &enough).await.is_err());
        }
        for too_little in [none(), failed("late")] {
            let waiting = timeout(2 * PATIENCE, other(silent(), &too_little)).await;
            assert!(waiting.is_err());
        }
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
        let twice = ResolverConfig::from_parts(None, vec![name("."), name("a.test")], Vec::new());
        let all = Search::new(&twice, 1).all(&name("api"));
        let all: Vec<String> = all.iter().map(ToString::to_string).collect();
        assert_eq!(all, ["api.", "api.a.test."]);
    }
}
