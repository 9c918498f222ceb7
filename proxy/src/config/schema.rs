//! JSON Schema of the routing file, from the types that it is decoded into: their comments are its descriptions.
//!
//! What derives its schema says what it is once it is decoded. That a file may say less (`${PORT}` for a number, a number for
//! a text, nothing for a group of names) is put in at the end, in one place: `lenient`.
//!
//! | file | holds |
//! |---|---|
//! | `quantities` | those that have a unit, and their bounds |
//! | `numbers` | bounds of a number within a text |
//! | `values` | the types that are read in a way of their own |
//! | `places` | what stands where a component is named, and texts that have a form |
//! | `lenient` | what a file may write in place of a value |

mod lenient;
mod numbers;
pub(crate) mod places;
pub(crate) mod quantities;
pub(crate) mod values;

use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::File;

/// Collects the definitions of what it is asked for.
pub(crate) fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12().into_generator()
}

/// The schema of a file in which these are the places where a component is named: the name of its definition, and what may
/// stand there.
pub(crate) fn of_file(generator: SchemaGenerator, places: Vec<(&str, Value)>) -> Value {
    let mut schema = generator.into_root_schema_for::<File>().to_value();
    if let Some(root) = schema.as_object_mut() {
        let about = "Who listens, who answers and which request goes where.";
        let head = [
            ("$schema", root.remove("$schema").unwrap_or_default()),
            ("title", "Tidegate routing file".into()),
            ("description", about.into()),
        ];
        for (at, (key, value)) in head.into_iter().enumerate() {
            root.shift_insert(at, key.to_owned(), value);
        }
        // Another file may say it: this one may include it, or be included.
        root.remove("required");
        let mut definitions = root.remove("$defs").unwrap_or_else(|| json!({}));
        if let Some(definitions) = definitions.as_object_mut() {
            let places = places.into_iter();
            definitions.extend(places.map(|(name, place)| (name.to_owned(), place)));
        }
        root.insert("$defs".to_owned(), sorted(definitions));
    }
    lenient::file(&mut schema);
    schema
}

/// Definitions are found by name; a key that comes or goes moves no other.
fn sorted(definitions: Value) -> Value {
    let Value::Object(definitions) = definitions else {
        return definitions;
    };
    let mut entries: Vec<_> = definitions.into_iter().collect();
    entries.sort_by(|(one, _), (other, _)| one.cmp(other));
    Value::Object(Map::from_iter(entries))
}
