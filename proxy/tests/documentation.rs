//! What the documentation shows is what the proxy takes: every piece of YAML in the README and at the head of a source file
//! is read as a routing file, completed with what a piece leaves out. Files that `docs/files.md` names are those of an example.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate::config::{Diagnostic, code};
use tidegate::filter::Catalogue;
use tidegate::snapshot::Plan;
use tidegate::trial;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
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
fn pieces(path: &Path) -> Vec<String> {
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

/// A piece about a part of an upstream is put into one; what a file cannot do without is added.
fn completed(piece: &str) -> String {
    let begins = |key: &str| piece.lines().any(|line| line.starts_with(key));
    let mut whole = piece.to_owned();
    if begins("balance:") || begins("health_check:") {
        whole = piece.lines().map(|line| format!("    {line}\n")).collect();
        whole.insert_str(
            0,
            "upstreams:\n  example:\n    servers: [ \"127.0.0.1:1\" ]\n",
        );
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

/// Where files lie that a piece names.
fn folder(page: &Path) -> PathBuf {
    if page.ends_with("docs/files.md") {
        return repository().join("conf/examples/several-files");
    }
    page.parent().expect("a folder").to_owned()
}

/// What nobody should copy. That a part of a file is not used in it, or not there, is no fault of a piece.
fn doubtful(warnings: &[Diagnostic]) -> Vec<&Diagnostic> {
    let unused = [
        code::NO_ROUTES,
        code::UPSTREAM_UNUSED,
        code::FILTER_UNUSED,
        code::INCLUDES_NOTHING,
    ];
    let doubtful = warnings.iter();
    doubtful.filter(|one| !unused.contains(&one.code)).collect()
}

fn yaml_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of files") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            yaml_files(&path, found);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            found.push(path);
        }
    }
}

#[test]
fn nothing_is_doubtful_in_the_files_that_are_handed_out() {
    let mut files = Vec::new();
    yaml_files(&repository().join("conf"), &mut files);
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a text");
        if !text.contains("listeners:") {
            // A part of another one.
            continue;
        }
        let loaded = Plan::load(&file, &Catalogue::default()).expect("a file that is right");
        let warnings = loaded.warnings;
        assert!(warnings.is_empty(), "{}: {warnings:?}", file.display());
    }
}

#[test]
fn every_piece_of_yaml_that_is_shown_is_taken() {
    let mut files = vec![repository().join("README.md")];
    let pages = std::fs::read_dir(repository().join("docs")).expect("the pages");
    // Those about mistakes show files that are refused: `error_pages` reads them.
    let pages = pages.map(|page| page.expect("a page").path());
    files.extend(pages.filter(|path| path.is_file()));
    sources(&repository().join("proxy/src"), &mut files);
    let mut count = 0;
    for file in files {
        for piece in pieces(&file) {
            let name = file.display().to_string();
            let folder = folder(&file);
            let read = Plan::parse(&name, &completed(&piece), &|_| None, Some(&folder));
            match read.and_then(trial::prove) {
                Ok(loaded) => assert!(
                    doubtful(&loaded.warnings).is_empty(),
                    "{name} shows:\n{piece}\n{:?}",
                    doubtful(&loaded.warnings)
                ),
                Err(report) => {
                    assert_eq!(report.errors(), 0, "{name} shows:\n{piece}\n{report}");
                }
            }
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} pieces found");
}
