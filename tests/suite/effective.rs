//! What the program says of a file without running it: `tidegate print` and `tidegate schema`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tidegate_tests::{program, repository};

fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate"));
    command.args(arguments).env_remove("TIDEGATE_CONFIG");
    command
}

/// Runs to the end with this input: exit code and what was said on both outputs.
fn said(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    command.stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that does not read its input may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

fn file(folder: &Path, text: &str) -> String {
    let path = folder.join("tidegate.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

#[test]
fn what_is_printed_is_a_file_with_every_default() {
    let folder = tempfile::tempdir().unwrap();
    let text = "listeners: { web: { address: \"127.0.0.1:${PORT}\" } }\nupstreams: { api: { servers: [ \"api:80\" ] } }\n\
                routes: { all: { upstream: api, timeouts: { read: 5s } } }\ntimeouts: { connect: 1s }\n";
    let path = file(folder.path(), text);
    for format in ["yaml", "json"] {
        let mut print = tidegate(&["print", "-c", &path, "--format", format]);
        print.env("PORT", "8080");
        let (code, printed, err) = said(print, "");
        assert_eq!((code, err.as_str()), (Some(0), ""), "{printed}");
        let (code, verdict, err) = said(tidegate(&["check", "-c", "/dev/stdin"]), &printed);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{printed}");
        assert!(
            verdict.contains("ok (1 listener, 1 upstream, 1 route)"),
            "{verdict}"
        );
        if format == "json" {
            let json: Value = serde_json::from_str(&printed).unwrap();
            assert_eq!(json["listeners"]["web"]["address"], "127.0.0.1:8080");
            let timeouts = &json["routes"]["all"]["timeouts"];
            assert_eq!(
                (&timeouts["connect"], &timeouts["read"]),
                (&"1s".into(), &"5s".into())
            );
            assert_eq!(json["upstreams"]["api"]["balance"], "round_robin");
        }
    }
}

#[test]
fn secrets_are_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let text = r#"
listeners: { web: { address: "127.0.0.1:8080" } }
upstreams: { api: { servers: [ "api:80" ] } }
filters:
  staff: { basic_auth: { users: { anna: "$2y$10$eFEuUEw5Z9XPI.azcT4Xv.kCtYhRiFGi/xlEhHi2/x3H1byCSSiQW" } } }
routes:
  all: { match: { header: { X-Access-Token: "${TOKEN}" } }, filters: [ staff, { request_headers: { set: { Authorization: "Bearer ${TOKEN}" } } } ], upstream: api }
"#;
    let path = file(folder.path(), text);
    for format in ["yaml", "json"] {
        let mut print = tidegate(&["print", "-c", &path, "--format", format]);
        print.env("TOKEN", "opensesame");
        let (code, printed, _) = said(print, "");
        assert_eq!(code, Some(0));
        assert!(
            !printed.contains("opensesame") && !printed.contains("$2y$"),
            "{printed}"
        );
        assert_eq!(printed.matches("***").count(), 3, "{printed}");
    }
}

#[test]
fn a_file_that_is_wrong_is_not_printed() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(
        folder.path(),
        "listeners: { web: { address: \"127.0.0.1:1\" } }\nroutes: { a: { upstream: nobody } }\n",
    );
    let (code, printed, err) = said(tidegate(&["print", "-c", &path]), "");
    assert_eq!((code, printed.as_str()), (Some(1), ""));
    assert!(
        err.contains("tidegate.yaml:2:26") && err.contains("nobody"),
        "{err}"
    );
}

#[test]
fn the_schema_is_the_one_that_lies_beside_the_files() {
    let (code, printed, err) = said(tidegate(&["schema"]), "");
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let file = std::fs::read_to_string(repository().join("conf/tidegate.schema.json")).unwrap();
    assert!(
        printed == file,
        "`tidegate schema > conf/tidegate.schema.json`"
    );
    let json: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(
        json["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
}
