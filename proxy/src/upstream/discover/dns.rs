//! `discover: dns`: every address of a name is a server, or every SRV record of a service.
//!
//! ```yaml
//! discover: { dns: { name: tasks.api, port: 5252 } }
//! ```
//!
//! ```yaml
//! discover: { dns: { srv: _http._tcp.api.internal, refresh: 10s } }
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;
use super::followed::Feed;
use super::names::Pace;
use super::names::resolver::Resolver;
use super::names::srv;
use super::service::{REFRESH_FLOOR, too_often};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, HostName, Span, Spanned, code};
use crate::upstream::{Host, ServerSpec};

pub(super) const KIND: Kind<Arc<dyn Source>> = Kind::new::<Dns>(
    "dns",
    "every address of a name is a server, or every SRV record of a service",
    build,
);

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = places::name_or_service()))]
struct Dns {
    /// A name: each of its addresses is a server.
    #[schemars(with = "Option<String>")]
    name: Option<Spanned<HostName>>,
    /// The port of all of them.
    #[serde(
        default,
        deserialize_with = "crate::config::scalar::whole::<_, _, 1, 65535>"
    )]
    #[schemars(range(min = 1, max = 65535))]
    port: Option<Spanned<u16>>,
    /// A service, in place of a name: each of its SRV records is a server, with port, weight and priority.
    #[schemars(with = "Option<String>")]
    srv: Option<Spanned<HostName>>,
    /// The longest time that an answer is believed; a shorter TTL wins. Default: `5s`.
    #[serde(default = "refresh")]
    #[schemars(with = "AtLeast<REFRESH_FLOOR>", extend("default" = "5s"))]
    refresh: Spanned<config::Duration>,
}

fn refresh() -> Spanned<config::Duration> {
    config::Duration::from_millis(5000).into()
}

fn build(options: &Options) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: Dns = options.decode()?;
    let refresh = written.refresh.get();
    match (asked(options, &written), too_often(written.refresh)) {
        (Ok(asked), None) => Ok(Arc::new(Lookups { asked, refresh })),
        (asked, refresh) => {
            let wrong = asked.err().map(|problem| *problem);
            Err(wrong.into_iter().chain(refresh).collect())
        }
    }
}

/// A name and a port, or a service.
fn asked(options: &Options, written: &Dns) -> Result<Asked, Box<Diagnostic>> {
    match (&written.name, written.port, &written.srv) {
        (Some(name), Some(port), None) => Ok(Asked::Addresses(name.value.clone(), port.value)),
        (None, None, Some(service)) => Ok(Asked::Services(service.value.clone())),
        (Some(name), _, Some(service)) => {
            let message = "`dns` has both `name` and `srv`";
            Err(Box::new(one_of_two(message, name.span, service.span)))
        }
        (None, Some(port), Some(service)) => {
            let problem = one_of_two("`dns` has both `srv` and `port`", service.span, port.span);
            Err(Box::new(problem.note("an SRV record has its port")))
        }
        (Some(_), None, None) => {
            let problem = missing("port", options);
            Err(Box::new(problem.label("an address has no port of its own")))
        }
        (None, _, None) => {
            let problem = missing("name", options);
            Err(Box::new(
                problem.label("expected `name` and `port`, or `srv`"),
            ))
        }
    }
}

fn one_of_two(message: &str, one: Span, other: Span) -> Diagnostic {
    Diagnostic::error(code::ONE_OF_TWO, message)
        .at(one.max(other))
        .label("one of them is enough")
        .related(one.min(other), "the other one")
}

fn missing(key: &str, options: &Options) -> Diagnostic {
    let message = format!("the key `{key}` is missing in `{}`", KIND.name);
    Diagnostic::error(code::MISSING_KEY, message).at(options.span())
}

/// The servers of a name or a service.
#[derive(Debug, Clone)]
struct Lookups {
    asked: Asked,
    refresh: Duration,
}

#[derive(Debug, Clone)]
enum Asked {
    Addresses(HostName, u16),
    Services(HostName),
}

impl Asked {
    /// Tells who the servers are; how long that may be believed.
    async fn tell(&self, resolver: &Resolver, feed: &Feed<ServerSpec>) -> Result<Duration, String> {
        match self {
            Self::Addresses(name, port) => {
                let found = resolver.look_up(name.as_str()).await?;
                let ttl = found.ttl;
                let (addresses, trouble) = found.beside(feed.known().iter().filter_map(address));
                let server = |ip| ServerSpec::at(SocketAddr::new(ip, *port));
                feed.found_in_part(addresses.into_iter().map(server).collect(), trouble);
                Ok(ttl)
            }
            Self::Services(name) => {
                let (records, ttl) = resolver.services(name.as_str()).await?;
                feed.found(srv::servers(records));
                Ok(ttl)
            }
        }
    }
}

fn address(server: &ServerSpec) -> Option<IpAddr> {
    match &server.host {
        Host::Ip(ip) => Some(*ip),
        Host::Name(_) => None,
    }
}

impl Source for Lookups {
    fn identity(&self) -> String {
        format!("{} {self:?}", KIND.name)
    }

    fn asks(&self) -> String {
        format!("{} {:?}", KIND.name, self.asked)
    }

    fn label(&self) -> String {
        let (Asked::Addresses(name, _) | Asked::Services(name)) = &self.asked;
        format!("dns `{name}`")
    }

    fn follow(&self, resolver: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let Self { asked, refresh } = self.clone();
        async move {
            let mut pace = Pace::new(refresh);
            loop {
                let told = asked.tell(&resolver, &feed).await;
                let ttl = told.map_err(|why| feed.failed(format!("does not resolve: {why}")));
                tokio::time::sleep(pace.after(ttl.ok())).await;
            }
        }
        .boxed()
    }
}
