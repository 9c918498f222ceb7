//! `tidegate schema`, held against files by a validator of others' making.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tidegate --test schema` writes the schema that editors use anew.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod shown;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate::component::{Kind, NoOptions};
use tidegate::filter::{Catalogue, Filter};
use tidegate::snapshot::{Plan, schema, schema_text};

use shown::{completed, configurations, folder, pages, pieces, repository, sources};

const SCHEMA: &str = "conf/tidegate.schema.json";

fn validator() -> Validator {
    jsonschema::draft202012::new(&schema(&Catalogue::default())).expect("a schema")
}

/// By another reader than ours; none if it cannot read it.
fn read(text: &str) -> Option<Value> {
    serde_yaml::from_str(text.trim_start_matches('\u{feff}')).ok()
}

fn complaints(validator: &Validator, value: &Value) -> Vec<String> {
    validator
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}

#[test]
fn the_schema_that_editors_use_is_the_one_that_is_printed() {
    let path = repository().join(SCHEMA);
    let printed = schema_text(&Catalogue::default()).expect("a schema");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &printed).expect("the file");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == printed,
        "{SCHEMA} is not what `tidegate schema` prints: UPDATE_GOLDEN=1 writes it"
    );
}

/// Those that others include, too.
fn parts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            parts(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "yaml") {
            found.push(path);
        }
    }
}

/// By a path that leads there from where the file lies.
#[test]
fn every_file_names_the_schema() {
    let mut files = configurations();
    parts(&repository().join("conf"), &mut files);
    // A list of servers is no routing file.
    files.retain(|path| !path.ends_with("servers.yaml"));
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a file");
        let line = text.lines().next().unwrap_or_default();
        let named = line.strip_prefix("# yaml-language-server: $schema=");
        let named = named.unwrap_or_else(|| panic!("{} begins with {line}", path.display()));
        let target = path.parent().expect("a folder").join(named);
        let is_it = target.canonicalize().ok() == repository().join(SCHEMA).canonicalize().ok();
        assert!(is_it, "{} names {named}", path.display());
    }
}

#[test]
fn it_is_a_schema_that_speaks_of_files() {
    let schema = schema(&Catalogue::default());
    assert!(jsonschema::meta::is_valid(&schema));
    let mut said = Vec::new();
    descriptions(&schema, &mut said);
    assert!(said.len() > 100);
    for text in said {
        for word in [
            "Option",
            "struct",
            "enum",
            "u16",
            "u32",
            "`None`",
            "serde",
            "::",
            "[`",
            "Vec<",
            "default()",
        ] {
            assert!(!text.contains(word), "{text}");
        }
        assert!(text.ends_with(['.', ':']) && !text.contains('\n'), "{text}");
    }
    // Every key of the file says what it is.
    silent(&schema, "#");
}

fn descriptions(value: &Value, said: &mut Vec<String>) {
    match value {
        Value::Object(entries) => {
            said.extend(
                entries
                    .get("description")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            );
            entries.values().for_each(|value| descriptions(value, said));
        }
        Value::Array(items) => items.iter().for_each(|item| descriptions(item, said)),
        _ => {}
    }
}

fn silent(value: &Value, place: &str) {
    match value {
        Value::Object(entries) => {
            let properties = entries.get("properties").and_then(Value::as_object);
            // One key beside others; that of a choice is told about with the choice.
            for (key, property) in properties.into_iter().flatten().filter(|_| {
                entries.contains_key("description") && properties.is_some_and(|all| all.len() > 1)
            }) {
                assert!(property.get("description").is_some(), "{place}: {key}");
            }
            entries
                .iter()
                .for_each(|(key, value)| silent(value, &format!("{place}/{key}")));
        }
        Value::Array(items) => items.iter().for_each(|item| silent(item, place)),
        _ => {}
    }
}

#[test]
fn it_takes_every_file_that_comes_with_tidegate_and_what_is_printed_of_it() {
    let validator = validator();
    for path in configurations() {
        let text = std::fs::read_to_string(&path).expect("a file");
        takes(&validator, &path, &text);
    }
}

/// The file, and its effective form.
fn takes(validator: &Validator, path: &Path, text: &str) {
    let value = read(text).unwrap_or_else(|| panic!("{} is no YAML to others", path.display()));
    let complaints_ = complaints(validator, &value);
    assert!(
        complaints_.is_empty(),
        "{}: {complaints_:#?}\n{text}",
        path.display()
    );
    if let Ok(loaded) = Plan::parse("x", text, &|_| None, Some(&folder(path))) {
        let complaints_ = complaints(validator, loaded.made.effective().value());
        assert!(
            complaints_.is_empty(),
            "{}, printed: {complaints_:#?}",
            path.display()
        );
    }
}

#[test]
fn it_takes_every_piece_that_is_shown() {
    let validator = validator();
    let mut count = 0;
    let mut files = pages();
    sources(&repository().join("proxy/src"), &mut files);
    for page in files {
        for piece in pieces(&page) {
            takes(&validator, &page, &completed(&piece));
            count += 1;
        }
    }
    assert!(count >= 10, "only {count} pieces");
}

#[test]
fn the_environment_may_stand_wherever_a_value_may() {
    let text = r#"
listeners: { w: { address: "${HOST}:${PORT}", protocols: [ "${P}" ], max_connections: "${MOST:-5}" } }
upstreams:
  a: { servers: [ "${A}", { address: "a:${PORT}", weight: "${W}" } ], balance: "${POLICY}", timeouts: { read: "${T}" }, health_check: { http: { path: "${X}", healthy_after: "${N}" } } }
filters: { f: { basic_auth: { forward: "${YES}", file: users } }, g: "${KIND}" }
routes:
  r: { match: { path_prefix: "${BASE}", client: "${NET}", cookie: { a: { present: "${YES}" } } }, filters: [ f, "${FILTER}" ], upstream: a, sticky: "${S}" }
  s: { redirect: { status: "${STATUS}", scheme: "${SCHEME}" }, priority: "${N}" }
"#;
    let text = text.replace(", sticky: \"${S}\"", "");
    let complaints = complaints(&validator(), &read(&text).expect("YAML"));
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Gate {
    /// Who keeps it.
    #[serde(default = "keeper")]
    keeper: String,
}

fn keeper() -> String {
    "nobody".to_owned()
}

impl Filter for Gate {}

#[derive(Debug)]
struct Idle;

impl Filter for Idle {}

/// One with options, and one without.
fn own() -> Catalogue {
    let gate: Kind<Arc<dyn Filter>> = Kind::new::<Gate>("gate", "keeps", |options| {
        Ok(Arc::new(options.decode::<Gate>()?))
    });
    let idle: Kind<Arc<dyn Filter>> =
        Kind::new::<NoOptions>("idle", "does nothing", |_| Ok(Arc::new(Idle)));
    Catalogue::default().with(gate).with(idle)
}

#[test]
fn filters_of_ones_own_are_in_the_schema_and_in_what_is_printed() {
    let validator = jsonschema::draft202012::new(&schema(&own())).expect("a schema");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.yaml");
    let file = |filters: &str| {
        format!(
            "listeners: {{ w: {{ address: '127.0.0.1:1' }} }}\nroutes: {{ r: {{ filters: {filters}, respond: {{ text: x }} }} }}"
        )
    };
    std::fs::write(&path, file("[ gate, idle, { gate: { keeper: me } } ]")).expect("a file");
    let plan = Plan::load(&path, &own()).expect("a plan").made;
    let printed = plan.effective().value();
    let filters = printed.pointer("/routes/r/filters");
    let expected =
        json!([{ "gate": { "keeper": "nobody" } }, "idle", { "gate": { "keeper": "me" } }]);
    assert_eq!(filters, Some(&expected));
    assert!(validator.is_valid(printed));
    for (filters, is_fine) in [
        ("[ gate, idle ]", true),
        ("[ { gate: { keepr: me } } ]", false),
        ("[ { idle: { x: 1 } } ]", false),
        ("[ { gote: {} } ]", false),
    ] {
        let value = read(&file(filters)).expect("YAML");
        assert_eq!(validator.is_valid(&value), is_fine, "{filters}");
    }
}

/// What a schema cannot know, with the files that are broken only so.
const BEYOND: &[(&str, &[&str])] = &[
    (
        "no YAML, or none that every reader takes: the editor says so, and asks no schema",
        &[
            "address-in-brackets",
            "alias-unknown",
            "aliases-explode",
            "anchor-to-itself",
            "backtick",
            "brace-open",
            "brace-open-at-end",
            "bracket-extra",
            "bracket-open",
            "bracket-wrong",
            "colon-in-value",
            "colon-missing",
            "colon-missing-nested",
            "comma-missing",
            "comma-missing-in-brackets",
            "duplicate-key",
            "env-in-braces",
            "escape-unknown",
            "indent-after-value",
            "indent-more",
            "indent-odd",
            "indent-one-space",
            "list-and-keys",
            "list-on-the-line",
            "merge-conflict",
            "merge-conflict-end",
            "merge-conflict-indented",
            "merge-nothing",
            "no-yaml-in-a-filter",
            "no-yaml-in-several-places",
            "no-yaml-in-two-routes",
            "odd-names",
            "quote-open",
            "quote-text-after",
            "quotes-typographic-broken",
            "reserved-character",
            "route-host-star",
            "section-shifted",
            "stray-item",
            "stray-item-deeper",
            "tab",
            "tab-later",
            "too-deep",
            "two-documents",
            "yaml-version",
        ],
    ),
    ("readers pass over tags that they do not know", &["tag"]),
    (
        "what the environment makes of it is known when it is there",
        &["env-bad-value", "env-missing", "value-file", "value-secret"],
    ),
    (
        "a name that leads nowhere: what the names of the file are, the file says",
        &[
            "crlf",
            "number-as-name",
            "tabs-in-values",
            "upstream-none",
            "upstream-unknown",
        ],
    ),
    (
        "two parts of the file that do not go together",
        &["listener-same-address", "server-twice"],
    ),
    (
        "several files: each is read by itself",
        &[
            "anchor-of-another-file",
            "include-another-file",
            "include-broken",
            "include-circle",
            "include-missing",
            "include-names-twice",
            "include-no-folder",
            "include-twice",
        ],
    ),
    (
        "what becomes of a request",
        &["test-fails", "test-request", "test-secret"],
    ),
    ("how many mistakes are shown", &["too-many-mistakes"]),
    (
        "bounds of what is counted in bytes, or over several places",
        &["match-alternatives", "match-path-long"],
    ),
    ("where a server can be", &["server-nowhere"]),
    (
        "what an expression means",
        &["match-expression", "match-path-expression"],
    ),
];

fn broken() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let files = std::fs::read_dir(folder).expect("the folder of cases");
    let files = files.map(|file| file.expect("a case").path());
    let mut cases: Vec<PathBuf> = files
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .collect();
    cases.sort();
    cases
}

/// A new broken file is refused, or stands in the list above.
#[test]
fn it_refuses_whatever_a_schema_can_refuse() {
    let validator = validator();
    let beyond: BTreeSet<&str> = BEYOND
        .iter()
        .flat_map(|(_, cases)| *cases)
        .copied()
        .collect();
    let (mut taken, mut refused) = (BTreeSet::new(), 0);
    for case in broken() {
        let name = case
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name")
            .to_owned();
        let said = std::fs::read_to_string(case.with_extension("txt")).expect("what is said of it");
        let is_wrong = said.lines().any(|line| line.starts_with("error"));
        let text = std::fs::read_to_string(&case).expect("a case");
        let is_taken = match read(&text) {
            Some(value) => validator.is_valid(&value),
            // No editor gets as far as the schema.
            None => true,
        };
        match (is_wrong, is_taken) {
            (true, true) => drop(taken.insert(name)),
            (true, false) => refused += 1,
            (false, is_taken) => assert!(is_taken, "{name} only has warnings"),
        }
    }
    let taken: BTreeSet<&str> = taken.iter().map(String::as_str).collect();
    let new: Vec<_> = taken.difference(&beyond).collect();
    assert!(new.is_empty(), "not refused, and in no group: {new:#?}");
    let gone: Vec<_> = beyond.difference(&taken).collect();
    assert!(gone.is_empty(), "refused by now, or gone: {gone:#?}");
    assert!(refused >= 40, "only {refused} are refused");
}
