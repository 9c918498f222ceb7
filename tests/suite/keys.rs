//! No key of the routing file without a test that sees its effect. The keys are read from the sources, so that a new one
//! fails here until it has its test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tidegate_tests::{
    Gateway, Origin, PATIENCE, Wire, all_to_with, eventually, refusing_address, repository,
};
use tokio::io::AsyncWriteExt;

/// A key in a line, as structure and field, and the suite and test that sees what it does.
const SEEN_BY: &str = include_str!("keys.txt");

fn seen_by() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    SEEN_BY.lines().map(|line| {
        let mut words = line.split_whitespace();
        let mut word = || {
            words
                .next()
                .unwrap_or_else(|| panic!("three words: {line}"))
        };
        (word(), word(), word())
    })
}

/// The fields of every structure in the text that is decoded from the file, as `Structure.field`. Those of a component
/// are called after its file, which is its name.
fn keys_in(text: &str, component: Option<&str>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let (mut decoded, mut structure, mut renamed) = (false, None, None);
    for line in text.lines() {
        if line.starts_with("#[derive(") {
            decoded = line.contains("Deserialize");
        } else if let Some(name) = declared(line).filter(|_| decoded) {
            structure = Some(component.unwrap_or(name).to_owned());
        } else if line == "}" {
            (structure, decoded) = (None, false);
        } else if let Some(name) = line.trim().strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if let (Some(structure), Some(field)) = (&structure, field(line)) {
            keys.insert(format!(
                "{structure}.{}",
                renamed.take().unwrap_or(field.to_owned())
            ));
        }
    }
    keys
}

/// The name of the structure that the line begins.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start_matches("pub(super) ");
    let name = line.trim_start_matches("pub ").strip_prefix("struct ")?;
    name.strip_suffix(" {")
}

fn field(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?;
    let (name, _) = line
        .trim_start_matches("pub ")
        .trim_start_matches("pub(super) ")
        .split_once(": ")?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some(name)
}

fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (folder, of_components) in [
        ("config", false),
        ("upstream/health", true),
        ("upstream/balance", true),
        ("upstream/discover", true),
        ("filter", true),
    ] {
        let folder = repository().join("proxy/src").join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
            if of_components {
                let named = keys_in(&text, Some(stem));
                if named.is_empty() && text.contains("Kind::new") {
                    keys.insert(stem.to_owned());
                }
                keys.extend(named);
            } else if !of_components {
                keys.extend(keys_in(&text, None));
            }
        }
    }
    keys
}

#[test]
fn every_key_has_a_test_that_sees_its_effect() {
    let listed: BTreeSet<String> = seen_by().map(|(key, ..)| key.to_owned()).collect();
    let keys = keys();
    let untested: Vec<_> = keys.difference(&listed).collect();
    assert!(
        untested.is_empty(),
        "write a test for {untested:?} and name it here"
    );
    let gone: Vec<_> = listed.difference(&keys).collect();
    assert!(gone.is_empty(), "{gone:?} are no keys any more");
}

#[test]
fn every_test_that_is_named_here_exists() {
    let mut missing = Vec::new();
    for (key, suite, test) in seen_by() {
        let text = text_of(suite);
        if !text.contains(&format!("fn {test}()")) {
            missing.push(format!("{key}: {suite}::{test}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// In a page of `docs/`, in the README, or in a file of `conf/`; the tests that load those see that the examples hold.
#[test]
fn every_key_stands_in_an_example() {
    let mut shown = std::fs::read_to_string(repository().join("README.md")).unwrap_or_default();
    for folder in ["docs", "conf", "conf/examples"] {
        for entry in std::fs::read_dir(repository().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            // The schema has all of them, and shows none.
            if path.extension().is_none_or(|extension| extension != "json") {
                shown += &std::fs::read_to_string(path).unwrap_or_default();
            }
        }
    }
    let keys = keys();
    let missing: Vec<&String> = keys
        .iter()
        .filter(|key| {
            let name = key.rsplit('.').next().unwrap_or(key);
            let is_shown = |before: &str| shown.contains(&format!("{before}{name}:"));
            // One without options may stand alone.
            let is_named = !key.contains('.') && shown.contains(name);
            !is_named && ![" ", "{", "\n", "`"].into_iter().any(is_shown)
        })
        .collect();
    assert!(
        missing.is_empty(),
        "show {missing:?} in docs/ or conf/examples/"
    );
}

/// A suite is a file, or a folder of them.
fn text_of(suite: &str) -> String {
    let place = repository().join("tests/suite").join(suite);
    let mut text = std::fs::read_to_string(place.with_extension("rs")).unwrap_or_default();
    for entry in std::fs::read_dir(place).into_iter().flatten() {
        text += &std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
    }
    text
}

/// The reader of the sources sees what it should.
#[test]
fn keys_are_found_in_sources() {
    let text = "#[derive(Debug, Deserialize)]\n#[serde(deny_unknown_fields)]\npub struct One {\n    /// Words: here.\n    pub first: u8,\n    \
                #[serde(rename = \"match\")]\n    pub matches: u8,\n}\n#[derive(Debug)]\npub struct Two {\n    pub other: u8,\n}\n";
    let found: Vec<String> = keys_in(text, None).into_iter().collect();
    assert_eq!(found, ["One.first", "One.match"]);
    assert_eq!(keys_in(text, Some("c")).len(), 2);
}

#[tokio::test]
async fn an_upstream_says_otherwise_than_the_file() {
    let silent = Origin::hanging().await;
    let servers: Vec<String> = (0..5)
        .map(|_| format!("\"{}\"", refusing_address()))
        .collect();
    let servers = servers.join(", ");
    let gateway = Gateway::start(&format!(
        r#"
timeouts: {{ read: 300ms }}
retry: {{ attempts: 2 }}
upstreams:
  short: {{ servers: [ "{0}" ] }}
  long: {{ servers: [ "{0}" ], timeouts: {{ read: 1500ms }} }}
  twice: {{ servers: [ {servers} ] }}
  often: {{ servers: [ {servers} ], retry: {{ attempts: 4 }} }}
routes:
  short: {{ match: {{ path_prefix: /short }}, upstream: short }}
  long: {{ match: {{ path_prefix: /long }}, upstream: long }}
  twice: {{ match: {{ path_prefix: /twice }}, upstream: twice }}
  often: {{ match: {{ path_prefix: /often }}, upstream: often }}
"#,
        silent.address()
    ))
    .await;
    for (path, at_least, below) in [("/short", 290, 1400), ("/long", 1490, 6000)] {
        let since = Instant::now();
        assert_eq!(gateway.get(path).await.status(), 504);
        let took = since.elapsed().as_millis();
        assert!((at_least..below).contains(&took), "{path}: {took} ms");
    }
    for (path, attempts) in [("/twice", 2), ("/often", 4)] {
        assert_eq!(gateway.get(path).await.status(), 502);
        assert_eq!(gateway.log_line(path).await["attempts"], attempts);
    }
}

#[tokio::test]
async fn an_unused_connection_to_a_server_is_closed() {
    let origin = Origin::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = Gateway::start(&all_to_with(&[origin.address()], "timeouts: { idle: 1s }")).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    let since = Instant::now();
    assert_eq!(origin.open(), 1);
    eventually("it is closed", PATIENCE, async || origin.open() == 0).await;
    let took = since.elapsed();
    assert!((800..5000).contains(&took.as_millis()), "{took:?}");
}

/// Once a piece was not taken in time, the server has the time of an answer to say why; then it is over. Were the piece
/// waited for, nothing would end it.
#[tokio::test]
async fn a_server_that_does_not_take_the_request_is_given_up() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = Gateway::start(&all_to_with(
        &[origin.address()],
        "timeouts: { write: 500ms, read: 1s }",
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST /stuck HTTP/1.1\r\nHost: h\r\nContent-Length: 4294967296\r\n\r\n")
        .await;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async { while let Ok(1..) = wire.stream.write(&piece).await {} };
    let ended = tokio::time::timeout(Duration::from_secs(15), sending).await;
    ended.expect("the request is given up");
    let line = gateway.log_line("/stuck").await;
    assert_eq!(line["failure"], "upstream_timeout", "{line}");
}
