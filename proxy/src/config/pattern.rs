//! Patterns for files: `routes/*.yaml`. What is hidden and what editors leave behind is not found.
//!
//! `**` walks folders by itself and follows no link to one, as in bash: links may lead in a circle, and the same file would be
//! found again and again. A link that a name or a `*` stands for is followed.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

/// More than these are too many; who asks says so.
pub(super) const FOUND_MAX: usize = 1_000;

/// `**` walks no more folders than these: whoever writes it too high up waits for a whole disk each time that it is looked at.
const FOLDERS_MAX: usize = 10_000;

/// Any folders.
const FOLDERS: &str = "**";

const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: true,
};

/// Whether a text is one, and not the name of a file.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// The files that it finds from a folder on, by name; one more than [`FOUND_MAX`] at the most.
///
/// # Errors
/// Why it finds nothing that could be used, in a few words.
pub(super) fn find(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, String> {
    Pattern::new(pattern).map_err(|_| unusable(pattern).to_owned())?;
    let (folder, pattern) = match pattern.strip_prefix('/') {
        Some(below) => (Path::new("/"), below),
        None => (folder, pattern),
    };
    let mut folders = BTreeSet::from([folder.to_owned()]);
    let parts: Vec<&str> = pattern.split('/').collect();
    let mut pieces = parts.split(|part| *part == FOLDERS).peekable();
    while let Some(piece) = pieces.next() {
        let piece = piece.join("/");
        if pieces.peek().is_none() {
            return files(&folders, &piece);
        }
        if !piece.is_empty() {
            folders = each(&folders, &piece, FOLDERS_MAX, Path::is_dir)?;
        }
        folders = all_below(folders)?;
    }
    Ok(Vec::new())
}

/// Those that a pattern without `**` finds from any of these folders on.
fn files(folders: &BTreeSet<PathBuf>, pattern: &str) -> Result<Vec<PathBuf>, String> {
    let is_file = |path: &Path| !is_left_behind(path) && path.is_file();
    each(folders, pattern, FOUND_MAX, is_file).map(|found| found.into_iter().collect())
}

/// Those that are due of what it finds, one more than `most` at the most.
fn each(
    folders: &BTreeSet<PathBuf>,
    pattern: &str,
    most: usize,
    is_due: impl Fn(&Path) -> bool,
) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    for folder in folders {
        let paths = glob_with(&below(folder, pattern), OPTIONS);
        for path in paths.map_err(|_| unusable(pattern).to_owned())? {
            let path = match path {
                Ok(path) => path,
                // It went while it was looked at.
                Err(error) if error.error().kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(unreadable(error.path(), error.error())),
            };
            if is_due(&path) {
                found.insert(path);
            }
            if found.len() > most {
                return Ok(found);
            }
        }
    }
    Ok(found)
}

/// These folders and all that lie in them, each once.
fn all_below(folders: BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>, String> {
    let mut found = BTreeSet::new();
    let mut waiting: Vec<PathBuf> = folders.into_iter().collect();
    while let Some(folder) = waiting.pop() {
        if found.len() >= FOLDERS_MAX {
            return Err(format!("`{FOLDERS}` walks more than {FOLDERS_MAX} folders"));
        }
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            // It went away meanwhile.
            Err(why) if why.kind() == ErrorKind::NotFound => continue,
            Err(why) => return Err(unreadable(&folder, &why)),
        };
        for entry in entries {
            let entry = entry.map_err(|why| unreadable(&folder, &why))?;
            let is_hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            // A link to a folder is none.
            if !is_hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                waiting.push(entry.path());
            }
        }
        found.insert(folder);
    }
    Ok(found)
}

fn unreadable(path: &Path, why: &std::io::Error) -> String {
    format!("{}: {}", path.display(), super::reason(why))
}

/// Whether it finds a file of this name, wherever both begin.
pub(super) fn takes(pattern: &str, name: &str) -> bool {
    let takes = |pattern: Pattern| pattern.matches_with(name, OPTIONS);
    !is_left_behind(Path::new(name)) && Pattern::new(pattern).is_ok_and(takes)
}

/// The folder whatever characters its own name has.
fn below(folder: &Path, pattern: &str) -> String {
    let folder = Pattern::escape(&folder.display().to_string());
    format!("{}/{pattern}", folder.trim_end_matches('/'))
}

fn unusable(pattern: &str) -> &'static str {
    if pattern.contains("**") {
        "`**` stands alone between two `/`, for any folders"
    } else {
        "a `[` needs its `]`"
    }
}

/// The folder in which it begins to look.
pub(super) fn beginning(folder: &Path, pattern: &str) -> PathBuf {
    let plain = Path::new(pattern).components();
    let plain = plain.take_while(|part| !is_pattern(&part.as_os_str().to_string_lossy()));
    folder.join(plain.collect::<PathBuf>())
}

/// By an editor, while it writes or before it did.
fn is_left_behind(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(['.', '#']) || name.ends_with('~') || name.ends_with(".swp")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_is_hidden_or_left_behind_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join("odd [name]");
        for path in [
            "b.yaml",
            "a.yaml",
            ".x.yaml",
            "a.yaml~",
            "a.yaml.swp",
            "#a.yaml#",
        ] {
            std::fs::create_dir_all(odd.join("in/.hidden")).unwrap();
            std::fs::write(odd.join(path), "").unwrap();
            std::fs::write(odd.join("in").join(path), "").unwrap();
            std::fs::write(odd.join("in/.hidden").join(path), "").unwrap();
        }
        let found = |pattern: &str| {
            let found = find(&odd, pattern).unwrap();
            let names = found.iter().map(|path| path.strip_prefix(&odd).unwrap());
            names
                .map(|name| name.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(found("*"), ["a.yaml", "b.yaml"]);
        assert_eq!(found("?.yaml"), ["a.yaml", "b.yaml"]);
        assert_eq!(found("*/b*"), ["in/b.yaml"]);
        assert_eq!(found("**/a.*"), ["a.yaml", "in/a.yaml"]);
        assert_eq!(found("../*/b.yaml"), ["../odd [name]/b.yaml"]);
        assert!(found("*.toml").is_empty());
        for wrong in ["a**b", "[a", "**/[a"] {
            assert!(find(&odd, wrong).is_err(), "{wrong}");
        }
        assert_eq!(beginning(&odd, "in/*/x"), odd.join("in"));
        assert_eq!(beginning(&odd, "/etc/*"), Path::new("/etc"));
    }
    /// Each of these is walked in no time; followed, they are ways without end.
    #[test]
    fn links_in_a_circle_are_walked_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("routes/shop/old")).unwrap();
        for path in [
            "routes/a.yaml",
            "routes/shop/b.yaml",
            "routes/shop/old/c.yaml",
        ] {
            std::fs::write(at(path), "").unwrap();
        }
        for link in ["one", "two", "three"] {
            symlink(at("routes"), at("routes/shop").join(link)).unwrap();
            symlink("..", at("routes/shop/old").join(link)).unwrap();
        }
        symlink("shop/b.yaml", at("routes/d.yaml")).unwrap();
        symlink("routes", at("linked")).unwrap();
        let found = |pattern: &str| {
            let found = find(folder.path(), pattern).unwrap();
            let names = found
                .iter()
                .map(|path| path.strip_prefix(folder.path()).unwrap());
            names
                .map(|name| name.display().to_string())
                .collect::<Vec<_>>()
        };
        let all = [
            "routes/a.yaml",
            "routes/d.yaml",
            "routes/shop/b.yaml",
            "routes/shop/old/c.yaml",
        ];
        assert_eq!(found("**/*.yaml"), all);
        assert_eq!(found("routes/**/**/*.yaml"), all);
        assert_eq!(found("**/routes/**/*.yaml"), all);
        assert_eq!(found("**/old/**/c.yaml"), ["routes/shop/old/c.yaml"]);
        // What is named is followed.
        assert_eq!(found("linked/*.yaml"), ["linked/a.yaml", "linked/d.yaml"]);
        assert_eq!(found("linked/**/c.yaml"), ["linked/shop/old/c.yaml"]);
        assert_eq!(found("routes/*/one/a.yaml"), ["routes/shop/one/a.yaml"]);
        let whole = at("**/c.yaml").display().to_string();
        assert_eq!(
            find(Path::new("/nowhere"), &whole).unwrap(),
            [at("routes/shop/old/c.yaml")]
        );
        assert!(found("routes/**").is_empty());
    }
}
