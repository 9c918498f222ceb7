//! The way back: values as the file writes them, so that what is printed can be read again.
//!
//! Plain sections derive it. Here is what has a way of its own to be read, and so has its own to be written.

use std::fmt;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value as Json;

use super::document::{Node, Value, is_number};
use super::spanned::Span;
use super::{
    ClientAddress, Component, Duration, Factor, HedgeAfter, Moment, Named, Network, OneOrMany,
    Rate, ServerAddress, Share, Size, Spanned, ValueMatch,
};

/// Types that are one piece of text.
macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

as_text!(
    ClientAddress,
    Duration,
    Factor,
    HedgeAfter,
    Moment,
    Network,
    Rate,
    ServerAddress,
    Share,
    Size
);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339(self.get()).fmt(f)
    }
}

/// An address alone is not written as a network.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = self.get();
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().fmt(f)
        } else {
            network.fmt(f)
        }
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// Always as a list: one value and a list of one are the same.
impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self)
    }
}

impl<T: Serialize, K> Serialize for Named<T, K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Serialize for ValueMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (how, what): (&str, Json) = match self {
            Self::Exact(text) => return serializer.serialize_str(text),
            Self::Prefix(text) => ("prefix", text.as_str().into()),
            Self::Regex(text) => ("regex", text.as_str().into()),
            Self::Present(is_there) => ("present", (*is_there).into()),
        };
        serializer.collect_map([(how, what)])
    }
}

impl Serialize for Component {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.options {
            None => self.name.serialize(serializer),
            Some(options) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(&self.name, options)?;
                map.end()
            }
        }
    }
}

impl Component {
    /// A component with these options, in the manner of a file: none of them leave the bare name.
    #[must_use]
    pub fn with(name: &str, options: &Json) -> Self {
        let is_bare = match options {
            Json::Null => true,
            Json::Object(entries) => entries.is_empty(),
            _ => false,
        };
        Self {
            options: (!is_bare).then(|| Node::from(options)),
            ..Self::bare(name)
        }
    }
}

/// As nobody wrote it: it has no place.
impl From<&Json> for Node {
    fn from(json: &Json) -> Self {
        let scalar = |text: String, quoted| Value::Scalar {
            text,
            quoted,
            literal: Vec::new(),
        };
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => scalar(value.to_string(), false),
            Json::Number(value) => scalar(value.to_string(), false),
            Json::String(text) => scalar(text.clone(), true),
            Json::Array(items) => Value::List(items.iter().map(Self::from).collect()),
            Json::Object(entries) => {
                let key = |text: &String| Self {
                    span: Span::default(),
                    value: scalar(text.clone(), true),
                };
                let entries = entries.iter();
                Value::Map(
                    entries
                        .map(|(name, value)| (key(name), value.into()))
                        .collect(),
                )
            }
        };
        Self {
            span: Span::default(),
            value,
        }
    }
}

/// What YAML's core schema makes of it.
impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Null | Value::Broken => serializer.serialize_unit(),
            Value::Misnamed(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items),
            Value::Map(entries) => {
                let entries = entries.iter();
                serializer.collect_map(
                    entries.map(|(key, value)| (key.text().unwrap_or_default(), value)),
                )
            }
            Value::Scalar { text, quoted, .. } => match text.as_str() {
                "true" | "false" if !quoted => serializer.serialize_bool(text == "true"),
                _ if !quoted && is_number(text) => match (text.parse::<i64>(), text.parse()) {
                    (Ok(number), _) => serializer.serialize_i64(number),
                    (_, Ok(number)) => serializer.serialize_f64(number),
                    _ => serializer.serialize_str(text),
                },
                _ => serializer.serialize_str(text),
            },
        }
    }
}

/// What serde makes of it, nothing where it cannot, and without what says nothing: an absent key is not written as `null`.
#[must_use]
pub(crate) fn said(value: &impl Serialize) -> Json {
    let mut json = serde_json::to_value(value).unwrap_or_default();
    drop_nulls(&mut json);
    json
}

/// For `#[serde(skip_serializing_if = ...)]`: a section of which every key is left out.
pub(super) fn says_nothing(section: &impl Serialize) -> bool {
    said(section)
        .as_object()
        .is_some_and(serde_json::Map::is_empty)
}

fn drop_nulls(json: &mut Json) {
    match json {
        Json::Array(items) => items.iter_mut().for_each(drop_nulls),
        Json::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn again<T: std::str::FromStr + fmt::Display>(text: &str) -> String
    where
        T::Err: fmt::Debug,
    {
        text.parse::<T>().unwrap().to_string()
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        for text in ["100/s", "30/m", "1000/h"] {
            assert_eq!(again::<Rate>(text), text);
        }
        for text in ["10%", "0.5%", "100%", "0.0001%", "12.25%", "0%"] {
            assert_eq!(again::<Share>(text), text);
        }
        for text in ["10.0.0.7", "10.0.0.0/8", "fd00::/8", "::1", "0.0.0.0/0"] {
            assert_eq!(again::<Network>(text), text);
        }
        assert_eq!(again::<Moment>("2026-12-01"), "2026-12-01T00:00:00Z");
        let precise = "2026-12-01T18:00:00.25Z";
        assert_eq!(
            again::<Moment>(precise).parse::<Moment>().unwrap(),
            precise.parse().unwrap()
        );
        assert_eq!(again::<Duration>("90s"), "1m30s");
        assert_eq!(again::<Size>("1024KiB"), "1MiB");
    }

    #[test]
    fn options_come_back_as_they_are() {
        let options = serde_json::json!({
            "text": "on", "number": 5, "share": 0.5, "flag": true, "list": ["80", 80], "within": { "a": "~" }
        });
        let component = Component::with("x", &options);
        let json = serde_json::json!({ "x": options });
        assert_eq!(said(&component), json);
        assert_eq!(said(&Component::with("x", &serde_json::json!({}))), "x");
    }
}
