//! What the documentation shows is what the proxy takes: every piece of YAML in the README and at the head of a source file
//! is read as a routing file, completed with what a piece leaves out. Files that `docs/files.md` names are those of an example.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

mod shown;

use tidegate::config::{Diagnostic, code};
use tidegate::filter::Catalogue;
use tidegate::snapshot::Plan;
use tidegate::trial;

use shown::{completed, configurations, pages, pieces, repository, sources};

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
    let mut files = pages();
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

#[test]
fn every_file_that_comes_with_tidegate_is_taken() {
    for path in configurations() {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(&path).expect("a file");
        let folder = path.parent().expect("a folder");
        if let Err(report) = Plan::parse(&name, &text, &|_| None, folder) {
            assert_eq!(report.errors(), 0, "{report}");
        }
    }
}
