//! Each code of a finding has a page in `docs/errors/` that is right: its first file is refused for this and nothing else, its
//! second one is not; and each is said in one of the files in `diagnostics/`.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidegate::component::{Kind, Options};
use tidegate::config::{Code, Diagnostic, Severity, code};
use tidegate::filter::{Catalogue, Filter};
use tidegate::snapshot::Plan;
use tidegate::trial;

/// What no text of a file can show, and why.
const WITHOUT_EXAMPLE: [(Code, &str); 6] = [
    (code::FILE_UNREADABLE, "there is no text"),
    (code::NOT_UTF8, "a page is UTF-8 itself"),
    (code::MORE, "the file would be too long to be read"),
    (code::MORE_WARNINGS, "the file would be too long to be read"),
    (code::REFUSED_BY_FILTER, "the filter is not ours"),
    (code::DOUBTED_BY_FILTER, "the filter is not ours"),
];

fn folder() -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    repository.expect("the repository").join("docs/errors")
}

fn page(code: Code) -> String {
    let path = folder().join(format!("{code}.md"));
    std::fs::read_to_string(path).unwrap_or_else(|why| panic!("{code} has no page: {why}"))
}

/// The texts between ```` ```yaml ```` and ```` ``` ````.
fn pieces(page: &str) -> Vec<&str> {
    let after = page.split("```yaml\n").skip(1);
    after.filter_map(|rest| rest.split("```").next()).collect()
}

/// What is found in a file; nothing else lies beside it, and no variable is set.
fn found(text: &str) -> Vec<Diagnostic> {
    let beside = tempfile::tempdir().expect("an empty folder");
    match Plan::parse("page.yaml", text, &|_| None, Some(beside.path())).and_then(trial::prove) {
        Ok(loaded) => loaded.warnings,
        Err(report) => report.diagnostics,
    }
}

fn errors(found: &[Diagnostic]) -> BTreeSet<String> {
    let errors = found.iter().filter(|one| one.severity == Severity::Error);
    errors.map(|one| one.code.to_string()).collect()
}

fn has_example(code: Code) -> bool {
    !WITHOUT_EXAMPLE.iter().any(|(without, _)| *without == code)
}

#[test]
fn every_page_has_the_title_of_its_code() {
    for code in code::ALL {
        let title = format!("# {code}: {}\n", code.title());
        assert!(page(*code).starts_with(&title), "{code}: not {title}");
    }
}

#[test]
fn the_first_file_of_a_page_shows_the_mistake_and_no_other() {
    for code in code::ALL.iter().copied().filter(|code| has_example(*code)) {
        let page = page(code);
        let [shown, _] = pieces(&page)[..] else {
            panic!("{code}: not two files");
        };
        let found = found(shown);
        assert!(
            found.iter().any(|one| one.code == code),
            "{code}: {found:#?}"
        );
        let mut others = errors(&found);
        others.remove(&code.to_string());
        assert!(others.is_empty(), "{code}: also {others:?}");
    }
}

#[test]
fn the_second_file_of_a_page_mends_it() {
    for code in code::ALL.iter().copied().filter(|code| has_example(*code)) {
        let page = page(code);
        let mended = pieces(&page).get(1).copied().unwrap_or_default();
        let found = found(mended);
        assert_eq!(errors(&found), BTreeSet::new(), "{code}: {found:#?}");
        assert!(found.iter().all(|one| one.code != code), "{code}");
    }
}

#[test]
fn what_cannot_be_shown_is_said_in_words() {
    for (code, why) in WITHOUT_EXAMPLE {
        assert!(pieces(&page(code)).is_empty(), "{code} shows a file: {why}");
    }
}

#[test]
fn no_page_is_without_a_code() {
    for entry in std::fs::read_dir(folder()).expect("the pages") {
        let path = entry.expect("an entry").path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let stem = stem.expect("a name");
        assert!(
            stem == "README" || Code::parse(stem).is_some(),
            "{}: there is no such code",
            path.display()
        );
    }
}

#[test]
fn the_index_has_all_of_them_in_order() {
    let index = std::fs::read_to_string(folder().join("README.md")).expect("the index");
    let rows: Vec<&str> = index
        .lines()
        .filter(|line| line.starts_with("| ["))
        .collect();
    let row = |code: &Code| format!("| [{code}]({code}.md) | {} |", code.title());
    let want: Vec<String> = code::ALL.iter().map(row).collect();
    assert_eq!(rows, want, "the table should be:\n{}", want.join("\n"));
}

#[test]
fn every_code_is_said_in_a_broken_file() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let mut said = String::new();
    for entry in std::fs::read_dir(cases).expect("the cases") {
        let path = entry.expect("a case").path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            said += &std::fs::read_to_string(path).expect("what is said");
        }
    }
    for code in code::ALL {
        let title = match code.severity() {
            Severity::Error => format!("error[{code}]: "),
            Severity::Warning => format!("warning[{code}]: "),
        };
        // What has no place on a page may have one in a file of its own.
        let can_be = [code::MORE, code::NOT_UTF8].contains(code) || has_example(*code);
        assert_eq!(said.contains(&title), can_be, "{title}");
    }
}

/// A filter of one's own, with a type of another library among its options.
const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>("near", "does nothing", build);

struct Near;

impl Filter for Near {}

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    to: IpAddr,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    if written.to.is_unspecified() {
        let doubt = Diagnostic::warning(code::DOUBTED_BY_FILTER, "near to everything");
        options.warn(doubt.at(options.span()));
    }
    Ok(Arc::new(Near))
}

#[test]
fn a_filter_of_ones_own_has_codes_for_what_it_says() {
    let said = |option: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tidegate.yaml");
        let text = format!(
            "listeners: {{ web: {{ address: '0.0.0.0:80' }} }}\n\
             routes: {{ a: {{ filters: [ {{ near: {option} }} ], respond: {{ text: a }} }} }}\n"
        );
        std::fs::write(&path, text).expect("the file");
        let found = match Plan::load(&path, &Catalogue::default().with(KIND)) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.diagnostics,
        };
        found.iter().map(|one| one.code).collect::<Vec<_>>()
    };
    assert_eq!(said("{ to: nowhere }"), [code::REFUSED_BY_FILTER]);
    assert_eq!(said("{ to: 0.0.0.0 }"), [code::DOUBTED_BY_FILTER]);
    assert_eq!(said("{ too: 10.0.0.1 }"), [code::UNKNOWN_KEY]);
    assert_eq!(said("{ to: 10.0.0.1 }"), []);
}
