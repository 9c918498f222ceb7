//! What can be plugged in is listed once, in the `mod.rs` of its folder; the files of the folder, the documentation and the
//! examples cannot say otherwise.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate::snapshot::Plan;
use tidegate::{filter, upstream};

/// A folder of things that can be plugged in: what is listed, and its files that are none.
struct Folder {
    path: &'static str,
    listed: Vec<(&'static str, &'static str)>,
    others: &'static [&'static str],
}

fn folders() -> [Folder; 4] {
    [
        Folder {
            path: "filter",
            listed: filter::KINDS
                .iter()
                .map(|kind| (kind.name, kind.summary))
                .collect(),
            others: &["mod", "facts", "fields", "template"],
        },
        Folder {
            path: "upstream/balance",
            listed: upstream::balance::KINDS
                .iter()
                .map(|kind| (kind.name, kind.summary))
                .collect(),
            others: &["mod", "draw"],
        },
        Folder {
            path: "upstream/discover",
            listed: upstream::discover::KINDS
                .iter()
                .map(|kind| (kind.name, kind.summary))
                .collect(),
            others: &["mod", "list"],
        },
        Folder {
            path: "upstream/health",
            listed: upstream::health::KINDS
                .iter()
                .map(|kind| (kind.name, kind.summary))
                .collect(),
            others: &["mod", "pace", "probe", "tests", "watch"],
        },
    ]
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository")
}

fn texts(folder: &str, extension: &str) -> Vec<(PathBuf, String)> {
    let entries = std::fs::read_dir(repository().join(folder)).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a text");
            (path, text)
        })
        .collect()
}

/// Whether a text uses a name where something is plugged in: as a key, alone in a list, or alone after one.
fn uses(text: &str, name: &str) -> bool {
    let code = text.lines().filter_map(|line| line.split('#').next());
    code.flat_map(|line| line.match_indices(name).map(move |(at, _)| (line, at)))
        .any(|(line, at)| {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            let begins = before.is_empty() || before.ends_with([' ', '[', '{', ',']);
            begins && (after.is_empty() || after.starts_with([':', ' ', ',', ']', '}']))
        })
}

#[test]
fn what_is_listed_is_what_is_there() {
    for folder in folders() {
        let listed: BTreeSet<&str> = folder.listed.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            listed.len(),
            folder.listed.len(),
            "{}: listed twice",
            folder.path
        );
        let files = texts(&format!("proxy/src/{}", folder.path), "rs");
        let files: BTreeSet<String> = files
            .iter()
            .filter_map(|(path, _)| path.file_stem()?.to_str().map(str::to_owned))
            .filter(|stem| !folder.others.contains(&stem.as_str()))
            .collect();
        let files: BTreeSet<&str> = files.iter().map(String::as_str).collect();
        assert_eq!(
            files, listed,
            "{}: a file each, of the same name",
            folder.path
        );
    }
}

#[test]
fn everything_says_what_it_does_at_the_head_of_its_file() {
    for folder in folders() {
        for (path, text) in texts(&format!("proxy/src/{}", folder.path), "rs") {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a name");
            if let Some((name, summary)) = folder.listed.iter().find(|(name, _)| *name == stem) {
                assert!(text.contains("//! ```yaml"), "{name} shows no example");
                assert!(
                    !summary.is_empty() && !summary.ends_with('.'),
                    "{name}: {summary}"
                );
            }
        }
    }
}

#[test]
fn every_example_folder_and_page_has_all_of_them() {
    let examples = texts("conf/examples", "yaml");
    let pages = texts("docs", "md");
    for folder in folders() {
        for (name, _) in folder.listed {
            let is_shown =
                |texts: &[(PathBuf, String)]| texts.iter().any(|(_, text)| uses(text, name));
            assert!(
                is_shown(&examples),
                "no file in conf/examples uses `{name}`"
            );
            if folder.path == "filter" {
                assert!(is_shown(&pages), "no page in docs uses `{name}`");
                let heading = format!("`{name}`");
                let has_heading = pages.iter().any(|(_, text)| {
                    let mut headings = text.lines().filter(|line| line.starts_with('#'));
                    headings.any(|line| line.contains(&heading))
                });
                assert!(has_heading, "no page in docs has a heading for `{name}`");
            }
        }
    }
}

/// The documentation shows them in the order of the list.
#[test]
fn the_page_of_the_filters_has_the_order_of_the_list() {
    let page = std::fs::read_to_string(repository().join("docs/filters.md")).expect("the page");
    let headings: Vec<&str> = page
        .lines()
        .filter(|line| line.starts_with("## `"))
        .collect();
    let named: Vec<&str> = headings
        .iter()
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    let listed: Vec<&str> = filter::KINDS.iter().map(|kind| kind.name).collect();
    assert_eq!(named, listed);
}

/// Whoever writes a filter beside `filters` is told so, whichever it is.
#[test]
fn every_filter_is_known_where_it_does_not_belong() {
    for kind in filter::KINDS {
        let name = kind.name;
        let text = format!(
            "listeners: {{ w: {{ address: '127.0.0.1:1' }} }}\nroutes: {{ r: {{ {name}: x, respond: {{ text: x }} }} }}"
        );
        let parsed = Plan::parse("x", &text, &|_| None, None);
        let report = parsed.err().expect("a mistake");
        let told = format!("`{name}` is a filter: write `filters: [ {{ {name}: x }} ]`");
        assert!(report.to_string().contains(&told), "{report}");
    }
}
