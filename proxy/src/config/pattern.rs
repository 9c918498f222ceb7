//! Patterns for files: `routes/*.yaml`. What is hidden and what editors leave behind is not found.

use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern, glob_with};

/// More than these are too many; who asks says so.
pub(super) const FOUND_MAX: usize = 1_000;

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
    let whole = below(folder, pattern);
    let paths = glob_with(&whole, OPTIONS).map_err(|_| unusable(pattern).to_owned())?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            let why = super::reason(error.error());
            format!("{}: {why}", error.path().display())
        })?;
        if !is_left_behind(&path) && path.is_file() {
            found.push(path);
        }
        if found.len() > FOUND_MAX {
            break;
        }
    }
    found.sort();
    Ok(found)
}

/// Whether it finds a file of this name, wherever both begin.
pub(super) fn takes(pattern: &str, name: &str) -> bool {
    let takes = |pattern: Pattern| pattern.matches_with(name, OPTIONS);
    !is_left_behind(Path::new(name)) && Pattern::new(pattern).is_ok_and(takes)
}

/// The folder whatever characters its own name has.
fn below(folder: &Path, pattern: &str) -> String {
    if Path::new(pattern).is_absolute() {
        return pattern.to_owned();
    }
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
        for wrong in ["a**b", "[a"] {
            assert!(find(&odd, wrong).is_err(), "{wrong}");
        }
        assert_eq!(beginning(&odd, "in/*/x"), odd.join("in"));
        assert_eq!(beginning(&odd, "/etc/*"), Path::new("/etc"));
    }
}
