//! Secrets that stand in the file: whoever may read it, or its history, has them. The environment is the place for them.
//!
//! What came from elsewhere is told by how the value was written: `${NAME}` stands in the text of the file in its place.

use super::super::Plan;
use crate::config::document::{Node, Value};
use crate::config::secrets::is_of_a_secret;
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
    let is_filled = source.written(value.span).contains("${");
    let text = value.text().unwrap_or_default();
    !is_filled && text.len() >= SHORTEST && !matches!(text, "true" | "false")
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
        "write `\"${{{variable}}}\"` and set this variable where Tidegate is started"
    ))
}
