//! What nobody should see who only wants to know what a file says: hashes of passwords, keys that open a door, and whatever
//! text is known to be a secret.
//!
//! What is a secret is told by its place: the value of a field, a cookie or an option whose name says so. The names that the
//! file gives to its own things say nothing: an upstream may be called `tokens`.

use serde_json::Value;

use crate::config::Secrets;
use crate::config::secrets::{SHOWN, is_of_a_secret, tells};

/// What stands in the place of a secret.
pub const MASK: &str = SHOWN;

/// What the entries of a map are called after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Names {
    /// Keys of the file, and options.
    Keys,
    /// Names that the file gives to its own things.
    Own,
    /// Fields and cookies, with their values.
    Fields,
    /// Fields, cookies and parameters that open a door.
    Passes,
    /// Users, with the hashes of their passwords.
    Users,
}

/// Puts [`MASK`] in the place of every secret of an effective file, and of every value that has one of `secrets` in it.
pub(super) fn mask(file: &mut Value, secrets: &Secrets) {
    let sections = file.as_object_mut().into_iter().flatten();
    for (section, value) in sections {
        let names = match section.as_str() {
            "listeners" | "upstreams" | "filters" | "routes" | "tests" => Names::Own,
            _ => Names::Keys,
        };
        within(value, names, false);
    }
    known(file, secrets);
}

/// `is_pass` is whether it lies in something that lets through whoever fulfils it.
fn within(value: &mut Value, names: Names, is_pass: bool) {
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| within(item, names, is_pass)),
        Value::Object(entries) => {
            for (name, value) in entries {
                if is_secret(name, names) {
                    hide(value);
                } else {
                    within(
                        value,
                        inner(name, names, is_pass),
                        is_pass || name == "except",
                    );
                }
            }
        }
        _ => {}
    }
}

/// What the names in the map of this name are.
fn inner(name: &str, names: Names, is_pass: bool) -> Names {
    match (names, name) {
        (Names::Keys, "header" | "cookie" | "query") if is_pass => Names::Passes,
        (Names::Keys, "set" | "add" | "headers" | "header" | "cookie" | "query") => Names::Fields,
        (Names::Keys, "users") => Names::Users,
        (Names::Keys, "rename" | "split") => Names::Own,
        (Names::Fields, _) => Names::Fields,
        _ => Names::Keys,
    }
}

fn is_secret(name: &str, names: Names) -> bool {
    match names {
        Names::Own => false,
        Names::Keys => tells(name),
        Names::Fields => is_of_a_secret(name),
        Names::Passes | Names::Users => true,
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
            if secrets.are_in(text) {
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
