//! The first generation of the process: the file on disk, or, if that is wrong and it was asked for, the last one that was
//! good.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tracing::{error, info, warn};

use super::candidate::{Candidate, Origin};
use crate::config::Inputs;
use crate::filter::Catalogue;
use crate::generation::{Generation, History};
use crate::snapshot::Refusal;

/// What the process starts with.
pub(in crate::server) struct First {
    pub(in crate::server) candidate: Candidate,
    /// What was read of the file on disk.
    pub(in crate::server) inputs: Inputs,
    pub(in crate::server) number: u64,
    pub(in crate::server) history: History,
    /// Why it is not the file on disk.
    pub(in crate::server) refusal: Option<Refusal>,
}

/// Reads the file. `state` is where generations are kept, `last_good` whether an earlier one will do.
///
/// # Errors
/// Everything that is wrong with the file, and that there is no other.
pub(in crate::server) fn first(
    path: &Path,
    state: Option<&PathBuf>,
    last_good: bool,
    filters: &Catalogue,
) -> Result<First, String> {
    let mut history = open(state);
    let read = Candidate::read(path, &Origin::Disk, filters);
    let inputs = match &read {
        Ok(candidate) => candidate.inputs(),
        Err(report) => report.inputs.clone(),
    };
    let read = read.map_err(|report| report.to_string());
    let taken_back = read.as_ref().ok().and_then(|candidate| {
        let one = history.refused(&candidate.files)?;
        Some(format!(
            "generation {} was this file, and was taken back: {}",
            one.number,
            one.refused.as_deref().unwrap_or_default()
        ))
    });
    let wrong = match (&read, &taken_back) {
        (Err(report), _) => Some(report.clone()),
        (Ok(_), Some(why)) if last_good => Some(why.clone()),
        (Ok(_), Some(why)) => {
            warn!("{why}; it runs all the same, since it is the one on disk (see --last-good)");
            None
        }
        (Ok(_), None) => None,
    };
    let (candidate, number, refusal) = match (read, wrong) {
        (Ok(candidate), None) => {
            let changes = last(path, &history, filters)
                .map(|last| last.changes_to(&candidate))
                .unwrap_or_default();
            let number = begin(&mut history, &candidate, changes);
            (candidate, number, None)
        }
        (_, Some(report)) if last_good => {
            let (candidate, number) = good(path, &history, filters)
                .ok_or_else(|| format!("{report}no earlier generation can be used instead"))?;
            error!(
                generation = number,
                "the routing file cannot be used: the last good one runs instead\n{report}"
            );
            let refusal = Refusal {
                since: SystemTime::now(),
                report,
            };
            (candidate, number, Some(refusal))
        }
        (Err(report), _) => return Err(report),
        (Ok(_), Some(report)) => return Err(report),
    };
    candidate.warn();
    Ok(First {
        candidate,
        inputs,
        number,
        history,
        refusal,
    })
}

fn open(state: Option<&PathBuf>) -> History {
    let Some(folder) = state else {
        return History::default();
    };
    match History::open(folder) {
        Ok((history, unreadable)) => {
            for one in unreadable {
                warn!("a generation that cannot be read: {one}");
            }
            info!(folder = %folder.display(), kept = history.all().count(), "generations");
            history
        }
        Err(error) => {
            let folder = folder.display();
            warn!("generations are in memory only: cannot use {folder}: {error}");
            History::default()
        }
    }
}

/// What ran last, if it can still be read.
fn last(path: &Path, history: &History, filters: &Catalogue) -> Option<Candidate> {
    let origin = Origin::Kept(history.last()?.files.clone());
    Candidate::read(path, &origin, filters).ok()
}

/// The same file is the same generation.
fn begin(history: &mut History, candidate: &Candidate, changes: Vec<String>) -> u64 {
    if let Some(last) = history.last()
        && last.files == candidate.files
    {
        return last.number;
    }
    let mut generation: Generation = candidate.generation(history.next(), "start", changes);
    // That it runs again does not make it good.
    let known = history.refused(&candidate.files);
    generation.refused = known.and_then(|one| one.refused.clone());
    let number = generation.number;
    if let Err(error) = history.add(generation) {
        warn!("this generation is not on disk: {error}");
    }
    number
}

/// The latest that was not taken back and can still be read.
fn good(path: &Path, history: &History, filters: &Catalogue) -> Option<(Candidate, u64)> {
    let good = history.all().rev().filter(|one| one.refused.is_none());
    good.into_iter().find_map(|one| {
        let origin = Origin::Kept(one.files.clone());
        match Candidate::read(path, &origin, filters) {
            Ok(candidate) => Some((candidate, one.number)),
            Err(report) => {
                warn!(
                    "generation {} cannot be used any more\n{report}",
                    one.number
                );
                None
            }
        }
    })
}
