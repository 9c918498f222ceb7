//! What the documentation shows is what the proxy takes: every piece of YAML in the README and at the head of a source file
//! is read as a routing file, completed with what a piece leaves out; what the tool says there (`output`), it says. Files that `docs/files.md` names are those of an example.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

mod output;
mod shown;

use tidegate::config::{Diagnostic, code};
use tidegate::filter::Catalogue;
use tidegate::snapshot::Plan;
use tidegate::trial;

use shown::{completed, configurations, folder, pages, pieces, repository, sources};

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

#[test]
fn nothing_is_doubtful_in_the_files_that_are_handed_out() {
    let files = configurations();
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let loaded = Plan::load(&file, &Catalogue::default()).and_then(trial::prove);
        let warnings = loaded.expect("a file that is right").warnings;
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
