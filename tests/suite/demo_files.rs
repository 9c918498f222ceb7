//! Every routing file that we hand out loads.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tidegate_tests::{program, repository};

/// The files of `conf/`, at any depth. A folder of the examples is one of them, whose other files are its parts, but for that of
/// their secrets.
fn files(folder: &Path) -> Vec<PathBuf> {
    let is_example = folder.parent().is_some_and(|it| it.ends_with("examples"));
    if is_example {
        return vec![folder.join("tidegate.yaml")];
    }
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .filter(|path| !path.ends_with("examples/secrets"))
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

fn check(file: &Path) -> Output {
    Command::new(program("tidegate"))
        .arg("check")
        .arg("-c")
        .arg(file)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn every_file_in_conf_loads() {
    let mut files = files(&repository().join("conf"));
    // For editors; a list that an example watches.
    files.retain(|file| !file.ends_with("tidegate.schema.json") && !file.ends_with("servers.yaml"));
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        assert_eq!(
            file.extension().and_then(|name| name.to_str()),
            Some("yaml"),
            "{}",
            file.display()
        );
        let output = check(&file);
        assert!(
            output.status.success(),
            "{}: {}\n{}",
            file.display(),
            output.status,
            said(&output)
        );
    }
}

/// The parts are taken: without one of them, its file is refused.
#[test]
fn an_example_in_several_files_needs_all_of_them() {
    let example = repository().join("conf/examples/several-files");
    let folder = tempfile::tempdir().unwrap();
    let parts = [
        "tidegate.yaml",
        "upstreams.yaml",
        "routes/api.yaml",
        "routes/site.yaml",
    ];
    std::fs::create_dir(folder.path().join("routes")).unwrap();
    for part in parts {
        std::fs::copy(example.join(part), folder.path().join(part)).unwrap();
    }
    let output = check(&folder.path().join("tidegate.yaml"));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(
        said(&output).contains("routes/api.yaml:8:"),
        "{}",
        said(&output)
    );
}

/// The first test can fail: one letter more in a good file, and it is refused by name and line.
#[test]
fn a_slip_in_the_demo_file_is_found() {
    let good = std::fs::read_to_string(repository().join("conf/tidegate.yaml")).unwrap();
    let bad = good.replace("upstream: frontend", "upstream: frontends");
    assert_ne!(good, bad);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tidegate.yaml");
    std::fs::write(&file, &bad).unwrap();
    let output = check(&file);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let line = 1 + bad
        .lines()
        .position(|line| line.contains("upstream: frontends"))
        .unwrap();
    let place = format!("tidegate.yaml:{line}:");
    assert!(
        said(&output).contains(&place) && said(&output).contains("frontends"),
        "{}",
        said(&output)
    );
}
