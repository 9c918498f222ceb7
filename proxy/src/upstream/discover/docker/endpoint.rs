//! Where an engine is, as `DOCKER_HOST` writes it: `unix:///var/run/docker.sock`, `tcp://10.0.0.7:2375`.

use std::path::PathBuf;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::config::{Complaint, ServerAddress, code};
use crate::upstream::discover::service::Service;

/// Where an engine is.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "DockerEndpoint", with = "String", extend("pattern" = "^(unix:///|tcp://)\\S+$", "default" = "unix:///var/run/docker.sock"))]
pub(super) struct Endpoint {
    written: String,
    service: Service,
}

impl Default for Endpoint {
    fn default() -> Self {
        let path = "/var/run/docker.sock";
        Self {
            written: format!("unix://{path}"),
            service: Service::Unix(PathBuf::from(path)),
        }
    }
}

impl Endpoint {
    pub(super) fn service(self) -> Service {
        self.service
    }
}

impl FromStr for Endpoint {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        let service = match text.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Service::Unix(PathBuf::from(path)),
            Some(("tcp", address)) => {
                let address = address.trim_end_matches('/');
                if !address.is_empty() && !address.contains(':') {
                    let message = format!("`{text}` has no port");
                    return Err(Complaint::new(code::ADDRESS, message)
                        .label("expected a port behind the host")
                        .help(format!("write `tcp://{address}:2375`")));
                }
                let address: ServerAddress = address.parse()?;
                Service::Tcp(address.somewhere()?.to_string())
            }
            _ => {
                let complaint = Complaint::new(
                    code::ADDRESS,
                    format!("`{text}` does not say where an engine is"),
                );
                let complaint = complaint.label("expected `unix://` or `tcp://`");
                return Err(if text.starts_with('/') {
                    complaint.help(format!("write `unix://{text}`"))
                } else {
                    complaint
                        .help("write `unix:///var/run/docker.sock`, or `tcp://`, a host and a port")
                });
            }
        };
        Ok(Self {
            written: text.to_owned(),
            service,
        })
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_is_where_docker_host_says() {
        let at = |text: &str| text.parse::<Endpoint>().map(Endpoint::service);
        assert_eq!(
            at("unix:///run/x.sock"),
            Ok(Service::Unix("/run/x.sock".into()))
        );
        assert_eq!(
            at("tcp://10.0.0.7:2375"),
            Ok(Service::Tcp("10.0.0.7:2375".into()))
        );
        assert_eq!(
            at("tcp://[::1]:2375/"),
            Ok(Service::Tcp("[::1]:2375".into()))
        );
        assert_eq!(Endpoint::default().written.parse(), Ok(Endpoint::default()));
        for wrong in [
            "/run/x.sock",
            "unix://run/x.sock",
            "ssh://me@host",
            "tcp://host",
            "tcp://0.0.0.0:2375",
            "",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
