//! What an operator may ask of the one who takes edits; the server implements it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::generation::Generation;

/// Takes edits.
#[async_trait]
pub trait Edits: Send + Sync {
    /// What runs, and how the file on disk stands to it.
    async fn state(&self) -> State;
    /// The generations that are kept, the latest last.
    fn generations(&self) -> Vec<Generation>;
    /// What this file would change.
    async fn check(&self, text: String) -> Verdict;
    /// Puts it into effect.
    async fn apply(&self, text: String, will: Will) -> Verdict;
    /// Goes back to a generation, or to the last good one before this.
    async fn roll_back(&self, to: Option<u64>) -> Verdict;
}

/// How much somebody wants an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Will {
    /// It is watched, and taken back if it fails; one that was taken back is refused.
    Wanted,
    /// It comes into effect whatever became of it before, and stays.
    Insisted,
}

/// What runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    /// The routing file.
    pub file: String,
    /// What runs: its number.
    pub generation: u64,
    /// When it was taken.
    pub since: String,
    /// What for.
    pub trigger: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// How the file on disk stands to it.
    pub disk: Disk,
    /// What only a restart can give.
    pub restart_required: Vec<String>,
    /// The file that runs, every default filled in and secrets masked.
    pub effective: Value,
}

/// How the file on disk stands to what runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Disk {
    /// Whether it is what runs.
    pub same: bool,
    /// What it would change.
    pub changes: Vec<String>,
    /// Why it cannot be used, if it cannot.
    pub refused: Option<String>,
}

/// What became of an edit, or would.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it is, or would be, in effect.
    pub ok: bool,
    /// Its number, if it is.
    pub generation: Option<u64>,
    /// What it changes.
    pub changes: Vec<String>,
    /// Tests of its own that it passed.
    pub tests: usize,
    /// What is wrong with it, or, if it is fine, what is probably not meant.
    pub report: String,
}

impl Verdict {
    /// Nothing came of it.
    pub fn refused(report: impl Into<String>) -> Self {
        Self {
            report: report.into(),
            ..Self::default()
        }
    }
}
