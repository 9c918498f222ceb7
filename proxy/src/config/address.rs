//! Where to listen and where servers are: `0.0.0.0:80`, `[::1]:80`, `api:5252`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};

use super::code;
use super::complaint::Complaint;
use super::scalar;
use super::spanned::Spanned;

/// A server's host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServerAddress {
    /// An address, or a name that stands for all its addresses.
    pub host: Host,
    /// The TCP port; never 0.
    pub port: u16,
}

/// An address or a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// An address.
    Ip(IpAddr),
    /// A DNS name in lower case.
    Name(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(IpAddr::V6(ip)) => write!(f, "[{ip}]"),
            Self::Ip(ip) => ip.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl FromStr for ServerAddress {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(url(text, scheme, rest));
        }
        if text.contains(char::is_whitespace) {
            return Err(Complaint::new(
                code::ADDRESS,
                format!("the address `{text}` has a space in it"),
            )
            .label("expected one host and port")
            .help(if text.contains(" - ") {
                "every `- ` of a list stands in the column of the first one"
            } else {
                "a comma stands between two servers: `[ a:80, b:80 ]`"
            }));
        }
        let (host, port) = split(text)?;
        let port = self::port(text, port, "api:5252")?;
        if port == 0 {
            return Err(
                Complaint::new(code::ADDRESS, "a server cannot be at port 0")
                    .label("expected a port from 1 to 65535"),
            );
        }
        Ok(Self {
            host: host_of(host)?,
            port,
        })
    }
}

impl ServerAddress {
    /// It, unless no server can be there.
    ///
    /// # Errors
    /// Why none can.
    pub(crate) fn somewhere(self) -> Result<Self, Complaint> {
        let Host::Ip(ip) = self.host else {
            return Ok(self);
        };
        let Some(why) = nowhere(ip) else {
            return Ok(self);
        };
        let complaint = Complaint::new(code::ADDRESS, format!("no server can be at `{self}`"));
        let complaint = complaint.label(format!("{why} address"));
        Err(match ip.to_canonical().is_unspecified() {
            true => complaint.help(format!("write `127.0.0.1:{}` for this machine", self.port)),
            false => complaint,
        })
    }
}

/// What kind of address it is, if no server can be there.
pub(crate) fn nowhere(ip: IpAddr) -> Option<&'static str> {
    let ip = ip.to_canonical();
    match ip {
        _ if ip.is_unspecified() => Some("the unspecified"),
        _ if ip.is_multicast() => Some("a multicast"),
        _ if ip == Ipv4Addr::BROADCAST => Some("the broadcast"),
        _ => None,
    }
}

impl<'de> Deserialize<'de> for ServerAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(deserializer, "host and port such as `api:5252`")
    }
}

/// A URL in place of host and port; what is left out of it is in the scheme.
fn url(text: &str, scheme: &str, rest: &str) -> Complaint {
    let bare = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let is_secure = matches!(scheme, "https" | "wss");
    let port = if is_secure { 443 } else { 80 };
    let has_port = bare
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    let address = match has_port {
        true => bare.to_owned(),
        false => format!("{}:{port}", bare.trim_end_matches(':')),
    };
    let left_out = match rest.len() == bare.len() {
        true => format!("without `{scheme}://`"),
        false => format!("without `{scheme}://` and path"),
    };
    let complaint = Complaint::new(code::URL, format!("`{text}` is a URL"))
        .label("expected only host and port")
        .help(format!("write `{address}`, {left_out}"));
    match is_secure {
        true => complaint.note(
            "TLS towards servers is not spoken yet: the port has to be one that takes plain HTTP",
        ),
        false => complaint,
    }
}

/// Host (without brackets, if it had any, but then it is an IPv6 address) and the text of the port.
fn split(text: &str) -> Result<(&str, Option<&str>), Complaint> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((host, after)) = rest.split_once(']') else {
            return Err(Complaint::new(
                code::ADDRESS,
                format!("`{text}` has a `[` without its `]`"),
            )
            .label("never closed"));
        };
        if host.parse::<Ipv6Addr>().is_err() {
            return Err(
                Complaint::new(code::ADDRESS, format!("`{host}` is not an IPv6 address"))
                    .label("brackets are for IPv6 addresses only"),
            );
        }
        return Ok((host, after.strip_prefix(':')));
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(
            Complaint::new(code::ADDRESS, format!("`{text}` has no port"))
                .label("an IPv6 address needs brackets beside its port")
                .help(format!("write `[{text}]:80`, with the port it listens on")),
        );
    }
    Ok(match text.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    })
}

fn port(text: &str, port: Option<&str>, example: &str) -> Result<u16, Complaint> {
    let Some(port) = port.filter(|port| !port.is_empty()) else {
        let host = text.trim_end_matches(':');
        return Err(match host.parse::<u16>() {
            Ok(port) => Complaint::new(code::ADDRESS, format!("`{text}` has no host"))
                .label("expected host and port")
                .help(format!(
                    "write `127.0.0.1:{port}`, or the name of the machine instead of the address"
                )),
            Err(_) => Complaint::new(code::ADDRESS, format!("`{text}` has no port"))
                .label(format!("expected host and port, such as `{example}`"))
                .help(format!("write `{host}:80`, with the port it listens on")),
        });
    };
    port.parse()
        .ok()
        .filter(|_| port.bytes().all(|b| b.is_ascii_digit()))
        .ok_or_else(|| {
            Complaint::new(code::ADDRESS, format!("`{port}` is not a port"))
                .label("expected a number from 1 to 65535 after the colon")
        })
}

fn host_of(text: &str) -> Result<Host, Complaint> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Host::Ip(ip));
    }
    if text.is_empty() {
        return Err(Complaint::new(code::ADDRESS, "the host is missing")
            .label("nothing before the colon")
            .help("write the name or address of the server, or `127.0.0.1` for this machine"));
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(
            Complaint::new(code::ADDRESS, format!("`{text}` is not an IP address"))
                .label("four numbers from 0 to 255 make an IPv4 address"),
        );
    }
    check_name(text)?;
    Ok(Host::Name(text.trim_end_matches('.').to_ascii_lowercase()))
}

/// RFC 1123, section 2.1, and the underscore, which names of containers and services use.
pub(super) fn check_name(name: &str) -> Result<(), Complaint> {
    let complaint =
        |message: String, label: &str| Err(Complaint::new(code::HOST_NAME, message).label(label));
    if let Some(c) = name
        .chars()
        .find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')))
    {
        let label = if c.is_ascii() {
            "names are made of letters, digits, `-`, `_` and `.`"
        } else {
            "write it in its ASCII form (`xn--...`)"
        };
        return complaint(
            format!("`{}` cannot be part of a host name", c.escape_debug()),
            label,
        );
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() {
        return complaint("an empty host name".to_owned(), "nothing is written here");
    }
    if name.len() > 253 {
        return complaint(
            "a host name of more than 253 characters".to_owned(),
            "too long",
        );
    }
    for label in name.split('.') {
        if label.is_empty() {
            return complaint(format!("`{name}` has an empty part"), "one dot too many");
        }
        if label.len() > 63 {
            return complaint(
                "a part of a host name has more than 63 characters".to_owned(),
                "too long",
            );
        }
        if label.starts_with('-') || label.ends_with('-') {
            return complaint(
                format!("`{label}` begins or ends with `-`"),
                "not allowed in a host name",
            );
        }
    }
    Ok(())
}

/// An address to listen on.
pub(super) struct Listen(SocketAddr);

impl FromStr for Listen {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if let Ok(address) = text.parse() {
            return Ok(Self(address));
        }
        if let Some((scheme, rest)) = text.split_once("://") {
            return Err(url(text, scheme, rest));
        }
        let (host, port_text) = split(text)?;
        let port = port_text
            .filter(|port| !port.is_empty())
            .or(Some(host))
            .and_then(|port| port.parse::<u16>().ok());
        if let (Some(port), true) = (port, host.is_empty() || host == "*" || port_text.is_none()) {
            return Err(Complaint::new(
                code::LISTEN_ON_NAME,
                format!("`{text}` has no IP address"),
            )
            .label("which address to listen on?")
            .help(format!(
                "write `0.0.0.0:{port}` for all addresses, `127.0.0.1:{port}` for this machine only"
            )));
        }
        if host == "*" && port_text.is_none_or(str::is_empty) {
            let complaint = Complaint::new(code::ADDRESS, format!("`{text}` has no port"));
            return Err(complaint
                .label("expected an IP address and a port")
                .help("write `0.0.0.0:80` for all addresses, with the port to listen on"));
        }
        let port = self::port(text, port_text, "0.0.0.0:80")?;
        match host_of(host)? {
            Host::Ip(ip) => Ok(Self(SocketAddr::new(ip, port))),
            Host::Name(name) => Err(Complaint::new(code::LISTEN_ON_NAME, format!("`{name}` is a name, not an IP address"))
                .label("expected an IP address of this machine and a port")
                .help(format!(
                    "write `127.0.0.1:{port}` for this machine only, `0.0.0.0:{port}` for all its addresses"
                ))),
        }
    }
}

impl<'de> Deserialize<'de> for Listen {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::parse(
            deserializer,
            "an IP address and a port such as `0.0.0.0:80`",
        )
    }
}

/// Decodes an address to listen on; the standard library's own message for it would help nobody.
pub(super) fn listen<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Spanned<SocketAddr>, D::Error> {
    Spanned::<Listen>::deserialize(deserializer)
        .map(|listen| Spanned::new(listen.value.0, listen.span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written_alike() {
        for text in [
            "api:5252",
            "127.0.0.1:80",
            "[::1]:8080",
            "a_b.svc.local:1",
            "xn--bcher-kva.example:443",
        ] {
            assert_eq!(text.parse::<ServerAddress>().unwrap().to_string(), text);
        }
        assert_eq!(
            "API.example.:80"
                .parse::<ServerAddress>()
                .unwrap()
                .to_string(),
            "api.example:80"
        );
    }

    #[test]
    fn no_server_is_where_none_can_be() {
        let kind = |ip: &str| nowhere(ip.parse().unwrap());
        for ip in ["0.0.0.0", "::", "::ffff:0.0.0.0"] {
            assert_eq!(kind(ip), Some("the unspecified"), "{ip}");
        }
        for ip in ["224.0.0.1", "239.255.255.250", "ff02::1"] {
            assert_eq!(kind(ip), Some("a multicast"), "{ip}");
        }
        assert_eq!(kind("255.255.255.255"), Some("the broadcast"));
        for ip in ["127.0.0.1", "0.0.0.1", "10.255.255.255", "::1", "fe80::1"] {
            assert_eq!(kind(ip), None, "{ip}");
        }
        let at = |text: &str| text.parse::<ServerAddress>().unwrap().somewhere();
        assert!(at("0.0.0.0:80").is_err() && at("[::]:80").is_err());
        assert!(at("127.0.0.1:80").is_ok() && at("api:80").is_ok());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in [
            "",
            "api",
            "5252",
            "api:",
            ":80",
            "api:0",
            "api:65536",
            "api:+80",
            "::1",
            "[::1]",
            "[::1",
            "[api]:80",
            "a b:80",
            "-a:80",
            "a..b:80",
            "1.2.3:80",
            "http://api:80/",
            "bücher:80",
            "api:80:80",
        ] {
            assert!(text.parse::<ServerAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_listens_on_addresses_only() {
        assert!("0.0.0.0:80".parse::<Listen>().is_ok());
        assert!("[::]:0".parse::<Listen>().is_ok());
        for text in [
            "80",
            ":80",
            "*:80",
            "localhost:80",
            "0.0.0.0",
            "0.0.0.0:99999",
        ] {
            assert!(text.parse::<Listen>().is_err(), "{text}");
        }
    }
}
