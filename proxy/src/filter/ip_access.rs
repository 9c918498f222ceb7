//! `ip_access`: who may ask, by address. The narrowest network that holds the client decides; where it is in both lists, it
//! may not.
//!
//! ```yaml
//! filters:
//!   - ip_access: { allow: [ 10.0.0.0/8, "fd00::/8" ], deny: 10.6.6.0/24 }    # who is in neither may not
//!   - ip_access: { deny: 192.0.2.0/24 }                                       # everybody else may
//! ```

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::{Diagnostic, Network, OneOrMany, Spanned, code};
use crate::error::Failure;

pub(super) const KIND: Kind<Arc<dyn Filter>> =
    Kind::new::<Written>("ip_access", "who may ask, by address", build);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = places::any_of(&["allow", "deny"])))]
struct Written {
    /// Who may. Default: everybody that `deny` does not name.
    allow: Option<OneOrMany<Spanned<Network>>>,
    /// Who may not.
    deny: Option<OneOrMany<Spanned<Network>>>,
}

struct IpAccess {
    allow: Option<Vec<IpNet>>,
    deny: Vec<IpNet>,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let networks = |written: &OneOrMany<Spanned<Network>>| -> Vec<IpNet> {
        written.iter().map(|network| network.get()).collect()
    };
    let deny = written.deny.as_ref().map(networks).unwrap_or_default();
    if written.allow.is_none() && deny.is_empty() {
        let problem = Diagnostic::error(code::NOTHING_TO_DO, "a filter that lets everybody in")
            .at(options.span());
        return Err(vec![problem.label("expected `allow`, `deny` or both")]);
    }
    Ok(Arc::new(IpAccess {
        allow: written.allow.as_ref().map(networks),
        deny,
    }))
}

/// The length of the narrowest network that holds the address.
fn narrowest(networks: &[IpNet], address: IpAddr) -> Option<u8> {
    let holding = networks.iter().filter(|network| network.contains(&address));
    holding.map(IpNet::prefix_len).max()
}

impl IpAccess {
    fn lets_in(&self, client: IpAddr) -> bool {
        let denied = narrowest(&self.deny, client);
        match &self.allow {
            None => denied.is_none(),
            Some(allow) => narrowest(allow, client) > denied,
        }
    }
}

impl Filter for IpAccess {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        match request.facts.client {
            Some(client) if self.lets_in(client) => Verdict::Continue,
            _ => Verdict::Refuse(Failure::AccessDenied, HeaderMap::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(written: &[&str]) -> Vec<IpNet> {
        written.iter().map(|net| net.parse().unwrap()).collect()
    }

    #[test]
    fn the_narrowest_network_decides_and_in_doubt_nobody_is_let_in() {
        let both = IpAccess {
            allow: Some(nets(&["10.0.0.0/8", "10.6.6.6/32", "fd00::/8"])),
            deny: nets(&["10.6.6.0/24", "10.7.0.0/16", "fd00::/8"]),
        };
        for (client, is_let_in) in [
            ("10.1.1.1", true),
            ("10.6.6.7", false),
            ("10.6.6.6", true),
            ("10.7.1.1", false),
            ("192.0.2.1", false),
            ("fd00::1", false),
        ] {
            assert_eq!(both.lets_in(client.parse().unwrap()), is_let_in, "{client}");
        }
        let deny = IpAccess {
            allow: None,
            deny: nets(&["10.6.6.0/24"]),
        };
        assert!(deny.lets_in("192.0.2.1".parse().unwrap()));
        assert!(!deny.lets_in("10.6.6.1".parse().unwrap()));
    }
}
