//! What a name stands for, as far as it was found out.

use std::net::IpAddr;
use std::time::Duration;

use crate::config;
use crate::upstream::discover::followed::left_out::nowhere;

/// What a name stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Sorted, and at least one.
    pub addresses: Vec<IpAddr>,
    /// How long they may be believed.
    pub ttl: Duration,
    /// The family that could not be found out, if there is one.
    pub missing: Option<Missing>,
    /// Addresses where no server can be.
    pub left_out: Vec<IpAddr>,
}

/// A family of addresses that could not be found out.
#[derive(Debug, PartialEq, Eq)]
pub struct Missing {
    pub(super) is_v6: bool,
    pub(super) why: String,
}

impl Found {
    /// All of it, to be believed for so long.
    pub(super) fn whole(addresses: Vec<IpAddr>, ttl: Duration) -> Self {
        Self {
            addresses,
            ttl,
            missing: None,
            left_out: Vec::new(),
        }
    }

    /// Without the addresses where no server can be.
    pub(super) fn leave_out(&mut self) {
        let is_somewhere = |ip: &IpAddr| config::nowhere(*ip).is_none();
        let all = std::mem::take(&mut self.addresses).into_iter();
        (self.addresses, self.left_out) = all.partition(is_somewhere);
    }

    /// What is wrong with what was left out, in words that go on from a label.
    pub(super) fn nowhere(&self) -> Option<String> {
        Some(format!("stands for {}", nowhere(&self.left_out)?))
    }

    /// With those of `known` that are of the family that could not be found out; and what is wrong, in words that go on from
    /// a label.
    pub(in crate::upstream::discover) fn beside(
        self,
        known: impl Iterator<Item = IpAddr>,
    ) -> (Vec<IpAddr>, Option<String>) {
        let wrong = self.nowhere();
        let mut addresses = self.addresses;
        let missing = self.missing.map(|Missing { is_v6, why }| {
            addresses.extend(known.filter(|ip| ip.is_ipv6() == is_v6));
            addresses.sort_unstable();
            let family = if is_v6 { "IPv6" } else { "IPv4" };
            format!("does not resolve to {family}: {why}")
        });
        let trouble: Vec<String> = missing.into_iter().chain(wrong).collect();
        (addresses, (!trouble.is_empty()).then(|| trouble.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_no_server_can_be_none_is_looked_for() {
        let ips =
            |all: &[&str]| -> Vec<IpAddr> { all.iter().map(|ip| ip.parse().unwrap()).collect() };
        let of = |all: &[&str]| {
            let mut found = Found::whole(ips(all), Duration::MAX);
            found.leave_out();
            found
        };
        let found = of(&["0.0.0.0", "10.0.0.7", "224.0.0.1"]);
        let wrong = "stands for `0.0.0.0`, where no server can be (and 1 more)";
        let known = ips(&["10.0.0.8"]).into_iter();
        assert_eq!(
            found.beside(known),
            (ips(&["10.0.0.7"]), Some(wrong.to_owned()))
        );
        let found = of(&["10.0.0.7", "::1"]);
        assert_eq!(
            found.beside(ips(&[]).into_iter()),
            (ips(&["10.0.0.7", "::1"]), None)
        );
    }
}
