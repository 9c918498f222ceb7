//! What a load read besides the environment: files, patterns and what they found. A change of any of them is a reason to
//! load again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::folder_of;
use super::{pattern, reason};

/// What was read, and enough of what it held to know when it changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    /// By where they lie.
    files: BTreeMap<PathBuf, Held>,
    /// What they found, by the folder from which they look and how they are written.
    patterns: BTreeMap<(PathBuf, String), Vec<PathBuf>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Held {
    /// What readers know it by.
    name: String,
    /// So many bytes are looked at.
    most: u64,
    /// A digest of them; none if it could not be read.
    digest: Option<u64>,
}

impl Inputs {
    /// Reads one file by itself, and says besides why it cannot be used.
    pub fn of(path: &Path, name: &str, most: usize) -> (Self, Result<Vec<u8>, String>) {
        let mut inputs = Self::default();
        // A pipe would be waited for.
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            let held = Held {
                name: name.to_owned(),
                most: u64::try_from(most).unwrap_or(u64::MAX),
                digest: None,
            };
            inputs.files.insert(path.to_owned(), held);
            return (inputs, Err("it is no regular file".to_owned()));
        }
        let read = inputs.read(path, name, most);
        let read = match read.map_err(|error| reason(&error)) {
            Ok(bytes) if bytes.len() > most => Err(format!("it is larger than {} MiB", most >> 20)),
            read => read,
        };
        (inputs, read)
    }

    /// Reads a file, one byte more than `most` at the most: the excess is noticed, and an endless file ends. The first time
    /// that a file is read counts.
    pub(super) fn read(&mut self, path: &Path, name: &str, most: usize) -> io::Result<Vec<u8>> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let read = read(path, most);
        let kept = read.as_ref().ok().filter(|_| is_file(path));
        let digest = kept.map(|bytes| digest(bytes));
        self.files.entry(path.to_owned()).or_insert_with(|| Held {
            name: name.to_owned(),
            most,
            digest,
        });
        read
    }

    /// The files that a pattern finds now from a folder on, by name.
    pub(super) fn find(&mut self, folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let found = pattern::find(folder, pattern);
        let known = found.clone().unwrap_or_default();
        let key = (folder.to_owned(), pattern.to_owned());
        self.patterns.entry(key).or_insert(known);
        found
    }

    /// What is not as it was when it was read: `routes/api.yaml changed`. Reads all of it again.
    #[must_use]
    pub fn change(&self) -> Option<String> {
        let files = self.files.iter().filter_map(|(path, held)| {
            let now = digest_of(path, held.most);
            let what = match (held.digest, now) {
                (before, now) if before == now => return None,
                (None, Some(_)) => "is there",
                (Some(_), None) => "is gone",
                _ => "changed",
            };
            Some(format!("{} {what}", held.name))
        });
        let patterns = self
            .patterns
            .iter()
            .filter_map(|((folder, pattern), before)| {
                let now = pattern::find(folder, pattern).unwrap_or_default();
                let new = now.iter().find(|file| !before.contains(file));
                let name =
                    |file: &PathBuf| file.file_name().unwrap_or_default().display().to_string();
                match new.map(name) {
                    _ if now == *before => None,
                    Some(new) => Some(format!("{new} is new in {pattern}")),
                    None => Some(format!("{pattern} finds less")),
                }
            });
        files.chain(patterns).next()
    }

    /// A digest of all that is there now: two looks that agree saw the same.
    #[must_use]
    pub fn look(&self) -> u64 {
        let mut all = DefaultHasher::new();
        for (path, held) in &self.files {
            digest_of(path, held.most).hash(&mut all);
        }
        for (folder, pattern) in self.patterns.keys() {
            let found = pattern::find(folder, pattern);
            found.unwrap_or_default().hash(&mut all);
        }
        all.finish()
    }

    /// The folders in which a change shows: those that hold the names and, behind symbolic links, those that hold the files.
    /// Each once, and only those that are there.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<PathBuf> {
        let mut folders = BTreeSet::new();
        let mut add = |folder: &Path| folders.extend(folder.canonicalize());
        for path in self.files.keys() {
            add(folder_of(path));
            if let Ok(real) = path.canonicalize() {
                add(folder_of(&real));
            }
        }
        for ((folder, pattern), found) in &self.patterns {
            add(&pattern::beginning(folder, pattern));
            found.iter().for_each(|file| add(folder_of(file)));
        }
        folders
    }
}

fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn digest_of(path: &Path, most: u64) -> Option<u64> {
    let bytes = is_file(path).then(|| read(path, most).ok()).flatten();
    bytes.map(|bytes| digest(&bytes))
}

/// A pipe that was read once would be waited for.
fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|it| it.is_file())
}

/// Told apart are two states of one file, by nobody who would seek two with one digest.
fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("a.yaml"), "one").unwrap();
        let mut inputs = Inputs::default();
        assert_eq!(inputs.read(&at("a.yaml"), "a.yaml", 9).unwrap(), b"one");
        assert!(inputs.read(&at("b.yaml"), "b.yaml", 9).is_err());
        assert!(inputs.find(folder.path(), "*.yml").unwrap().is_empty());
        assert_eq!(inputs.change(), None);
        let seen = inputs.look();

        std::fs::write(at("c.yml"), "three").unwrap();
        assert_eq!(inputs.change().unwrap(), "c.yml is new in *.yml");
        assert_ne!(inputs.look(), seen);
        std::fs::write(at("b.yaml"), "two").unwrap();
        assert_eq!(inputs.change().unwrap(), "b.yaml is there");
        std::fs::write(at("a.yaml"), "eno").unwrap();
        assert_eq!(inputs.change().unwrap(), "a.yaml changed");
        std::fs::remove_file(at("a.yaml")).unwrap();
        assert_eq!(inputs.change().unwrap(), "a.yaml is gone");
        assert_eq!(inputs.folders().len(), 1);
    }

    #[test]
    fn no_more_is_read_than_allowed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("long");
        std::fs::write(&path, "0123456789").unwrap();
        let mut inputs = Inputs::default();
        assert_eq!(inputs.read(&path, "long", 4).unwrap(), b"01234");
        assert_eq!(inputs.change(), None);
    }
}
