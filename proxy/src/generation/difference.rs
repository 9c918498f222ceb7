//! What two files differ in, in their own words: `route api: timeouts.read 5s -> 2s`, `upstream blue: + 10.0.0.7:80`.
//!
//! Compared are the effective forms, every default filled in: writing down a default changes nothing, and changing what a
//! route inherits shows at the route.

use serde_json::{Map, Value};

/// What one thing of a section is called.
const NOUNS: [(&str, &str); 5] = [
    ("listeners", "listener"),
    ("upstreams", "upstream"),
    ("filters", "filter"),
    ("routes", "route"),
    ("tests", "test"),
];

/// What is written longer is cut.
const VALUE_MAX: usize = 60;

/// A file in its effective form, and the same with its secrets masked.
#[derive(Debug, Clone, Copy)]
pub struct Side<'f> {
    /// As it is.
    pub plain: &'f Value,
    /// As it may be shown.
    pub shown: &'f Value,
}

/// Every difference, in the order of the new file; what is gone comes where it was.
pub fn changes(before: Side<'_>, after: Side<'_>) -> Vec<String> {
    let (old, new) = without_inherited(before.plain, after.plain);
    let before = Side {
        plain: &old,
        ..before
    };
    let after = Side {
        plain: &new,
        ..after
    };
    let mut changes = Vec::new();
    for section in keys(before.plain, after.plain) {
        let (old, new) = (before.get(&section), after.get(&section));
        match NOUNS.iter().find(|(name, _)| *name == section) {
            Some((_, noun)) => things(noun, old, new, &mut changes),
            None => compare("", &section, old, new, &mut changes),
        }
    }
    changes
}

/// What a route has from its upstream, or an upstream from the file, before and after, changes where it comes from, and is told
/// there alone.
fn without_inherited(before: &Value, after: &Value) -> (Value, Value) {
    let (mut old, mut new) = (before.clone(), after.clone());
    let mut forget = |section: &str, name: &str, group: &str, key: &str| {
        for value in [&mut old, &mut new] {
            let group = value.pointer_mut(&format!("/{section}/{}/{group}", escaped(name)));
            if let Some(group) = group.and_then(Value::as_object_mut) {
                group.shift_remove(key);
            }
        }
    };
    for section in ["routes", "upstreams"] {
        let things = after.get(section).and_then(Value::as_object);
        for (name, thing) in things.into_iter().flatten() {
            let Some(was) = before.get(section).and_then(|things| things.get(name)) else {
                continue;
            };
            for group in ["timeouts", "retry", "limits"] {
                let keys = thing.get(group).and_then(Value::as_object);
                for key in keys.into_iter().flat_map(|keys| keys.keys()) {
                    let inherits = |file: &Value, thing: &Value| {
                        let own = thing.get(group).and_then(|group| group.get(key));
                        own.is_some() && own == above(file, section, thing, group, key)
                    };
                    if inherits(before, was) && inherits(after, thing) {
                        forget(section, name, group, key);
                    }
                }
            }
        }
    }
    (old, new)
}

/// The value that a thing would have if it said nothing.
fn above<'f>(
    file: &'f Value,
    section: &str,
    thing: &Value,
    group: &str,
    key: &str,
) -> Option<&'f Value> {
    let upstream = thing.get("upstream").and_then(Value::as_str);
    let place = match (section, upstream) {
        ("routes", Some(upstream)) if group == "timeouts" => {
            file.get("upstreams")?.get(upstream)?
        }
        ("routes", _) if group == "timeouts" => return None,
        _ => file,
    };
    place.get(group)?.get(key)
}

/// As a JSON pointer names a key (RFC 6901, section 3).
fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

impl<'f> Side<'f> {
    fn get(self, key: &str) -> Option<Self> {
        let plain = self.plain.get(key)?;
        let shown = self.shown.get(key).unwrap_or(&Value::Null);
        Some(Self { plain, shown })
    }

    fn items(self) -> Vec<Self> {
        let plain = self.plain.as_array().into_iter().flatten();
        let shown = self.shown.as_array().into_iter().flatten();
        plain
            .zip(shown)
            .map(|(plain, shown)| Self { plain, shown })
            .collect()
    }
}

/// Things with a name: those that came, went and changed.
fn things(
    noun: &str,
    before: Option<Side<'_>>,
    after: Option<Side<'_>>,
    changes: &mut Vec<String>,
) {
    let empty = Value::Object(Map::new());
    let none = Side {
        plain: &empty,
        shown: &empty,
    };
    let (before, after) = (before.unwrap_or(none), after.unwrap_or(none));
    for name in keys(before.plain, after.plain) {
        match (before.get(&name), after.get(&name)) {
            (None, Some(_)) => changes.push(format!("+ {noun} {name}")),
            (Some(_), None) => changes.push(format!("- {noun} {name}")),
            (old, new) => compare(&format!("{noun} {name}: "), "", old, new, changes),
        }
    }
}

/// `subject` is what is said first, `path` what follows it.
fn compare(
    subject: &str,
    path: &str,
    before: Option<Side<'_>>,
    after: Option<Side<'_>>,
    changes: &mut Vec<String>,
) {
    match (before, after) {
        (Some(old), Some(new)) if old.plain == new.plain => {}
        (Some(old), Some(new)) => match (old.plain, new.plain) {
            (Value::Object(_), Value::Object(_)) if !is_another(old.plain, new.plain) => {
                for key in keys(old.plain, new.plain) {
                    let path = joined(path, &key);
                    compare(subject, &path, old.get(&key), new.get(&key), changes);
                }
            }
            (Value::Array(_), Value::Array(_)) => lists(subject, path, old, new, changes),
            _ => changes.push(changed(subject, path, old.shown, new.shown)),
        },
        (None, Some(new)) if is_nothing(new.plain) => {}
        (Some(old), None) if is_nothing(old.plain) => {}
        (None, Some(new)) => changes.push(format!("{subject}+ {}", said(path, new.shown))),
        (Some(old), None) => changes.push(format!("{subject}- {}", said(path, old.shown))),
        (None, None) => {}
    }
}

/// Two maps with one key each, and not the same: one choice in place of another.
fn is_another(old: &Value, new: &Value) -> bool {
    let only = |value: &Value| match value.as_object() {
        Some(map) if map.len() == 1 => map.keys().next().cloned(),
        _ => None,
    };
    match (only(old), only(new)) {
        (Some(old), Some(new)) => old != new,
        _ => false,
    }
}

/// Items are the same by their address, or else by all that they are.
fn lists(subject: &str, path: &str, old: Side<'_>, new: Side<'_>, changes: &mut Vec<String>) {
    let (before, after) = (old.items(), new.items());
    let noun = match path.rsplit('.').next() {
        // The servers of an upstream are what it is.
        Some("servers") | None => String::new(),
        Some(_) => format!("{path} "),
    };
    let told = changes.len();
    for item in &before {
        if !after.iter().any(|other| same(other.plain, item.plain)) {
            changes.push(format!("{subject}- {noun}{}", item_text(item.shown)));
        }
    }
    for item in &after {
        match before.iter().find(|other| same(other.plain, item.plain)) {
            None => changes.push(format!("{subject}+ {noun}{}", item_text(item.shown))),
            Some(known) if known.plain != item.plain => {
                let subject = format!("{subject}{} ", address(item.plain).unwrap_or_default());
                compare(&subject, "", Some(*known), Some(*item), changes);
            }
            Some(_) => {}
        }
    }
    if changes.len() == told {
        changes.push(format!("{subject}{path} in another order"));
    }
}

fn same(one: &Value, other: &Value) -> bool {
    match (address(one), address(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn address(item: &Value) -> Option<&str> {
    item.get("address").and_then(Value::as_str)
}

/// A server by its address alone, unless there is more to say.
fn item_text(item: &Value) -> String {
    let Some(address) = address(item) else {
        return text(item);
    };
    let usual = [
        ("weight", Value::from(1)),
        ("priority", Value::from(0)),
        ("backup", Value::from(false)),
        ("state", Value::from("serve")),
    ];
    let more = usual.iter().filter_map(|(key, usual)| {
        let value = item.get(key).filter(|value| *value != usual)?;
        Some(format!("{key} {}", text(value)))
    });
    let more: Vec<String> = more.collect();
    match more.is_empty() {
        true => address.to_owned(),
        false => format!("{address} ({})", more.join(", ")),
    }
}

fn changed(subject: &str, path: &str, old: &Value, new: &Value) -> String {
    let space = if path.is_empty() { "" } else { " " };
    let (old, new) = (text(old), text(new));
    if old == new {
        // What differs may not be shown.
        format!("{subject}{path}{space}changed")
    } else {
        format!("{subject}{path}{space}{old} -> {new}")
    }
}

fn said(path: &str, value: &Value) -> String {
    if path.is_empty() {
        text(value)
    } else {
        format!("{path} {}", text(value))
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.values().all(is_nothing),
        _ => false,
    }
}

/// As it would be written on one line.
fn text(value: &Value) -> String {
    let whole = flow(value);
    match whole.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("{}...", whole.get(..at).unwrap_or_default()),
        None => whole,
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.escape_debug().to_string(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[ {} ]", items.join(", "))
        }
        Value::Object(map) => {
            let entries = map.iter().filter(|(_, value)| !is_nothing(value));
            let entries: Vec<String> = entries
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        other => other.to_string(),
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

/// The keys of both, those of the second in its order, the others last.
fn keys(before: &Value, after: &Value) -> Vec<String> {
    let of = |value: &Value| -> Vec<String> {
        let map = value.as_object();
        map.map(|map| map.keys().cloned().collect())
            .unwrap_or_default()
    };
    let mut keys = of(after);
    for key in of(before) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn between(before: &Value, after: &Value) -> Vec<String> {
        let side = |value| Side {
            plain: value,
            shown: value,
        };
        changes(side(before), side(after))
    }

    #[test]
    fn things_come_go_and_change() {
        let before = json!({
            "timeouts": { "read": "60s" },
            "upstreams": {
                "blue": { "servers": [ { "address": "10.0.0.6:80", "weight": 1 }, { "address": "10.0.0.8:80", "weight": 1 } ] },
                "old": {},
            },
            "routes": { "api": { "timeouts": { "read": "5s", "connect": "2s" }, "upstream": "blue" } },
        });
        let after = json!({
            "timeouts": { "read": "30s" },
            "upstreams": {
                "blue": { "servers": [ { "address": "10.0.0.8:80", "weight": 3 }, { "address": "10.0.0.7:80", "weight": 1 } ] },
            },
            "routes": {
                "api": { "timeouts": { "read": "2s", "connect": "2s" }, "split": { "blue": 1 } },
                "site": {},
            },
        });
        assert_eq!(
            between(&before, &after),
            [
                "timeouts.read 60s -> 30s",
                "upstream blue: - 10.0.0.6:80",
                "upstream blue: 10.0.0.8:80 weight 1 -> 3",
                "upstream blue: + 10.0.0.7:80",
                "- upstream old",
                "route api: timeouts.read 5s -> 2s",
                "route api: + split { blue: 1 }",
                "route api: - upstream blue",
                "+ route site",
            ]
        );
        assert!(between(&after, &after).is_empty());
    }

    #[test]
    fn what_is_inherited_is_told_where_it_comes_from() {
        let file = |top: &str, api: &str, route: &str, other: &str| {
            json!({
                "timeouts": { "read": top },
                "upstreams": { "api": { "timeouts": { "read": api } }, "own": { "timeouts": { "read": "9s" } } },
                "routes": {
                    "a": { "upstream": "api", "timeouts": { "read": route } },
                    "b": { "upstream": "own", "timeouts": { "read": other } },
                },
            })
        };
        let before = file("60s", "60s", "60s", "5s");
        assert_eq!(
            between(&before, &file("30s", "30s", "30s", "5s")),
            ["timeouts.read 60s -> 30s"]
        );
        assert_eq!(
            between(&before, &file("60s", "30s", "30s", "4s")),
            [
                "upstream api: timeouts.read 60s -> 30s",
                "route b: timeouts.read 5s -> 4s",
            ]
        );
        assert_eq!(
            between(&before, &file("60s", "60s", "20s", "5s")),
            ["route a: timeouts.read 60s -> 20s"]
        );
    }

    #[test]
    fn lists_choices_and_order() {
        let before = json!({ "routes": { "a": { "filters": [ { "strip_prefix": "/a" }, "tag" ], "host": [ "x", "y" ] } },
            "upstreams": { "u": { "health_check": { "tcp": {} } } } });
        let after = json!({ "routes": { "a": { "filters": [ "tag" ], "host": [ "y", "x" ] } },
            "upstreams": { "u": { "health_check": { "http": { "path": "/" } } } } });
        assert_eq!(
            between(&before, &after),
            [
                "route a: - filters { strip_prefix: /a }",
                "route a: host in another order",
                "upstream u: health_check {  } -> { http: { path: / } }",
            ]
        );
    }

    #[test]
    fn a_secret_changes_and_is_not_told() {
        let (before, after) = (json!({ "a": "one" }), json!({ "a": "two" }));
        let shown = json!({ "a": "***" });
        let side = |plain| Side {
            plain,
            shown: &shown,
        };
        assert_eq!(changes(side(&before), side(&after)), ["a changed"]);
    }
}
