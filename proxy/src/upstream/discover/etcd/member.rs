//! Where a member of an etcd cluster listens for clients, as `etcdctl --endpoints` writes it: `http://10.0.0.7:2379`,
//! `10.0.0.7:2379`.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use crate::config::{Complaint, ServerAddress, code};

/// Host and port.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(rename = "EtcdMember", with = "String", extend("pattern" = "^(http://)?[^/\\s]+:[0-9]+/?$", "examples" = ["http://127.0.0.1:2379"]))]
pub(super) struct Member {
    written: String,
    address: ServerAddress,
}

impl Member {
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }
}

impl FromStr for Member {
    type Err = Complaint;

    fn from_str(text: &str) -> Result<Self, Complaint> {
        if let Some(rest) = text.strip_prefix("https://") {
            let message = format!("`{text}` asks for TLS");
            return Err(Complaint::new(code::URL, message)
                .label("TLS towards etcd is not spoken yet")
                .help(format!("write `http://{rest}`, if it takes plain HTTP")));
        }
        let bare = text.strip_prefix("http://").unwrap_or(text);
        let bare = bare.strip_suffix('/').unwrap_or(bare);
        if !bare.is_empty() && !bare.contains(':') {
            let message = format!("`{text}` has no port");
            return Err(Complaint::new(code::ADDRESS, message)
                .label("expected a URL, such as `http://127.0.0.1:2379`")
                .help(format!("write `http://{bare}:2379`")));
        }
        Ok(Self {
            address: bare.parse::<ServerAddress>()?.somewhere()?,
            written: text.to_owned(),
        })
    }
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(D::Error::custom)
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_written_as_etcdctl_takes_it() {
        let at = |text: &str| text.parse::<Member>().map(|member| member.address());
        assert_eq!(at("http://10.0.0.7:2379"), Ok("10.0.0.7:2379".to_owned()));
        assert_eq!(at("etcd-0.etcd:2379"), Ok("etcd-0.etcd:2379".to_owned()));
        assert_eq!(at("http://[::1]:2379/"), Ok("[::1]:2379".to_owned()));
        for wrong in [
            "https://a:2379",
            "http://a",
            "unix:///x",
            "http://a:2379/v3",
            "http://0.0.0.0:2379",
            "",
        ] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
