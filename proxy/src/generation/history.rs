//! The last twenty generations, on disk: a file each, so that a restart knows what ran, and an operator can go back.
//!
//! What is kept is the text of the routing file and of those that it includes, as they were written: `${NAME}` and
//! `${file:...}` stay what they are, so no secret is kept, and going back does not bring back one that was replaced since.

use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Older ones are forgotten.
const KEPT: usize = 20;

/// A routing file that came into effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts them, over restarts.
    pub number: u64,
    /// When it was taken.
    #[serde(with = "moment")]
    pub since: SystemTime,
    /// What for: `start`, `file changed`.
    pub trigger: String,
    /// What it changed.
    pub changes: Vec<String>,
    /// Why it was taken back, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The routing file, and those that it includes.
    pub files: Vec<Text>,
}

/// A file as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// What it is called.
    pub name: String,
    /// What it says.
    pub text: String,
}

mod moment {
    use std::time::SystemTime;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        moment: &SystemTime,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_seconds(*moment))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<SystemTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(de::Error::custom)
    }
}

/// The last generations, the latest last.
#[derive(Debug, Default)]
pub struct History {
    /// None: in memory only.
    folder: Option<PathBuf>,
    kept: VecDeque<Generation>,
    /// Held for as long as the process runs: two that write into one folder would overwrite what the other keeps.
    _lock: Option<File>,
}

impl History {
    /// Reads what is in the folder, which is made if it is not there. What cannot be read is named and left alone.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn open(folder: &Path) -> io::Result<(Self, Vec<String>)> {
        make_private(folder)?;
        let lock = private_file(&folder.join("lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another process keeps its own there",
            ),
            TryLockError::Error(error) => error,
        })?;
        let mut unreadable = Vec::new();
        let mut kept: Vec<Generation> = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read(&path) {
                Ok(generation) => kept.push(generation),
                Err(error) => unreadable.push(format!("{}: {error}", path.display())),
            }
        }
        kept.sort_by_key(|generation| generation.number);
        let history = Self {
            folder: Some(folder.to_owned()),
            kept: kept.into(),
            _lock: Some(lock),
        };
        Ok((history, unreadable))
    }

    /// All of them, the latest last.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Generation> {
        self.kept.iter()
    }

    /// One of them.
    pub fn get(&self, number: u64) -> Option<&Generation> {
        self.kept.iter().find(|one| one.number == number)
    }

    /// The latest.
    pub fn last(&self) -> Option<&Generation> {
        self.kept.back()
    }

    /// The latest before this one that is another file and was not taken back.
    pub fn good_before(&self, number: u64) -> Option<&Generation> {
        let files = self.get(number).map(|one| &one.files);
        let mut before = self.kept.iter().rev().filter(|one| one.number < number);
        before.find(|one| one.refused.is_none() && Some(&one.files) != files)
    }

    /// The number of the next one.
    pub fn next(&self) -> u64 {
        self.last().map_or(1, |last| last.number + 1)
    }

    /// Why these files were taken back, if they were the last time that they were taken.
    pub fn refused(&self, files: &[Text]) -> Option<&Generation> {
        let mut all = self.kept.iter().rev();
        let found = all.find(|one| one.files == files)?;
        found.refused.is_some().then_some(found)
    }

    /// One more.
    ///
    /// # Errors
    /// It cannot be written; it is known all the same, as long as the process runs.
    pub fn add(&mut self, generation: Generation) -> io::Result<()> {
        let written = self.write(&generation);
        self.kept.push_back(generation);
        while self.kept.len() > KEPT {
            let Some(oldest) = self.kept.pop_front() else {
                break;
            };
            if let Some(path) = self.path(oldest.number) {
                // Whoever took it away was faster.
                let _ = std::fs::remove_file(path);
            }
        }
        written
    }

    /// It was taken back, and so was every other that is the same file.
    ///
    /// # Errors
    /// As for [`History::add`].
    pub fn refuse(&mut self, number: u64, why: &str) -> io::Result<()> {
        let Some(files) = self.get(number).map(|one| one.files.clone()) else {
            return Ok(());
        };
        let same = self.kept.iter_mut().filter(|one| one.files == files);
        let refused: Vec<Generation> = same
            .map(|one| {
                one.refused.get_or_insert_with(|| why.to_owned());
                one.clone()
            })
            .collect();
        refused.iter().try_for_each(|one| self.write(one))
    }

    fn path(&self, number: u64) -> Option<PathBuf> {
        let folder = self.folder.as_ref()?;
        Some(folder.join(format!("{number:08}.json")))
    }

    /// Whole or not at all, for this user only.
    fn write(&self, generation: &Generation) -> io::Result<()> {
        let (Some(path), Some(folder)) = (self.path(generation.number), &self.folder) else {
            return Ok(());
        };
        make_private(folder)?;
        let new = path.with_extension("new");
        let mut file = private_file(&new)?;
        file.write_all(&serde_json::to_vec_pretty(generation)?)?;
        file.sync_all()?;
        std::fs::rename(new, path)
    }
}

fn read(path: &Path) -> io::Result<Generation> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}

fn make_private(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(folder)
}

fn private_file(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn generation(number: u64, text: &str) -> Generation {
        Generation {
            number,
            since: SystemTime::UNIX_EPOCH,
            trigger: "start".to_owned(),
            changes: vec!["+ route a".to_owned()],
            refused: None,
            files: vec![Text {
                name: "tidegate.yaml".to_owned(),
                text: text.to_owned(),
            }],
        }
    }

    #[test]
    fn the_last_twenty_survive_whoever_writes_nonsense_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("a/b");
        let (mut history, _) = History::open(&folder).unwrap();
        for number in 1..=23 {
            history.add(generation(number, "x")).unwrap();
        }
        assert!(History::open(&folder).is_err(), "another one is there");
        drop(history);
        std::fs::write(folder.join("00000024.json"), "{").unwrap();
        std::fs::write(folder.join("00000025.new"), "").unwrap();
        let (again, unreadable) = History::open(&folder).unwrap();
        let numbers: Vec<u64> = again.all().map(|one| one.number).collect();
        assert_eq!(numbers, (4..=23).collect::<Vec<_>>());
        assert_eq!(again.get(23), Some(&generation(23, "x")));
        assert_eq!((again.next(), unreadable.len()), (24, 1));
        assert_eq!(again.get(3), None);
    }

    #[test]
    fn one_that_was_taken_back_is_remembered_until_it_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let (mut history, _) = History::open(folder.path()).unwrap();
        for (number, text) in [(1, "good"), (2, "bad")] {
            history.add(generation(number, text)).unwrap();
        }
        history.refuse(2, "it failed").unwrap();
        drop(history);
        let (mut again, _) = History::open(folder.path()).unwrap();
        let bad = generation(2, "bad").files;
        assert_eq!(again.refused(&bad).map(|one| one.number), Some(2));
        assert_eq!(again.good_before(3).map(|one| one.number), Some(1));
        again.add(generation(3, "bad")).unwrap();
        assert_eq!(again.refused(&bad), None);
        // The same file under another number is no way back, and is taken back with it.
        again.add(generation(4, "bad")).unwrap();
        assert_eq!(again.good_before(4).map(|one| one.number), Some(1));
        again.refuse(4, "it failed again").unwrap();
        assert!(again.all().skip(1).all(|one| one.refused.is_some()));
    }

    #[test]
    fn nobody_else_can_read_them() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("state");
        let (mut history, _) = History::open(&folder).unwrap();
        history.add(generation(1, "x")).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&folder.join("00000001.json")), 0o600);
    }
}
