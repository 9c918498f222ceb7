//! `health_check: tcp`: a server is well when it takes a connection.
//!
//! ```yaml
//! health_check: { tcp: { interval: 2s, timeout: 1s, healthy_after: 2, unhealthy_after: 3 } }
//! ```

use std::sync::Arc;

use pingora_load_balancing::health_check::TcpHealthCheck;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use super::pace::{self, Written};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::SomeTime;
use crate::config::{Diagnostic, Duration, Spanned};

pub(super) const KIND: Kind<Arc<Check>> =
    Kind::new::<Tcp>("tcp", "a server is well when it takes a connection", build);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Tcp {
    /// From one probe to the next. Default: `5s`.
    #[serde(default = "pace::interval")]
    #[schemars(with = "pace::Interval")]
    interval: Spanned<Duration>,
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
    let Tcp {
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
    } = options.decode()?;
    let pace = Written {
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
    }
    .pace()?;
    let timeout = pace.timeout;
    Ok(Arc::new(Check::new(
        KIND.name.to_owned(),
        pace,
        move || {
            let mut probe = TcpHealthCheck::new();
            probe.peer_template.options.connection_timeout = Some(timeout);
            probe
        },
    )))
}
