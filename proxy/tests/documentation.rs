//! What the documentation shows is what the proxy takes: every piece of YAML in the README and at the head of a source file
//! is read as a routing file, completed with what a piece leaves out.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

mod shown;

use tidegate::snapshot::Plan;

use shown::{completed, configurations, pages, pieces, repository, sources};

#[test]
fn every_piece_of_yaml_that_is_shown_is_taken() {
    let mut files = pages();
    sources(&repository().join("proxy/src"), &mut files);
    let mut count = 0;
    for file in files {
        for piece in pieces(&file) {
            let name = file.display().to_string();
            let folder = file.parent().expect("a folder");
            if let Err(report) = Plan::parse(&name, &completed(&piece), &|_| None, folder) {
                assert_eq!(report.errors(), 0, "{name} shows:\n{piece}\n{report}");
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
