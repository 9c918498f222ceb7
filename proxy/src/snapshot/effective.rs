//! The file as it is in effect: everything that it leaves out, said; anchors and the environment put in. Two files that are
//! equal here do the same.
//!
//! It is a file again: what [`text`] makes of it can be read. So its texts are as one writes them, `$$` for a `$` that could be
//! taken for something else.

mod mask;
mod yaml;

use std::collections::BTreeMap;

use serde_json::Value;

pub use self::mask::MASK;
use crate::config::{self, File, Secrets};

/// The file as it is in effect.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effective {
    value: Value,
    files: BTreeMap<String, String>,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As people write it.
    Yaml,
    /// The same, for programs.
    Json,
}

impl Effective {
    /// Of a file that leaves nothing out, and the digests of the files that it names.
    pub(super) fn new(completed: &File, files: BTreeMap<String, String>) -> Self {
        let mut value = config::written::said(completed);
        config::escape(&mut value);
        Self { value, files }
    }

    /// Everything, with its secrets: for comparing, not for showing. Keys are in the order of the file; which one comes first
    /// means nothing.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The files that components and answers are read from, by the name that the file gives them, with a digest of what was
    /// in them.
    #[must_use]
    pub fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }

    /// What may be shown: secrets by their place, and whatever has one of `secrets` in it, are [`MASK`].
    #[must_use]
    pub fn masked(&self, secrets: &Secrets) -> Value {
        let mut value = self.value.clone();
        mask::mask(&mut value, secrets);
        value
    }
}

/// An effective value as a file that can be read, unless secrets are masked in it.
///
/// # Errors
/// None that is known of.
pub fn text(value: &Value, format: Format) -> Result<String, String> {
    match format {
        Format::Yaml => yaml::text(value),
        Format::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|error| error.to_string()),
    }
}
