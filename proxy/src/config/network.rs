//! Addresses and networks: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;

/// A network; an address is one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpNet);

impl Network {
    /// The library's.
    #[must_use]
    pub const fn get(self) -> IpNet {
        self.0
    }
}

impl std::str::FromStr for Network {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_canonical().into()));
        }
        match text.parse::<IpNet>() {
            Ok(IpNet::V6(network)) if network.addr().to_ipv4_mapped().is_some() => Err(
                Complaint::new(code::NETWORK, format!("`{text}` holds nobody"))
                    .label("an IPv4 client is known by its IPv4 address")
                    .help("write the IPv4 network"),
            ),
            Ok(network) if network == network.trunc() => Ok(Self(network)),
            Ok(network) => {
                let complaint = Complaint::new(
                    code::NETWORK,
                    format!("`{text}` is not the beginning of its network"),
                );
                Err(complaint
                    .label("bits are set that the length leaves out")
                    .help(format!("write `{}`", network.trunc())))
            }
            Err(_) => Err(Complaint::new(
                code::NETWORK,
                format!("`{text}` is no address or network"),
            )
            .label("such as `10.0.0.0/8` or `fd00::/8`")),
        }
    }
}

/// The address of somebody who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::str::FromStr for ClientAddress {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let address = text.parse::<IpAddr>();
        address
            .map(|address| Self(address.to_canonical()))
            .map_err(|_| {
                Complaint::new(code::NETWORK, format!("`{text}` is no address"))
                    .label("such as `192.0.2.7` or `2001:db8::7`")
            })
    }
}

impl<'de> Deserialize<'de> for ClientAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "an address such as `192.0.2.7`")
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "an address or a network such as `10.0.0.0/8`")
    }
}
