//! `health_check: tcp`: a server is well when it takes a connection.
//!
//! ```yaml
//! health_check: { tcp: { interval: 2s, timeout: 1s, healthy_after: 2, unhealthy_after: 3 } }
//! ```

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use pingora::ErrorType;
use pingora_load_balancing::Backend;
use pingora_load_balancing::health_check::{HealthCheck, TcpHealthCheck};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use super::pace::{self, settings};
use super::probe::{Probe, Progress};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::SomeTime;
use crate::config::{Diagnostic, Duration, Spanned};

pub(super) const KIND: Kind<Arc<Check>> =
    Kind::new::<Tcp>("tcp", "a server is well when it takes a connection", build);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tcp {
    /// Another port of the same server to connect to. Default: the one that requests go to.
    #[serde(
        default,
        deserialize_with = "crate::config::scalar::whole::<_, _, 1, 65535>"
    )]
    #[schemars(range(min = 1, max = 65535))]
    port: Option<Spanned<u16>>,
    /// From one probe to the next. Default: `5s`.
    #[serde(default = "pace::interval")]
    #[schemars(with = "pace::Interval")]
    interval: Spanned<Duration>,
    /// The same while the server is down. Default: a fifth of `interval`, but no less than `1s`, or `interval` if that is less.
    #[schemars(with = "Option<pace::Interval>")]
    down_interval: Option<Spanned<Duration>>,
    /// For the connection to stand. Default: `2s`.
    #[serde(default = "pace::timeout")]
    #[schemars(with = "SomeTime")]
    timeout: Spanned<Duration>,
    /// Good answers in a row until a server that was down is used again. Default: 2.
    #[serde(default = "pace::healthy_after")]
    #[schemars(range(min = 1))]
    healthy_after: Spanned<u32>,
    /// Bad answers in a row until a server that was up is left out. Default: 3.
    #[serde(default = "pace::unhealthy_after")]
    #[schemars(range(min = 1))]
    unhealthy_after: Spanned<u32>,
}

fn build(options: &Options) -> Result<Arc<Check>, Vec<Diagnostic>> {
    let mut written: Tcp = options.decode()?;
    let settings = settings!(options, written)?;
    Ok(Arc::new(Check::new(KIND.name, settings, Connects)))
}

/// Pingora's own, one for all: each reads the system's certificates when it is made.
static PROBE: LazyLock<Box<TcpHealthCheck>> = LazyLock::new(|| {
    let mut probe = TcpHealthCheck::new();
    // A second, unless told otherwise: how long, the check's own `timeout` says.
    probe.peer_template.options.connection_timeout = None;
    probe
});

struct Connects;

#[async_trait]
impl Probe for Connects {
    async fn ask(&self, address: SocketAddr, _progress: &Progress) -> Result<(), String> {
        let backend = Backend::new(&address.to_string())
            .map_err(|_| format!("{address} is not an address"))?;
        let asked = PROBE.check(&backend).await;
        asked.map_err(|error| match error.etype() {
            ErrorType::ConnectRefused => "connection refused".to_owned(),
            ErrorType::ConnectNoRoute => "no route to it".to_owned(),
            ErrorType::ConnectTimedout => "no connection in time".to_owned(),
            other => format!("no connection: {}", other.as_str()),
        })
    }
}
