//! `tidegate check`: for people and for programs, by what it writes and by how it ends.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};
use tidegate_tests::{program, repository};

const GOOD: &str = "listeners: { web: { address: \"0.0.0.0:80\" } }
upstreams: { api: { servers: [ \"127.0.0.1:5252\" ], health_check: tcp } }
routes: { api: { upstream: api } }
";

/// Writes a file and asks about it, by its bare name.
fn check(text: &[u8], arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tidegate.yaml"), text).unwrap();
    check_in(folder.path(), arguments)
}

fn check_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(program("tidegate"))
        .args(["check", "-c", "tidegate.yaml"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The exit code, and what a program reads. Nothing is written beside it.
fn verdict(output: &Output) -> (Option<i32>, Value) {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(
        output.stdout.iter().filter(|byte| **byte == b'\n').count(),
        1
    );
    let verdict = serde_json::from_slice(&output.stdout).unwrap();
    (output.status.code(), verdict)
}

#[test]
fn a_good_file_is_ok_in_json() {
    let (code, verdict) = verdict(&check(GOOD.as_bytes(), &["--format", "json"]));
    let want = json!({
        "file": "tidegate.yaml", "ok": true, "errors": 0, "warnings": 0, "diagnostics": [],
        "summary": { "listeners": 1, "upstreams": 1, "routes": 1, "tests": 0 },
    });
    assert_eq!((code, verdict), (Some(0), want));
}

#[test]
fn warnings_refuse_nothing() {
    let text = GOOD.replace("upstream: api", "respond: { text: hi }");
    let (code, verdict) = verdict(&check(text.as_bytes(), &["--format", "json"]));
    assert_eq!(code, Some(0), "{verdict}");
    assert_eq!(
        (&verdict["ok"], &verdict["errors"]),
        (&json!(true), &json!(0))
    );
    let found = verdict["diagnostics"].as_array().unwrap();
    let unused = found.iter().find(|one| one["code"] == "W0501").unwrap();
    assert_eq!(
        (&unused["severity"], &unused["line"]),
        (&json!("warning"), &json!(2))
    );
}

/// What the documentation shows is what is written, key by key.
#[test]
fn a_bad_file_is_told_as_documented() {
    let page = std::fs::read_to_string(repository().join("docs/errors/README.md")).unwrap();
    let shown = page.split("```json\n").nth(1).unwrap();
    let shown: Value = serde_json::from_str(shown.split("```").next().unwrap()).unwrap();
    let bad = GOOD.replace("upstream: api", "upstream: apo");
    let (code, verdict) = verdict(&check(bad.as_bytes(), &["--format", "json"]));
    assert_eq!((code, verdict), (Some(1), shown));
}

#[test]
fn what_is_no_text_or_not_there_is_told_in_the_same_way() {
    let (code, not_text) = verdict(&check(b"listeners: \xff", &["--format", "json"]));
    assert_eq!((code, &not_text["ok"]), (Some(1), &json!(false)));
    let found = &not_text["diagnostics"][0];
    assert_eq!(
        (&found["code"], &found["column"]),
        (&json!("E0102"), &json!(12))
    );

    let folder = tempfile::tempdir().unwrap();
    let (code, missing) = verdict(&check_in(folder.path(), &["--format", "json"]));
    assert_eq!((code, &missing["errors"]), (Some(1), &json!(1)));
    let found = &missing["diagnostics"][0];
    assert_eq!(
        (&found["code"], &found["line"]),
        (&json!("E0101"), &Value::Null)
    );
}

#[test]
fn people_read_the_code_beside_the_message() {
    let bad = GOOD.replace("upstream: api", "upstream: apo");
    for arguments in [&[][..], &["--format", "human"]] {
        let output = check(bad.as_bytes(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("error[E0403]: there is no upstream `apo`\n"),
            "{said}"
        );
        assert!(said.ends_with("error: tidegate.yaml: 1 error\n"), "{said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    }
    let good = check(GOOD.as_bytes(), &[]);
    let said = String::from_utf8_lossy(&good.stdout);
    assert_eq!(
        said,
        "tidegate.yaml: ok (1 listener, 1 upstream, 1 route)\n"
    );
}

#[test]
fn another_format_is_a_mistake_on_the_command_line() {
    let output = check(GOOD.as_bytes(), &["--format", "xml"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
}
