//! What the engine says about containers, and the servers that they are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::str::FromStr;

use serde::Deserialize;

use crate::config::nearest::listed;
use crate::upstream::discover::followed::left_out::LeftOut;
use crate::upstream::{Host, Seat, ServerSpec};

/// What holds for containers that do not say otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Usual {
    pub(super) port: Option<u16>,
    pub(super) network: Option<String>,
}

/// In the answer to `GET /containers/json`. What an engine has nothing to say about is `null`, empty or left out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    id: String,
    names: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
    ports: Option<Vec<Port>>,
    network_settings: Option<Networks>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Port {
    private_port: u16,
    #[serde(rename = "Type", default)]
    protocol: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Networks {
    networks: Option<BTreeMap<String, Network>>,
}

#[derive(Debug, Deserialize)]
struct Network {
    #[serde(rename = "IPAddress", default)]
    ip: String,
    #[serde(rename = "GlobalIPv6Address", default)]
    ipv6: String,
}

/// The servers among them, in the order of their names, and those that cannot be one.
///
/// # Errors
/// Why the answer cannot be read.
pub(super) fn servers(answer: &[u8], usual: &Usual) -> Result<(Vec<ServerSpec>, LeftOut), String> {
    let containers: Vec<Container> = serde_json::from_slice(answer)
        .map_err(|error| format!("its list of containers cannot be read: {error}"))?;
    let mut found = BTreeMap::new();
    let mut left_out = LeftOut::default();
    for container in &containers {
        let name = container.name();
        match container.server(usual) {
            Ok(Some(server)) => {
                found.insert(name, server);
            }
            Ok(None) => {}
            Err(why) => left_out.add(format!("container `{name}`"), why),
        }
    }
    Ok((found.into_values().collect(), left_out))
}

impl Container {
    /// Without the `/` that it begins with, and not one that a link of another container gives it.
    fn name(&self) -> &str {
        let names = self.names.iter().flatten();
        let mut names = names.map(|name| name.trim_start_matches('/'));
        names
            .find(|name| !name.contains('/'))
            .unwrap_or_else(|| self.id.get(..12).unwrap_or(&self.id))
    }

    /// None if it does not want to be one.
    fn server(&self, usual: &Usual) -> Result<Option<ServerSpec>, String> {
        if self.label("tidegate.enable", "`true` or `false`", |_| true)? == Some(false) {
            return Ok(None);
        }
        Ok(Some(ServerSpec {
            host: Host::Ip(self.address(usual)?),
            port: self.port(usual)?,
            seat: self.seat()?,
        }))
    }

    /// What a label says, if there is one.
    fn label<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
        is_within: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, String> {
        let Some(text) = self.labels.as_ref().and_then(|labels| labels.get(name)) else {
            return Ok(None);
        };
        let value = text.trim().parse().ok().filter(is_within);
        let wrong = || format!("its label `{name}` is `{text}`, expected {expected}");
        value.map(Some).ok_or_else(wrong)
    }

    fn address(&self, usual: &Usual) -> Result<IpAddr, String> {
        let said = self.label(
            "tidegate.network",
            "the name of a network",
            |name: &String| !name.is_empty(),
        )?;
        let networks = self.network_settings.as_ref();
        let networks = networks.and_then(|settings| settings.networks.as_ref());
        let Some(networks) = networks.filter(|networks| !networks.is_empty()) else {
            return Err("it is in no network".to_owned());
        };
        if let Some(name) = said.as_ref().or(usual.network.as_ref()) {
            let Some(network) = networks.get(name) else {
                let names = listed(networks.keys().map(String::as_str));
                return Err(format!("it is not in the network `{name}`, but in {names}"));
            };
            return network
                .address()
                .ok_or_else(|| format!("the network `{name}` gives it no address"));
        }
        let mut addresses = networks.values().filter_map(Network::address);
        addresses.next().ok_or_else(|| {
            let names = listed(networks.keys().map(String::as_str));
            format!("it has no address of its own in {names}")
        })
    }

    fn port(&self, usual: &Usual) -> Result<u16, String> {
        let said = self.label("tidegate.port", "a port from 1 to 65535", |port| *port > 0)?;
        if let Some(port) = said.or(usual.port) {
            return Ok(port);
        }
        let ports = self.ports.iter().flatten();
        let ports = ports.filter(|port| port.protocol == "tcp");
        let ports: BTreeSet<u16> = ports.map(|port| port.private_port).collect();
        let mut exposed = ports.iter();
        match (exposed.next(), exposed.next()) {
            (Some(port), None) => Ok(*port),
            (None, _) => Err(
                "it exposes no port: its label `tidegate.port`, or the option `port`, can say which"
                    .to_owned(),
            ),
            _ => {
                let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
                let ports = listed(ports.iter().map(String::as_str));
                Err(format!(
                    "it exposes {ports}: its label `tidegate.port`, or the option `port`, can say which"
                ))
            }
        }
    }

    fn seat(&self) -> Result<Seat, String> {
        let weight = self.label(
            "tidegate.weight",
            "a whole number from 1 to 1000",
            |weight| (1..=1000).contains(weight),
        )?;
        let priority = self.label(
            "tidegate.priority",
            "a whole number from 0 to 9",
            |priority| *priority <= 9,
        )?;
        let is_backup = self.label("tidegate.backup", "`true` or `false`", |_| true)?;
        let priority = match (is_backup, priority) {
            (Some(true), Some(_)) => {
                return Err(
                    "it has the label `tidegate.priority` and is a backup: one of the two"
                        .to_owned(),
                );
            }
            (Some(true), None) => Seat::BACKUP,
            (_, priority) => priority.unwrap_or(0),
        };
        Ok(Seat {
            priority,
            ..Seat::of_weight(weight.unwrap_or(1))
        })
    }
}

impl Network {
    fn address(&self) -> Option<IpAddr> {
        let ip = self.ip.parse().ok();
        ip.or_else(|| self.ipv6.parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A container as an engine of version 20.10 lists it, with these labels and networks.
    fn container(name: &str, labels: &Value, networks: &Value, ports: &Value) -> Value {
        json!({
            "Id": "3b1d2f8c0a6e4d5f", "Names": [format!("/web/{name}"), format!("/{name}")],
            "Image": "api", "State": "running", "Status": "Up 5 seconds (healthy)",
            "Labels": labels, "Ports": ports, "Mounts": [],
            "NetworkSettings": { "Networks": networks },
        })
    }

    fn of(containers: &Value, usual: &Usual) -> (Vec<String>, LeftOut) {
        let (servers, left_out) = servers(containers.to_string().as_bytes(), usual).unwrap();
        let show = |server: &ServerSpec| {
            let Seat {
                weight, priority, ..
            } = server.seat;
            format!("{server} {weight} {priority}")
        };
        (servers.iter().map(show).collect(), left_out)
    }

    fn one(
        labels: Value,
        networks: &Value,
        ports: &Value,
        usual: &Usual,
    ) -> Result<String, String> {
        let list = json!([container("a", &labels, networks, ports)]);
        let (servers, left_out) = of(&list, usual);
        let why = left_out.why("container `a`").unwrap_or_default().to_owned();
        servers.into_iter().next().ok_or(why)
    }

    fn bridge() -> Value {
        json!({ "bridge": { "IPAddress": "172.17.0.2", "GlobalIPv6Address": "" } })
    }

    fn exposed() -> Value {
        json!([
            { "PrivatePort": 80, "Type": "tcp" }, { "IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp" },
            { "PrivatePort": 53, "Type": "udp" },
        ])
    }

    #[test]
    fn the_port_is_that_of_the_label_or_the_option_or_the_one_that_is_exposed() {
        let (usual, other) = (
            Usual::default(),
            Usual {
                port: Some(81),
                network: None,
            },
        );
        let labelled = || json!({ "tidegate.port": "82" });
        let networks = bridge();
        let of = |labels, ports: &Value, usual| one(labels, &networks, ports, usual);
        assert_eq!(
            of(json!({}), &exposed(), &usual).unwrap(),
            "172.17.0.2:80 1 0"
        );
        assert_eq!(
            of(json!({}), &exposed(), &other).unwrap(),
            "172.17.0.2:81 1 0"
        );
        assert_eq!(
            of(labelled(), &exposed(), &other).unwrap(),
            "172.17.0.2:82 1 0"
        );
        assert_eq!(
            of(Value::Null, &Value::Null, &other).unwrap(),
            "172.17.0.2:81 1 0"
        );
        let none = of(json!({}), &json!([]), &usual).unwrap_err();
        assert!(none.contains("exposes no port"), "{none}");
        let two =
            json!([{ "PrivatePort": 80, "Type": "tcp" }, { "PrivatePort": 81, "Type": "tcp" }]);
        let two = of(json!({}), &two, &usual).unwrap_err();
        assert!(two.starts_with("it exposes `80` and `81`: "), "{two}");
        let wrong = of(json!({ "tidegate.port": "http" }), &exposed(), &other).unwrap_err();
        assert_eq!(
            wrong,
            "its label `tidegate.port` is `http`, expected a port from 1 to 65535"
        );
    }

    #[test]
    fn the_address_is_in_the_network_of_the_label_or_the_option_or_the_first_by_name() {
        let usual = Usual {
            port: Some(1),
            network: None,
        };
        let other = Usual {
            port: Some(1),
            network: Some("public".to_owned()),
        };
        let two = json!({
            "public": { "IPAddress": "10.2.0.2" }, "back": { "IPAddress": "10.1.0.2" }, "a": { "IPAddress": "" },
        });
        let of = |labels, networks: &Value, usual| one(labels, networks, &json!([]), usual);
        assert_eq!(of(json!({}), &two, &usual).unwrap(), "10.1.0.2:1 1 0");
        assert_eq!(of(json!({}), &two, &other).unwrap(), "10.2.0.2:1 1 0");
        let labels = || json!({ "tidegate.network": "back" });
        assert_eq!(of(labels(), &two, &other).unwrap(), "10.1.0.2:1 1 0");
        let elsewhere = of(json!({}), &bridge(), &other).unwrap_err();
        assert_eq!(
            elsewhere,
            "it is not in the network `public`, but in `bridge`"
        );
        let hosts = json!({ "host": { "IPAddress": "", "GlobalIPv6Address": "" } });
        let hosts = of(json!({}), &hosts, &usual).unwrap_err();
        assert_eq!(hosts, "it has no address of its own in `host`");
        assert_eq!(
            of(json!({}), &json!({}), &usual).unwrap_err(),
            "it is in no network"
        );
        let six = json!({ "six": { "IPAddress": "", "GlobalIPv6Address": "fd00::2" } });
        assert_eq!(of(json!({}), &six, &usual).unwrap(), "[fd00::2]:1 1 0");
    }

    #[test]
    fn labels_say_what_a_server_is() {
        let usual = Usual::default();
        let (networks, ports) = (bridge(), exposed());
        let of = |labels| one(labels, &networks, &ports, &usual);
        let labels = json!({ "tidegate.weight": "3", "tidegate.priority": "2" });
        assert_eq!(of(labels).unwrap(), "172.17.0.2:80 3 2");
        let labels = json!({ "tidegate.backup": "true", "tidegate.enable": "true" });
        assert_eq!(of(labels).unwrap(), "172.17.0.2:80 1 255");
        for (label, value) in [
            ("weight", "0"),
            ("weight", "1001"),
            ("priority", "10"),
            ("backup", "yes"),
            ("enable", "no"),
            ("network", ""),
        ] {
            let label = format!("tidegate.{label}");
            let told = of(json!({ label.clone(): value })).unwrap_err();
            let begin = format!("its label `{label}` is `{value}`, expected ");
            assert!(told.starts_with(&begin), "{told}");
        }
        let both = json!({ "tidegate.backup": "true", "tidegate.priority": "1" });
        assert!(of(both).unwrap_err().contains("one of the two"));
    }

    #[test]
    fn one_that_wants_to_be_none_is_none_and_one_that_cannot_be_is_told_with_its_name() {
        let usual = Usual::default();
        let list = json!([
            container("b", &json!({}), &bridge(), &exposed()),
            container(
                "off",
                &json!({ "tidegate.enable": "false" }),
                &bridge(),
                &exposed()
            ),
            container("broken", &json!({}), &json!({}), &exposed()),
            container("a", &json!({ "tidegate.port": "5" }), &bridge(), &exposed()),
        ]);
        let (servers, left_out) = of(&list, &usual);
        assert_eq!(servers, ["172.17.0.2:5 1 0", "172.17.0.2:80 1 0"]);
        assert_eq!(
            left_out.why("container `broken`"),
            Some("it is in no network")
        );
        assert_eq!(left_out.why("container `off`"), None);
        assert_eq!(of(&json!([]), &usual).0, [""; 0]);
        let nonsense = super::servers(b"<html>", &usual).unwrap_err();
        assert!(nonsense.contains("cannot be read"), "{nonsense}");
    }
}
