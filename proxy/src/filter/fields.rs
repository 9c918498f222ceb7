//! The fields of a head, as filters change them, and the changes that a file asks for.

use std::sync::Arc;

use http::header::{HeaderName, VARY};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::template::Template;
use crate::component::Options;
use crate::config::{
    Diagnostic, FieldName, NOT_THE_FILES, Named, OneOrMany, Phrase, Spanned, code, field_name,
};

/// The fields of a head.
pub trait Fields {
    /// All of them.
    fn map(&self) -> &HeaderMap;
    /// The first value of a field.
    fn get(&self, name: &HeaderName) -> Option<&HeaderValue>;
    /// All values of a field.
    fn all(&self, name: &HeaderName) -> Vec<HeaderValue>;
    /// In place of all values that it has.
    fn insert(&mut self, name: &HeaderName, value: HeaderValue);
    /// Beside those that it has.
    fn append(&mut self, name: &HeaderName, value: HeaderValue);
    /// All values of it.
    fn remove(&mut self, name: &HeaderName);
}

impl Fields for HeaderMap {
    fn map(&self) -> &HeaderMap {
        self
    }

    fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        Self::get(self, name)
    }

    fn all(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.get_all(name).iter().cloned().collect()
    }

    fn insert(&mut self, name: &HeaderName, value: HeaderValue) {
        Self::insert(self, name.clone(), value);
    }

    fn append(&mut self, name: &HeaderName, value: HeaderValue) {
        Self::append(self, name.clone(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        Self::remove(self, name);
    }
}

/// Says that the answer depends on this field of the request (RFC 9110, section 12.5.5).
pub(super) fn vary(fields: &mut dyn Fields, name: &'static str) {
    let said = fields.all(&VARY);
    let mut words = said
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii);
    if !words.any(|word| word == b"*" || word.eq_ignore_ascii_case(name.as_bytes())) {
        fields.append(&VARY, HeaderValue::from_static(name));
    }
}

/// What a file asks for, in the order in which it is done: `remove`, `rename`, `set`, `add`.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    /// Fields that go.
    remove: Option<OneOrMany<Spanned<String>>>,
    /// Fields that get another name; one that has it already goes.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    rename: Named<Spanned<String>, FieldName>,
    /// Fields that get this value, whatever they had.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    set: Named<Spanned<Phrase>, FieldName>,
    /// Fields that get this value beside those that they have.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    add: Named<OneOrMany<Spanned<Phrase>>, FieldName>,
}

/// Changes, ready to be made.
#[derive(Debug, Clone)]
pub(super) struct Changes(Arc<[Change]>);

#[derive(Debug)]
enum Change {
    Remove(HeaderName),
    Rename(HeaderName, HeaderName),
    Set(HeaderName, Template),
    Add(HeaderName, Template),
}

impl Changes {
    /// Reads them.
    pub(super) fn new(options: &Options) -> Result<Self, Vec<Diagnostic>> {
        let written: Written = options.decode()?;
        let mut reader = Reader::default();
        for name in written.remove.iter().flatten() {
            let name = reader.name(name);
            reader.changes.extend(name.map(Change::Remove));
        }
        for (from, to) in written.rename.iter() {
            let names = (reader.name(from), reader.name(to));
            if let (Some(from), Some(to)) = names {
                reader.changes.push(Change::Rename(from, to));
            }
        }
        for (name, value) in written.set.iter() {
            let change = (reader.name(name), reader.value(value));
            if let (Some(name), Some(value)) = change {
                reader.changes.push(Change::Set(name, value));
            }
        }
        for (name, values) in written.add.iter() {
            for value in values {
                let change = (reader.name(name), reader.value(value));
                if let (Some(name), Some(value)) = change {
                    reader.changes.push(Change::Add(name, value));
                }
            }
        }
        reader.finish(options)
    }

    /// The groups of the route's expression that they ask for.
    pub(super) fn groups(&self) -> Vec<String> {
        let templates = self.0.iter().filter_map(|change| match change {
            Change::Set(_, template) | Change::Add(_, template) => Some(template),
            Change::Remove(_) | Change::Rename(..) => None,
        });
        let groups = templates.flat_map(Template::groups);
        groups.map(str::to_owned).collect()
    }

    /// Makes them.
    pub(super) fn apply(&self, fields: &mut dyn Fields, facts: &Facts<'_>) {
        // A client can put nothing into a value that cannot stand in a field: what cannot is left out.
        let value = |template: &Template| HeaderValue::from_str(&template.value(facts)).ok();
        for change in &*self.0 {
            match change {
                Change::Remove(name) => fields.remove(name),
                Change::Rename(from, to) => {
                    let values = fields.all(from);
                    if !values.is_empty() {
                        fields.remove(from);
                        fields.remove(to);
                    }
                    for value in values {
                        fields.append(to, value);
                    }
                }
                Change::Set(name, template) => match value(template) {
                    Some(value) => fields.insert(name, value),
                    None => fields.remove(name),
                },
                Change::Add(name, template) => {
                    if let Some(value) = value(template) {
                        fields.append(name, value);
                    }
                }
            }
        }
    }
}

/// The name of a field that the file may change.
pub(super) fn name(written: &Spanned<String>) -> Result<HeaderName, Box<Diagnostic>> {
    let name = field_name(written)?;
    if NOT_THE_FILES.contains(&name.as_str()) {
        let message = format!("`{}` is not the file's to change", written.value);
        let problem = Diagnostic::error(code::FIELD_OF_THE_PROXY, message).at(written.span);
        let problem = problem.label("it frames the message, or concerns one connection");
        return Err(Box::new(problem));
    }
    Ok(name)
}

#[derive(Default)]
struct Reader {
    changes: Vec<Change>,
    wrong: Vec<Diagnostic>,
}

impl Reader {
    fn name(&mut self, written: &Spanned<String>) -> Option<HeaderName> {
        let read = name(written);
        read.map_err(|problem| self.wrong.push(*problem)).ok()
    }

    fn value(&mut self, written: &Spanned<Phrase>) -> Option<Template> {
        if HeaderValue::from_str(written).is_err() {
            let message = format!(
                "`{}` cannot be the value of a field",
                written.escape_debug()
            );
            let problem = Diagnostic::error(code::FIELD_VALUE, message).at(written.span);
            self.wrong.push(
                problem.label("no line breaks or other control characters (RFC 9110, section 5.5)"),
            );
            return None;
        }
        Template::new(written)
            .map_err(|problems| self.wrong.extend(problems))
            .ok()
    }

    fn finish(mut self, options: &Options) -> Result<Changes, Vec<Diagnostic>> {
        if self.wrong.is_empty() && self.changes.is_empty() {
            self.wrong.push(
                Diagnostic::error(code::NOTHING_TO_DO, "a filter that changes nothing")
                    .at(options.span())
                    .label("expected one of `set`, `add`, `remove` and `rename`"),
            );
        }
        if self.wrong.is_empty() {
            Ok(Changes(self.changes.into()))
        } else {
            Err(self.wrong)
        }
    }
}
