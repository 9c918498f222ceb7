//! `discover: dns`: every address of a name is a server.
//!
//! ```yaml
//! discover: { dns: { name: tasks.api, port: 5252 } }
//! ```

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;
use super::followed::Feed;
use super::name::{Resolver, believed};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::AtLeast;
use crate::config::{self, Diagnostic, Spanned};
use crate::upstream::ServerSpec;

pub(super) const KIND: Kind<Arc<dyn Source>> =
    Kind::new::<Dns>("dns", "every address of a name is a server", build);

#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dns {
    /// The name.
    name: Spanned<String>,
    /// The port of all of them.
    #[schemars(range(min = 1))]
    port: Spanned<u16>,
    /// The longest time that its addresses are believed; a shorter TTL wins. Default: `5s`.
    #[serde(default = "refresh")]
    #[schemars(with = "AtLeast<1000>", extend("default" = "5s"))]
    refresh: Spanned<config::Duration>,
}

fn refresh() -> Spanned<config::Duration> {
    config::Duration::from_millis(5000).into()
}

fn build(options: &Options) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: Dns = options.decode()?;
    Ok(Arc::new(Addresses {
        name: written.name.value,
        port: written.port.value,
        refresh: written.refresh.get(),
    }))
}

/// Those of a name.
#[derive(Debug, Clone)]
struct Addresses {
    name: String,
    port: u16,
    refresh: Duration,
}

impl Source for Addresses {
    fn identity(&self) -> String {
        format!("{self:?}")
    }

    fn label(&self) -> String {
        format!("dns `{}`", self.name)
    }

    fn follow(&self, resolver: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let Self {
            name,
            port,
            refresh,
        } = self.clone();
        let server = move |ip| ServerSpec::at(SocketAddr::new(ip, port));
        async move {
            loop {
                let answer = resolver.look_up(&name).await;
                let pause = believed(answer.as_ref().ok().map(|(_, ttl)| *ttl), refresh);
                match answer {
                    Ok((addresses, _)) => feed.found(addresses.into_iter().map(server).collect()),
                    Err(trouble) => feed.failed(format!("does not resolve: {trouble}")),
                }
                tokio::time::sleep(pause).await;
            }
        }
        .boxed()
    }
}
