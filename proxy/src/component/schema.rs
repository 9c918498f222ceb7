//! JSON Schema of a place where a component is named, from the list of its kinds.

use schemars::SchemaGenerator;
use serde_json::{Map, Value, json};

use super::Kind;

/// What else may stand there as a bare word, besides the kinds that need no options.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bare {
    /// Nothing.
    KindsOnly,
    /// A name that the file gave to a component; this says so.
    Names(&'static str),
}

/// A bare name, or one key with its options.
pub(crate) fn choice<'k, T: 'k>(
    about: &str,
    kinds: impl Iterator<Item = &'k Kind<T>>,
    bare: Bare,
    generator: &mut SchemaGenerator,
) -> Value {
    let mut choices = Vec::new();
    let mut names = Vec::new();
    for kind in kinds {
        let summary = sentence(kind.summary);
        let mut options = (kind.schema)(generator).to_value();
        let may_be_bare = needs_nothing(&options);
        if may_be_bare {
            choices.push(json!({ "description": summary, "const": kind.name }));
            options = without_any(options);
        }
        choices.push(json!({
            "description": summary,
            "type": "object",
            "properties": { kind.name: options },
            "required": [kind.name],
            "additionalProperties": false
        }));
        names.push(kind.name);
    }
    if let Bare::Names(about) = bare {
        choices.push(json!({ "description": about, "type": "string", "pattern": "^[A-Za-z0-9_.-]+$", "not": { "enum": names } }));
    }
    json!({ "description": about, "oneOf": choices })
}

/// In lists of kinds they are parts of a line.
fn sentence(summary: &str) -> String {
    let mut letters = summary.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let end = if summary.ends_with('.') { "" } else { "." };
    first
        .into_iter()
        .chain(letters)
        .chain(end.chars())
        .collect()
}

/// Whether a bare name can stand for it: every option has a default, and none has to be there.
fn needs_nothing(options: &Value) -> bool {
    let is_group = options.get("type").is_some_and(|kind| kind == "object");
    let required = options.get("required").and_then(Value::as_array);
    let is_free = options.get("anyOf").is_none() && options.get("oneOf").is_none();
    is_group && is_free && required.is_none_or(Vec::is_empty)
}

/// Options that may be left out behind the colon.
fn without_any(options: Value) -> Value {
    let Value::Object(mut options) = options else {
        return options;
    };
    let kind = options.get_mut("type");
    kind.into_iter()
        .for_each(|kind| *kind = json!(["null", "object"]));
    Value::Object(Map::from_iter(options))
}
