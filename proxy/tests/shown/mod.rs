//! The pieces of YAML that the documentation and the heads of source files show, and the files that lie beside them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
}

pub(crate) fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The text between ```` ```yaml ```` and ```` ``` ````; in a source file, of its `//!` lines only.
pub(crate) fn pieces(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a readable file");
    let is_source = path.extension().is_some_and(|extension| extension == "rs");
    let lines = text.lines().filter_map(|line| {
        let head = line.strip_prefix("//!");
        if is_source {
            head.map(|line| line.strip_prefix(' ').unwrap_or(line))
        } else {
            Some(line)
        }
    });
    let mut pieces = Vec::new();
    let mut piece: Option<String> = None;
    for line in lines {
        match (&mut piece, line.trim()) {
            (None, "```yaml") => piece = Some(String::new()),
            (Some(_), "```") => pieces.extend(piece.take()),
            (Some(text), _) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    pieces
}

/// Keys of an upstream that are shown alone.
const OF_AN_UPSTREAM: [&str; 3] = ["discover:", "balance:", "health_check:"];

/// A piece about a part of an upstream is put into one; what a file cannot do without is added.
pub(crate) fn completed(piece: &str) -> String {
    let begins = |key: &str| piece.lines().any(|line| line.starts_with(key));
    let mut whole = piece.to_owned();
    if OF_AN_UPSTREAM.iter().any(|key| begins(key)) {
        whole = piece.lines().map(|line| format!("    {line}\n")).collect();
        let mut head = "upstreams:\n  example:\n".to_owned();
        if !begins("discover:") {
            head += "    servers: [ \"127.0.0.1:1\" ]\n";
        }
        whole.insert_str(0, &head);
    }
    if begins("filters:")
        && piece
            .lines()
            .any(|line| line.starts_with("  - ") || line.starts_with("filters: ["))
    {
        let indented: String = piece.lines().map(|line| format!("    {line}\n")).collect();
        whole = format!("routes:\n  example:\n{indented}    respond: {{ status: 204 }}\n");
    }
    if !begins("listeners:") {
        whole += "listeners: { example: { address: \"127.0.0.1:1\" } }\n";
    }
    if !begins("upstreams:") && begins("routes:") {
        let after = piece.split("upstream: ").skip(1);
        let named = after.filter_map(|rest| rest.split([' ', '}', '\n', ',']).next());
        let splits = piece.split("split: {").skip(1);
        let splits = splits.filter_map(|rest| rest.split('}').next());
        let arms = splits.flat_map(|arms| arms.split(','));
        let arms = arms.filter_map(|arm| arm.split(':').next()).map(str::trim);
        let names: BTreeSet<&str> = named.chain(arms).collect();
        whole += "upstreams:\n";
        for name in names {
            whole += &format!("  {name}: {{ servers: [ \"127.0.0.1:1\" ] }}\n");
        }
    }
    whole
}

/// The README, and the pages in `docs/`.
pub(crate) fn pages() -> Vec<PathBuf> {
    let mut files = vec![repository().join("README.md")];
    let pages = std::fs::read_dir(repository().join("docs")).expect("the pages");
    // Those about mistakes show files that are refused: `error_pages` reads them.
    let pages = pages.map(|page| page.expect("a page").path());
    files.extend(pages.filter(|path| path.is_file()));
    files
}

/// The routing files that come with Tidegate.
pub(crate) fn configurations() -> Vec<PathBuf> {
    let folders = [
        "conf",
        "conf/compose",
        "conf/examples",
        "conf/examples/several-files",
    ];
    let folders =
        folders.map(|folder| std::fs::read_dir(repository().join(folder)).expect("a folder"));
    let files = folders
        .into_iter()
        .flatten()
        .map(|file| file.expect("a file").path());
    let is_whole = |path: &PathBuf| {
        let text = std::fs::read_to_string(path);
        // What others include has none.
        text.is_ok_and(|text| text.contains("\nlisteners:"))
    };
    let mut files: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml") && is_whole(path))
        .collect();
    files.sort();
    files
}

/// Where files lie that a piece of this page names.
pub(crate) fn folder(page: &Path) -> PathBuf {
    if page.ends_with("docs/files.md") {
        return repository().join("conf/examples/several-files");
    }
    let with_files = [
        "docs/upstreams.md",
        "docs/discovery.md",
        "balance/sticky.rs",
        "discover/etcd.rs",
        "discover/file.rs",
    ];
    if with_files.iter().any(|one| page.ends_with(one)) {
        return repository().join("conf/examples");
    }
    page.parent().expect("a folder").to_owned()
}
