//! What stands where a component is named, and texts that have a form. Types for `#[schemars(with = "...")]`: no value has them.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use crate::config::redirect::REDIRECTS;
use crate::config::respond::BODILESS;
use crate::config::split::WEIGHT_MAX;

/// A route ends in exactly one of these.
pub(crate) fn ends() -> Value {
    json!([
        { "required": ["upstream"] }, { "required": ["split"] }, { "required": ["redirect"] }, { "required": ["respond"] }
    ])
}

/// Addresses have no ports, services have.
pub(crate) fn name_or_service() -> Value {
    json!([
        { "required": ["name", "port"], "not": { "required": ["srv"] } },
        { "required": ["srv"], "not": { "anyOf": [{ "required": ["name"] }, { "required": ["port"] }] } }
    ])
}

/// Copies are made of what goes to a server.
pub(crate) fn beside_a_server() -> Value {
    json!({ "mirror": { "not": { "anyOf": [{ "required": ["redirect"] }, { "required": ["respond"] }] } } })
}

/// Of some keys, one is enough.
pub(crate) fn no_two(keys: &[&str]) -> Value {
    let others = |at: usize| keys.iter().skip(at + 1);
    let pairs = keys.iter().enumerate();
    let pairs = pairs
        .flat_map(|(at, one)| others(at).map(move |other| json!({ "required": [one, other] })));
    json!({ "anyOf": pairs.collect::<Vec<_>>() })
}

/// Of some keys, there has to be one.
pub(crate) fn any_of(keys: &[&str]) -> Value {
    keys.iter()
        .map(|key| json!({ "required": [key] }))
        .collect()
}

/// Shares that are all nothing, or none.
pub(crate) fn all_of_nothing() -> Value {
    json!({ "type": "object", "additionalProperties": { "const": 0 } })
}

/// An answer that has no body, with one.
pub(crate) fn bodies_not_sent() -> Value {
    let status = json!({ "enum": BODILESS });
    let with =
        |body: &str| json!({ "required": ["status", body], "properties": { "status": status } });
    json!([{ "not": with("text") }, { "not": with("file") }])
}

/// A component's place is filled in by whoever knows its kinds.
macro_rules! places {
    ($($name:ident),*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl $name {
            /// The name of its definition.
            pub(crate) const NAME: &'static str = stringify!($name);
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                Self::NAME.into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({})
            }
        }
    )*};
}

places!(Source, Policy, HealthCheck, Filter, FilterOrName);

/// A definition with its own words.
macro_rules! forms {
    ($($name:ident $schema:tt)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", stringify!($name)).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

forms! {
    Path {
        "description": "A path, without host and query.",
        "type": "string",
        "pattern": "^/[^?#\\s]*$",
        "examples": ["/", "/api"]
    }
    MatchedPath {
        "description": "A path, without host and query, the way paths are compared: without `//`, `/./` and `/../`.",
        "type": "string",
        "patternErrorMessage": "A path that requests have: from its `/` on, without host, query, `//`, `/./`, `/../`, spaces and a star at its end.",
        "pattern": "^/(?!\\*\\*?$|.*/(/|\\.\\.?(/|$)|\\*\\*?$)|/|\\.\\.?(/|$)|.*%(?![0-9A-Fa-f]{2}))[^?#\\s]*$",
        "examples": ["/", "/api"]
    }
    Target {
        "description": "A path, with or without a query.",
        "type": "string",
        "pattern": "^/",
        "examples": ["/", "/health?full=1"]
    }
    HttpUrl {
        "description": "A URL of plain HTTP.",
        "type": "string",
        "patternErrorMessage": "A URL of plain HTTP, such as `http://registry:8500/servers`, without a name or a password in it.",
        "pattern": "^[hH][tT][tT][pP]://[^/?#@\\s]+([/?][^#\\s]*)?$",
        "examples": ["http://registry:8500/servers"]
    }
    Beginning {
        "description": "The beginning of a path.",
        "type": "string",
        "pattern": "^/",
        "examples": ["/api"]
    }
    HostPattern {
        "description": "A host without port; a star stands for every name below one.",
        "type": "string",
        "pattern": "^(\\*\\.)?[^*/\\s]+$",
        "examples": ["example.com", "*.example.com"]
    }
    Method {
        "description": "A method, in upper case.",
        "type": "string",
        "pattern": "^[^a-z\\s]+$",
        "examples": ["GET", "POST"]
    }
    Scheme {
        "description": "How the client is to come back.",
        "type": "string",
        "enum": ["http", "https"]
    }
    Statuses {
        "description": "A status, or a range of them.",
        "type": ["integer", "string"],
        "minimum": 100,
        "maximum": 599,
        "pattern": "^\\s*[1-5][0-9]{2}\\s*(-\\s*[1-5][0-9]{2}\\s*)?$",
        "examples": [200, "200-299"]
    }
    RedirectStatus {
        "description": "A status that sends the client elsewhere (RFC 9110, section 15.4).",
        "type": "integer",
        "enum": REDIRECTS
    }
    Weight {
        "description": "A share, relative to the others.",
        "type": "integer",
        "minimum": 0,
        "maximum": WEIGHT_MAX
    }
}
