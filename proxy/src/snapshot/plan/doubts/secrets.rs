//! Secrets that stand in the file: whoever may read it, or its history, has them. The environment is the place for them.
//!
//! What came from elsewhere is told by how the value was written: `${NAME}` stands in the text of the file in its place.

use super::super::Plan;
use crate::config::document::{Node, Value};
use crate::config::secrets::{is_of_a_secret, tells};
use crate::config::{Component, Diagnostic, Loaded, Source, code};

/// Shorter values, and `true` and `false`, are switches.
const SHORTEST: usize = 4;

pub(super) fn check(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let file = &loaded.file;
    let named = file.filters.iter().map(|(_, filter)| filter);
    let in_place = file.routes.iter().flat_map(|(_, route)| &route.filters);
    for filter in named.chain(in_place) {
        if filter.name.value == "request_headers" {
            fields(filter, &loaded.source, found);
        }
    }
    for (_, upstream) in file.upstreams.iter() {
        let policy = upstream.balance.as_ref();
        let options = policy.and_then(|policy| policy.options.as_ref());
        for (name, value) in options.into_iter().flat_map(Node::entries) {
            let name = name.text().filter(|name| tells(name));
            if let Some(name) = name.filter(|_| is_plain(value, &loaded.source)) {
                found.push(secret(name, value));
            }
        }
    }
}

fn fields(filter: &Component, source: &Source, found: &mut Vec<Diagnostic>) {
    let options = filter.options.as_ref();
    let parts = ["set", "add"].map(|key| options.and_then(|options| options.get(key)));
    for (name, value) in parts.iter().flatten().flat_map(|part| part.entries()) {
        let Some(field) = name.text().filter(|name| is_of_a_secret(name)) else {
            continue;
        };
        let values = match &value.value {
            Value::List(several) => several.as_slice(),
            _ => std::slice::from_ref(value),
        };
        let plain = values.iter().filter(|value| is_plain(value, source));
        found.extend(plain.map(|value| secret(field, value)));
    }
}

/// Whether it stands in the file as it is.
fn is_plain(value: &Node, source: &Source) -> bool {
    let written = source.written(value.span);
    let text = value.text().unwrap_or_default();
    if written.contains("${") {
        has_default(written)
    } else {
        text.len() >= SHORTEST && !matches!(text, "true" | "false")
    }
}

/// Whether a variable in it has a default that is worth something.
fn has_default(written: &str) -> bool {
    let mut variables = written
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'));
    variables.any(|(inner, _)| {
        let default = inner.split_once(":-").map(|(_, default)| default);
        default.is_some_and(|default| default.len() >= SHORTEST)
    })
}

/// The value itself is only shown where it stands.
fn secret(field: &str, value: &Node) -> Diagnostic {
    let variable = field.to_ascii_uppercase().replace('-', "_");
    Diagnostic::warning(
        code::PLAIN_SECRET,
        format!("the secret in `{field}` is written in plain text"),
    )
    .at(value.span)
    .label("known to everyone who can read the file")
    .help(format!(
        "write `\"${{{variable}}}\"` and set this variable where Tidegate is started, or `\"${{file:PATH}}\"` and put it into a file"
    ))
}
