//! The types that are read in a way of their own.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::numbers::between;
use super::quantities::text;
use crate::config::address::Listen;
use crate::config::named::Name;
use crate::config::test::Parts;
use crate::config::upstream::Full;
use crate::config::{
    ClientAddress, Factor, FieldName, Moment, Named, Network, OneOrMany, Question, Server,
    ServerAddress, Spanned, Switch, Text, ValueMatch,
};

macro_rules! texts {
    ($($type:ident $name:literal $description:literal $pattern:expr, [$($example:literal)*])*) => {$(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn schema_id() -> Cow<'static, str> {
                concat!(module_path!(), "::", $name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                text($description, String::from($pattern), &[$($example),*])
            }
        }
    )*};
}

texts! {
    Factor "Factor" "So much of what is usual, in whole percent from 100 to 1000."
        r"^\s*0*([1-9][0-9]{2}|1000)\s*%\s*$", ["125%" "200%"]
    Moment "Moment" "A moment, or the beginning of a day; the time is that of UTC (RFC 3339)."
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z)?$",
        ["2026-12-01T18:00:00Z" "2026-12-01"]
    Network "Network" "An address or a network."
        r"^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$", ["10.0.0.7" "10.0.0.0/8" "fd00::/8"]
    ClientAddress "ClientAddress" "The address of somebody who asks."
        r"^[0-9A-Fa-f.:]+$", ["192.0.2.7" "2001:db8::7"]
    ServerAddress "ServerAddress" "Host and port. A name stands for every address that it resolves to."
        address(1, &format!(r"\[[0-9A-Fa-f.:]+\]|{}|{NAME}", ipv4())), ["api:5252" "10.0.0.7:80" "[::1]:80"]
    Listen "ListenAddress" "An IP address of this machine and a port."
        address(0, &format!(r"\[[0-9A-Za-z.:%]+\]|{}", ipv4())), ["0.0.0.0:80" "127.0.0.1:8080"]
}

/// Labels with dots between, and not only digits.
const NAME: &str = r"(?![0-9.]+:)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?";

/// Four numbers with dots between.
fn ipv4() -> String {
    let octet = ["25[0-5]", "2[0-4][0-9]", "1[0-9]{2}", "[1-9]?[0-9]"].join("|");
    format!(r"({octet})(\.({octet})){{3}}")
}

fn address(least_port: u128, host: &str) -> String {
    format!("^({host}):{}$", between(least_port, u16::MAX.into()))
}

/// Where it was written is no part of it.
impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// [`OneOrMany`] where an empty list is a mistake: `#[schemars(with = "...")]`, no value has it.
#[derive(Debug)]
pub(crate) struct OneOrMore<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for OneOrMore<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMore_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

/// What may be a name.
pub(crate) trait Names {
    /// As an expression.
    const PATTERN: &'static str;
}

impl Names for Name {
    const PATTERN: &'static str = "^[A-Za-z0-9_.-]+$";
}

impl Names for FieldName {
    const PATTERN: &'static str = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$";
}

impl Names for Text {
    const PATTERN: &'static str = r"^\S";
}

impl<T: JsonSchema, K: Names> JsonSchema for Named<T, K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": generator.subschema_for::<T>(),
            "propertyNames": { "pattern": K::PATTERN }
        })
    }
}

impl<K: JsonSchema> JsonSchema for Switch<K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Switch_{}", K::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let keys = generator.subschema_for::<K>();
        json_schema!({ "anyOf": [{ "type": "boolean" }, keys] })
    }
}

impl JsonSchema for Question {
    fn schema_name() -> Cow<'static, str> {
        "Request".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A request that nobody sends: its first line, or its parts.",
            "anyOf": [
                { "type": "string", "pattern": r"^\s*(\S+\s+)?(/\S*|\*|\S+://\S+)\s*$", "examples": ["GET /api/hello"] },
                Parts::json_schema(generator)
            ]
        })
    }
}

impl JsonSchema for Server {
    fn schema_name() -> Cow<'static, str> {
        "Server".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "One place that answers: host and port, or with a weight.",
            "anyOf": [generator.subschema_for::<ServerAddress>(), Full::json_schema(generator)]
        })
    }
}

impl JsonSchema for ValueMatch {
    fn schema_name() -> Cow<'static, str> {
        "ValueMatch".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let compared = |key: &str, about: &str, mut value: Schema| {
            value.insert("description".to_owned(), about.into());
            json_schema!({
                "type": "object",
                "properties": { key: value },
                "required": [key],
                "additionalProperties": false
            })
        };
        let text = || json_schema!({ "type": "string" });
        json_schema!({
            "description": "What a value has to be: the value itself, or how to compare it.",
            "examples": ["canary", { "prefix": "can" }, { "present": true }],
            "anyOf": [
                { "type": "string" },
                compared("exact", "This.", text()),
                compared("prefix", "It begins like this.", json_schema!({ "type": "string", "minLength": 1 })),
                compared("regex", "An expression for all of it.", text()),
                compared("present", "There is one, or there is none.", json_schema!({ "enum": [true, false, "true", "false"] }))
            ]
        })
    }
}
