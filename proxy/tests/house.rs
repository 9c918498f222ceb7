//! House rules that a compiler does not know (ARCHITECTURE.md, "Invariants").

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

use std::path::{Path, PathBuf};

/// Who may use whom: a room, and the rooms that it knows besides itself. What is not listed knows nobody.
const ARROWS: [(&str, &[&str]); 19] = [
    ("config", &[]),
    ("error", &[]),
    ("generation", &[]),
    ("hash", &[]),
    ("observe", &[]),
    ("patience", &[]),
    ("route", &["config"]),
    ("turns", &[]),
    ("watch", &["config"]),
    ("end", &["hash", "route", "turns"]),
    (
        "filter",
        &["component", "config", "end", "error", "route", "turns"],
    ),
    ("component", &["config"]),
    (
        "upstream",
        &[
            "component",
            "config",
            "hash",
            "patience",
            "route",
            "turns",
            "watch",
        ],
    ),
    (
        "snapshot",
        &[
            "component",
            "config",
            "end",
            "filter",
            "generation",
            "observe",
            "route",
            "upstream",
        ],
    ),
    (
        "flow",
        &[
            "config", "end", "error", "filter", "observe", "route", "snapshot", "turns", "upstream",
        ],
    ),
    (
        "trial",
        &[
            "config", "error", "filter", "flow", "observe", "route", "snapshot", "turns",
            "upstream",
        ],
    ),
    (
        "admin",
        &["config", "generation", "snapshot", "trial", "upstream"],
    ),
    (
        "server",
        &[
            "admin",
            "config",
            "error",
            "filter",
            "flow",
            "generation",
            "observe",
            "patience",
            "snapshot",
            "trial",
            "upstream",
            "watch",
        ],
    ),
    (
        "cli",
        &[
            "admin", "config", "filter", "observe", "server", "snapshot", "trial",
        ],
    ),
];

/// Above this a file has more than one subject.
const LINES_MAX: usize = 500;

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The sources below a folder of the repository: where each is, and what it says.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the repository");
    let mut files = Vec::new();
    rust_files(&root.join(folder), &mut files);
    let named = |path: &PathBuf| {
        let name = path.strip_prefix(root).expect("a file of the repository");
        let text = std::fs::read_to_string(path).expect("a readable file");
        (name.display().to_string(), text)
    };
    files.iter().map(named).collect()
}

/// `upstream` for `proxy/src/upstream/health/http.rs`, `error` for `proxy/src/error.rs`.
fn room(file: &str) -> &str {
    let inner = file.strip_prefix("proxy/src/").unwrap_or(file);
    inner.split(['/', '.']).next().unwrap_or(inner)
}

/// The rooms that a text names after `crate::`, tests and documentation left out.
fn rooms_used(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let after = lines.flat_map(|line| line.split("crate::").skip(1));
    after
        .map(|rest| {
            rest.split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .unwrap_or(rest)
        })
        .collect()
}

#[test]
fn nothing_points_up() {
    for (file, text) in sources("proxy/src") {
        let here = room(&file);
        if ["lib", "main"].contains(&here) {
            continue;
        }
        let known = ARROWS.iter().find(|(name, _)| *name == here);
        let (_, allowed) =
            known.unwrap_or_else(|| panic!("{file}: this room has no place in the plan"));
        for used in rooms_used(&text) {
            assert!(
                used == here || allowed.contains(&used),
                "{file} uses crate::{used}"
            );
        }
    }
}

#[test]
fn only_the_server_implements_pingoras_traits() {
    let traits = [
        "ProxyHttp for",
        "HttpServerApp for",
        "ServerApp for",
        "HealthCheck for",
    ];
    for (file, text) in sources("proxy/src") {
        let implements = traits
            .iter()
            .any(|name| text.contains(&format!("impl {name}")));
        assert!(!implements || room(&file) == "server", "{file}");
    }
}

#[test]
fn config_opens_no_socket_resolves_no_name_and_compiles_no_expression() {
    let forbidden = [
        "tokio",
        "std::net::Tcp",
        "ToSocketAddrs",
        "hickory",
        "Regex::new",
        "pingora",
    ];
    for (file, text) in sources("proxy/src/config") {
        let code = text.split("#[cfg(test)]").next().unwrap_or(&text);
        for word in forbidden {
            assert!(!code.contains(word), "{file} knows of {word}");
        }
    }
}

#[test]
fn features_see_no_session_and_no_socket() {
    for folder in [
        "proxy/src/route",
        "proxy/src/end",
        "proxy/src/filter",
        "proxy/src/upstream/balance",
    ] {
        for (file, text) in sources(folder) {
            for word in ["pingora", "tokio", "Session"] {
                assert!(!text.contains(word), "{file} knows of {word}");
            }
        }
    }
}

#[test]
fn every_file_says_what_it_is_and_has_one_subject() {
    for folder in ["proxy", "api", "frontend", "service", "tests", "fuzz"] {
        for (file, text) in sources(folder) {
            assert!(text.starts_with("//!"), "{file} does not open with `//!`");
            let lines = text.lines().count();
            assert!(lines <= LINES_MAX, "{file} has {lines} lines");
        }
    }
}

#[test]
fn no_room_is_named_after_nothing() {
    for (file, _) in sources("proxy/src") {
        for name in ["utils", "util", "common", "manager", "helpers", "misc"] {
            assert!(!file.split(['/', '.']).any(|part| part == name), "{file}");
        }
    }
}
