//! Broken routing files and what is said about them, word by word.
//!
//! A case is a file `diagnostics/<case>.yaml`; beside it lies `<case>.txt` with the exact output. A new case is a new
//! file: `UPDATE_GOLDEN=1 cargo test -p tidegate --test diagnostics` writes what is missing. Read what it wrote.

#![expect(clippy::expect_used, reason = "a test that fails may panic")]

use std::path::{Path, PathBuf};

use tidegate::config::Colour;
use tidegate::snapshot::Plan;
use tidegate::trial;

/// The environment of all cases.
fn environment(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".to_owned()),
        "WEIGHT" => Some("3".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let files = std::fs::read_dir(folder).expect("the folder of cases");
    let mut cases: Vec<PathBuf> = files.map(|file| file.expect("a case").path()).collect();
    cases.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "yaml")
    });
    cases.sort();
    cases
}

fn output(case: &Path) -> String {
    let folder = case.parent().expect("a folder");
    let name = case
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let text = std::fs::read(case).expect("the case");
    let text = String::from_utf8(text).expect("text");
    match Plan::parse(&name, &text, &environment, Some(folder)).and_then(trial::prove) {
        Ok(loaded) => format!(
            "{}{name}: ok\n",
            loaded.source.render(&loaded.warnings, Colour::Never)
        ),
        Err(report) => format!("{report}error: {name}: {}\n", report.tally()),
    }
}

#[test]
fn every_broken_file_is_explained() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        let golden = case.with_extension("txt");
        let output = output(&case);
        if update {
            std::fs::write(&golden, &output).expect("the golden file");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != output {
            wrong.push(format!("--- {} now says:\n{output}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Words of the decoder that mean nothing to a reader.
#[test]
fn no_case_speaks_like_a_library() {
    let jargon = [
        "struct",
        "u16",
        "u64",
        "i64",
        "a map",
        "sequence",
        "mapping",
        "serde",
        "newtype",
        "deserializ",
        "token",
        "scalar",
        "simple key",
        "EOF",
    ];
    for case in cases() {
        let output = output(&case);
        let said = output.lines().filter(|line| !line.contains(" | "));
        for line in said {
            assert!(
                !jargon.iter().any(|word| line.contains(word)),
                "{}: {line}",
                case.display()
            );
        }
    }
}

#[test]
fn there_are_enough_of_them_to_be_read_in_a_row() {
    assert!(cases().len() >= 30, "{} cases", cases().len());
}
