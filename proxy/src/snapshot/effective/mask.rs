//! What nobody should see who only wants to know what a file says: hashes of passwords, keys that open a door, and whatever
//! text is known to be a secret. What is a secret by its place is told by `places`.

use serde_json::Value;

use crate::config::secrets::SHOWN;
use crate::config::{Secrets, plain};
use crate::snapshot::places::Place;

/// What stands in the place of a secret.
pub const MASK: &str = SHOWN;

/// Puts [`MASK`] in the place of every secret of an effective file, and of every value that has one of `secrets` in it.
pub(super) fn mask(file: &mut Value, secrets: &Secrets) {
    let sections = file.as_object_mut().into_iter().flatten();
    for (section, value) in sections {
        within(value, Place::section(section));
    }
    if !secrets.is_empty() {
        known(file, secrets);
    }
}

fn within(value: &mut Value, place: Place) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| within(item, place)),
        Value::Object(entries) => {
            for (name, value) in entries {
                match place.is_secret(name) {
                    true => hide(value),
                    false => within(value, place.below(name)),
                }
            }
        }
        _ => {}
    }
}

/// Whether something is there at all (`present: true`) is no secret.
fn hide(value: &mut Value) {
    match value {
        Value::String(_) | Value::Number(_) => *value = MASK.into(),
        Value::Array(items) => items.iter_mut().for_each(hide),
        Value::Object(entries) => entries.values_mut().for_each(hide),
        Value::Null | Value::Bool(_) => {}
    }
}

fn known(value: &mut Value, secrets: &Secrets) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| known(item, secrets)),
        Value::Object(entries) => entries.values_mut().for_each(|value| known(value, secrets)),
        Value::String(text) => {
            if secrets.are_in(&plain(text)) {
                *value = MASK.into();
            }
        }
        Value::Number(number) => {
            if secrets.are_in(&number.to_string()) {
                *value = MASK.into();
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn masked(mut value: Value, secrets: &[&str]) -> Value {
        mask(&mut value, &Secrets::of(secrets));
        value
    }

    #[test]
    fn secrets_are_told_by_their_place() {
        let shown = masked(
            json!({
                "filters": {
                    "lab": { "basic_auth": { "realm": "lab", "users": { "anna": "$2y$10$abc" } } },
                    "way": { "request_headers": {
                        "set": { "Authorization": "Basic abc", "X-Api-Key": "k", "X-Auth-Token": "t", "X-Env": "dev" },
                        "add": { "Cookie": ["a=b", "c=d"] },
                        "rename": { "X-Token": "Authorization" },
                        "remove": ["Authorization"]
                    } },
                    "mine": { "gate": { "api_key": "k", "retries": 3, "deep": { "client_secret": "s", "port": 80 } } }
                },
                "routes": {
                    "a": { "match": {
                        "header": { "Authorization": [{ "prefix": "Bearer x" }], "X-Env": ["dev"] },
                        "cookie": { "session_token": ["abc"], "token": [{ "present": true }], "beta": ["1"] }
                    } },
                    "b": { "respond": { "headers": { "Set-Cookie": "a=b", "X-A": "1" } } }
                }
            }),
            &[],
        );
        let filters = &shown["filters"];
        assert_eq!(
            filters["lab"]["basic_auth"],
            json!({ "realm": "lab", "users": { "anna": MASK } })
        );
        assert_eq!(
            filters["way"]["request_headers"],
            json!({
                "set": { "Authorization": MASK, "X-Api-Key": MASK, "X-Auth-Token": MASK, "X-Env": "dev" },
                "add": { "Cookie": [MASK, MASK] },
                "rename": { "X-Token": "Authorization" },
                "remove": ["Authorization"]
            })
        );
        assert_eq!(
            filters["mine"]["gate"],
            json!({ "api_key": MASK, "retries": 3, "deep": { "client_secret": MASK, "port": 80 } })
        );
        assert_eq!(
            shown["routes"]["a"]["match"],
            json!({
                "header": { "Authorization": [{ "prefix": MASK }], "X-Env": ["dev"] },
                "cookie": { "session_token": [MASK], "token": [{ "present": true }], "beta": ["1"] }
            })
        );
        assert_eq!(
            shown["routes"]["b"]["respond"]["headers"],
            json!({ "Set-Cookie": MASK, "X-A": "1" })
        );
    }

    #[test]
    fn what_a_test_says_and_expects_is_told_by_the_same_names() {
        let shown = masked(
            json!({ "tests": { "token": {
                "request": { "url": "/", "headers": { "X-Api-Key": "k", "X-A": "1" } },
                "expect": { "route": "a", "request_headers": { "Authorization": "Basic x", "X-A": { "prefix": "1" } } }
            } } }),
            &[],
        );
        let expected = json!({
            "request": { "url": "/", "headers": { "X-Api-Key": MASK, "X-A": "1" } },
            "expect": { "route": "a", "request_headers": { "Authorization": MASK, "X-A": { "prefix": "1" } } }
        });
        assert_eq!(shown["tests"]["token"], expected);
    }

    #[test]
    fn what_cookies_are_signed_with_is_a_secret() {
        let sticky =
            |secret| json!({ "cookie": "shop", "secret": secret, "balance": "round_robin" });
        let file = |secret| json!({ "upstreams": { "shop": { "balance": { "sticky": sticky(secret) } } } });
        assert_eq!(masked(file("abc"), &[]), file(MASK));
    }

    #[test]
    fn what_opens_a_door_is_a_secret_whatever_its_name() {
        let shown = masked(
            json!({ "routes": { "a": { "filters": [
                { "maintenance": { "text": "x", "except": { "cookie": { "operator": ["s3cret"] }, "client": ["10.0.0.0/8"] } } },
                { "maintenance": { "except": { "any": [{ "header": { "X-Pass": ["s"] } }] } } }
            ] } } }),
            &[],
        );
        let filters = &shown["routes"]["a"]["filters"];
        let except = json!({ "cookie": { "operator": [MASK] }, "client": ["10.0.0.0/8"] });
        assert_eq!(filters[0]["maintenance"]["except"], except);
        assert_eq!(
            filters[1]["maintenance"]["except"]["any"][0]["header"]["X-Pass"][0],
            MASK
        );
    }

    #[test]
    fn the_files_own_names_are_no_secrets() {
        let file = json!({
            "upstreams": { "tokens": { "servers": [{ "address": "a:1", "weight": 1 }] } },
            "filters": { "token": "compress" },
            "routes": {
                "password-reset": { "split": { "tokens": 90, "secret": 10 }, "sticky": { "cookie": "token" } },
                "b": { "filters": [{ "rate_limit": { "by": { "header": "Authorization" }, "keys": 5 } }], "upstream": "tokens" }
            }
        });
        assert_eq!(masked(file.clone(), &[]), file);
    }

    #[test]
    fn a_text_that_is_known_to_be_secret_is_masked_wherever_it_is() {
        let file = json!({ "routes": { "a": { "respond": { "text": "the key is hunter2.", "status": 200, "headers": { "X": "h" } } } }, "n": 4711 });
        let shown = masked(file, &["hunter2", "4711"]);
        assert_eq!(
            shown,
            json!({ "routes": { "a": { "respond": { "text": MASK, "status": 200, "headers": { "X": "h" } } } }, "n": MASK })
        );
    }
}
