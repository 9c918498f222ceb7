//! A file that may come into effect: read, checked, its tests run, its plan made.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::Value;
use tracing::warn;

use crate::config::{Colour, Diagnostic, Inputs, Report, Source, without_dots};
use crate::filter::Catalogue;
use crate::generation::difference::{self, Side};
use crate::generation::{Generation, Text};
use crate::snapshot::Plan;
use crate::trial;

/// More than these in one edit are not told.
const CHANGES_MAX: usize = 100;

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
    inputs: Inputs,
    warnings: Vec<Diagnostic>,
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
            Origin::Text(text) => Plan::load_text(path, text, None, filters),
            Origin::Kept(files) => {
                let text = files.first().map_or("", |file| file.text.as_str());
                Plan::load_text(path, text, Some(included(path, files)), filters)
            }
        };
        let loaded = loaded.and_then(trial::prove)?;
        let shown = loaded.made.effective().masked(loaded.source.secrets());
        Ok(Self {
            shown,
            tests: loaded.file.tests.len(),
            files: texts(path, &loaded.source),
            inputs: loaded.inputs,
            plan: loaded.made,
            source: loaded.source,
            warnings: loaded.warnings,
        })
    }

    /// What was read for it.
    pub(in crate::server) fn inputs(&self) -> Inputs {
        self.inputs.clone()
    }

    /// What it asks for.
    pub(in crate::server) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is probably not meant, in the log.
    pub(super) fn warn(&self) {
        if !self.warnings.is_empty() {
            warn!("{}", self.warnings());
        }
    }

    /// What is probably not meant, as it is told.
    pub(super) fn warnings(&self) -> String {
        self.source.render(&self.warnings, Colour::Never)
    }

    /// Whether another one would change nothing.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.files == other.files && self.plan.effective() == other.plan.effective()
    }

    /// What is different in another one.
    pub(super) fn changes_to(&self, other: &Self) -> Vec<String> {
        let mut changes = difference::changes(self.side(), other.side());
        let (before, after) = (
            self.plan.effective().files(),
            other.plan.effective().files(),
        );
        let named = after
            .iter()
            .filter(|(name, digest)| before.get(*name).is_some_and(|known| known != *digest));
        changes.extend(named.map(|(name, _)| format!("{name} changed")));
        let more = changes.len().saturating_sub(CHANGES_MAX);
        if more > 0 {
            changes.truncate(CHANGES_MAX);
            changes.push(format!("and {more} more"));
        }
        changes
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
            plain: self.plan.effective().value(),
            shown: &self.shown,
        }
    }
}

/// Names are kept as seen from the folder of the routing file: the next start may call that otherwise.
fn texts(path: &Path, source: &Source) -> Vec<Text> {
    let folder = folder_of(path);
    let text = |(name, text): (&str, &str)| {
        let name = without_dots(Path::new(name));
        let name = name.strip_prefix(&folder).unwrap_or(&name);
        Text {
            name: name.display().to_string(),
            text: text.to_owned(),
        }
    };
    source.texts().map(text).collect()
}

/// Names and texts of what was included.
fn included(path: &Path, files: &[Text]) -> HashMap<String, String> {
    let folder = folder_of(path);
    let named = |file: &Text| {
        let name = folder.join(&file.name);
        (name.display().to_string(), file.text.clone())
    };
    files.iter().skip(1).map(named).collect()
}

fn folder_of(path: &Path) -> PathBuf {
    let path = without_dots(path);
    path.parent().map(Path::to_owned).unwrap_or_default()
}
