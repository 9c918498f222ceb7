//! A file that may come into effect: read, checked, its tests run, its plan made.

use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use tracing::warn;

use crate::config::{Diagnostic, Report, Source};
use crate::filter::Catalogue;
use crate::generation::difference::{self, Side};
use crate::generation::{Generation, Text};
use crate::snapshot::Plan;
use crate::trial;

/// Where a file comes from.
pub(super) enum Origin {
    /// The file on disk.
    Disk,
    /// This, in its place; what it includes is on disk.
    Text(String),
    /// These, as they were once.
    Kept(Vec<Text>),
}

/// A file that may come into effect.
pub(in crate::server) struct Candidate {
    pub(super) plan: Plan,
    pub(super) files: Vec<Text>,
    pub(super) tests: usize,
    source: Source,
    warnings: Vec<Diagnostic>,
    effective: Value,
    shown: Value,
}

impl Candidate {
    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(super) fn read(path: &Path, origin: &Origin, filters: &Catalogue) -> Result<Self, Report> {
        let loaded = match origin {
            Origin::Disk => Plan::load(path, filters),
            Origin::Text(text) => Plan::load_text(path, text, filters),
            Origin::Kept(files) => {
                let text = files.first().map_or("", |file| file.text.as_str());
                Plan::load_text(path, text, filters)
            }
        };
        let loaded = loaded.and_then(trial::prove)?;
        Ok(Self {
            tests: loaded.file.tests.len(),
            files: vec![Text {
                name: loaded.source.name().to_owned(),
                text: loaded.source.text().to_owned(),
            }],
            effective: Value::Null,
            shown: Value::Null,
            plan: loaded.made,
            source: loaded.source,
            warnings: loaded.warnings,
        })
    }

    /// What it asks for.
    pub(in crate::server) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is probably not meant, in the log.
    pub(super) fn warn(&self) {
        if !self.warnings.is_empty() {
            warn!(
                "{}",
                self.source
                    .render(&self.warnings, crate::config::Colour::Never)
            );
        }
    }

    /// How many things are probably not meant, and how they are told.
    pub(super) fn warnings(&self) -> (usize, String) {
        let told = self
            .source
            .render(&self.warnings, crate::config::Colour::Never);
        (self.warnings.len(), told)
    }

    /// What is different in another one.
    pub(super) fn changes_to(&self, other: &Self) -> Vec<String> {
        difference::changes(self.side(), other.side())
    }

    /// As it may be shown, every default filled in.
    pub(super) fn shown(&self) -> &Value {
        &self.shown
    }

    /// What becomes of it in the history.
    pub(super) fn generation(
        &self,
        number: u64,
        trigger: &str,
        changes: Vec<String>,
    ) -> Generation {
        Generation {
            number,
            since: SystemTime::now(),
            trigger: trigger.to_owned(),
            changes,
            refused: None,
            files: self.files.clone(),
        }
    }

    fn side(&self) -> Side<'_> {
        Side {
            plain: &self.effective,
            shown: &self.shown,
        }
    }
}
