//! A DNS name by itself: `tasks.api`, `_http._tcp.api.internal`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::{Serialize, Serializer};

use super::address::check_name;
use super::code;
use super::complaint::Complaint;
use super::scalar;

/// A name in lower case. A dot at its end stays: it says that no search domain is tried.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostName(String);

impl HostName {
    /// As it is asked for.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for HostName {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if text.parse::<IpAddr>().is_ok() {
            let message = format!("`{text}` is an address, not a name");
            return Err(Complaint::new(code::HOST_NAME, message)
                .label("expected a name to look up")
                .help("an address stands under `servers`, with its port"));
        }
        let with_port = text.rsplit_once(':');
        if let Some((name, port)) = with_port.filter(|(_, port)| port.parse::<u16>().is_ok()) {
            let message = format!("`{text}` is a name and a port");
            return Err(Complaint::new(code::HOST_NAME, message)
                .label("expected the name alone")
                .help(format!("write `name: {name}, port: {port}`")));
        }
        check_name(text)?;
        Ok(Self(text.to_ascii_lowercase()))
    }
}

impl<'de> Deserialize<'de> for HostName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "a name such as `tasks.api`")
    }
}

impl Serialize for HostName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_and_nothing_else() {
        for (text, name) in [
            ("tasks.api", "tasks.api"),
            ("_http._tcp.API.internal.", "_http._tcp.api.internal."),
        ] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), name);
        }
        for text in [
            "",
            ".",
            "10.0.0.7",
            "::1",
            "api:80",
            "http://api",
            "a..b",
            "a b",
        ] {
            assert!(text.parse::<HostName>().is_err(), "{text}");
        }
    }
}
