//! What a file may write in place of a value: `${NAME}` for any of them, a number where a text is due, nothing where names with
//! their settings are. And what says more of the code than of the file goes.

use serde_json::{Map, Value, json};

/// The definition of a value that the environment gives.
const ENVIRONMENT: &str = "Environment";

/// A value that has a substitution in it may become anything.
const SUBSTITUTION: &str = r"\$\{";

/// Goes through the whole schema.
pub(super) fn file(schema: &mut Value) {
    within(schema);
    let definition = json!({
        "description": "A value from the environment: `${NAME}`, or `${NAME:-default}`.",
        "type": "string",
        "pattern": SUBSTITUTION
    });
    if let Some(definitions) = schema.get_mut("$defs").and_then(Value::as_object_mut) {
        definitions.insert(ENVIRONMENT.to_owned(), definition);
    }
}

/// A schema, and those within it. The names of keys are none: they are taken as they are written.
fn within(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    without_null(object);
    for key in ["properties", "$defs"] {
        let named = object.get_mut(key).and_then(Value::as_object_mut);
        named.into_iter().flat_map(Map::values_mut).for_each(within);
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        let listed = object.get_mut(key).and_then(Value::as_array_mut);
        listed.into_iter().flatten().for_each(within);
    }
    for key in ["additionalProperties", "items"] {
        object.get_mut(key).into_iter().for_each(within);
    }
    object.shift_remove("format");
    one_line(object);
    one_of_several(object);
    scalar(object);
    if object.contains_key("propertyNames") && !object.contains_key("minProperties") {
        object.insert("type".to_owned(), json!(["null", "object"]));
    }
}

/// A key that has no value is a mistake: nobody writes one to say nothing. What may be left out is given `null` beside its type by
/// the library; where it is meant, it stands first.
fn without_null(schema: &mut Map<String, Value>) {
    if let Some(types) = schema.get_mut("type")
        && let Some(several) = types.as_array_mut()
    {
        if several.last().is_some_and(|last| last == "null") {
            several.pop();
        }
        if let [one] = several.as_slice() {
            *types = one.clone();
        }
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    if schema.get("default").is_some_and(Value::is_null) {
        schema.shift_remove("default");
    }
    let null = json!({ "type": "null" });
    let Some(choices) = schema.get_mut("anyOf").and_then(Value::as_array_mut) else {
        return;
    };
    let before = choices.len();
    choices.retain(|choice| *choice != null);
    if let [Value::Object(only)] = choices.as_slice()
        && before == 2
    {
        let only = only.clone();
        schema.shift_remove("anyOf");
        for (key, value) in only {
            schema.entry(key).or_insert(value);
        }
    }
}

/// Lines of a comment end where the source does.
fn one_line(schema: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

/// A choice among names.
fn one_of_several(schema: &mut Map<String, Value>) {
    let Some(choices) = schema.get_mut("oneOf").and_then(Value::as_array_mut) else {
        return;
    };
    let is_name = |choice: &Value| choice.get("const").is_some_and(Value::is_string);
    // One that takes other words takes this as well.
    let is_open = |choice: &Value| choice.get("pattern").is_some();
    if choices.iter().any(is_name) && !choices.iter().any(is_open) {
        choices.push(environment());
    }
}

fn environment() -> Value {
    json!({ "$ref": format!("#/$defs/{ENVIRONMENT}") })
}

fn scalar(schema: &mut Map<String, Value>) {
    if schema.contains_key("enum") {
        let values = schema.shift_remove("enum");
        let kind = schema.shift_remove("type");
        let mut choice = json!({ "enum": values });
        if let (Some(kind), Some(choice)) = (kind, choice.as_object_mut()) {
            choice.insert("type".to_owned(), kind);
        }
        schema.insert("anyOf".to_owned(), json!([choice, environment()]));
        return;
    }
    if schema.contains_key("const") {
        return;
    }
    if let Some(Value::String(pattern)) = schema.get_mut("pattern") {
        *pattern += &format!("|{SUBSTITUTION}");
        return;
    }
    let kind = schema
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let types = match kind {
        "integer" | "number" | "boolean" => json!([kind, "string"]),
        // Any value is a text, the way it was written.
        "string" => {
            return drop(schema.insert("type".to_owned(), json!(["string", "number", "boolean"])));
        }
        _ => return,
    };
    schema.insert("type".to_owned(), types);
    schema.insert("pattern".to_owned(), SUBSTITUTION.into());
}
