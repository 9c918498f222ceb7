//! What `tidegate print` shows is what runs: read again it is the same, and nothing that has a default is left out.
//!
//! `UPDATE_GOLDEN=1 cargo test -p tidegate --test effective` writes what is shown of two files anew. Read what it wrote.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails may panic"
)]

mod shown;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;
use tidegate::config::Secrets;
use tidegate::filter::Catalogue;
use tidegate::snapshot::effective::{Format, text};
use tidegate::snapshot::{Plan, schema};

use shown::{completed, configurations, folder, pages, pieces, repository, sources};

fn plan(name: &str, text: &str, folder: &Path) -> Option<Plan> {
    let loaded = Plan::parse(name, text, &|_| None, Some(folder));
    loaded.ok().map(|loaded| loaded.made)
}

/// Of the filters of all routes: by these the next file's are known to be the same.
fn identities(plan: &Plan) -> Vec<(String, Vec<String>)> {
    let routes = plan.routes.iter().map(|route| {
        let identities = route.filters.iter().map(|one| one.identity.to_string());
        (route.name.clone(), identities.collect())
    });
    routes.collect()
}

/// Printed, read, printed: the same, in both forms. What runs is the same, too.
fn comes_back(name: &str, written: &str, folder: &Path) {
    let first = plan(name, written, folder).expect(name);
    for format in [Format::Yaml, Format::Json] {
        let printed = text(first.effective().value(), format).expect("a text");
        let again = match Plan::parse(name, &printed, &|_| None, Some(folder)) {
            Ok(loaded) => loaded.made,
            Err(report) => {
                assert_eq!(
                    report.errors(),
                    0,
                    "{name} is printed as\n{printed}\n{report}"
                );
                continue;
            }
        };
        assert_eq!(again.effective(), first.effective(), "{name}\n{printed}");
        assert_eq!(again.listeners, first.listeners);
        assert_eq!(again.limits, first.limits);
        assert_eq!(again.shutdown, first.shutdown);
        assert_eq!(again.admin, first.admin);
        let upstreams = again.upstreams.iter().zip(&first.upstreams);
        assert!(
            upstreams.clone().all(|(one, other)| one.same(other)),
            "{name}\n{printed}"
        );
        assert_eq!(upstreams.count(), first.upstreams.len());
        assert_eq!(identities(&again), identities(&first));
    }
}

#[test]
fn every_file_that_comes_with_tidegate_comes_back() {
    for path in configurations() {
        let written = std::fs::read_to_string(&path).expect("a file");
        comes_back(
            &path.display().to_string(),
            &written,
            path.parent().expect("a folder"),
        );
    }
}

/// What was put in, and what `$$` stands for, is text also where a name could stand; in what is printed, too.
#[test]
fn what_looks_like_a_name_and_is_none_comes_back_as_text() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), "a${b}c${client.ip}$\n").expect("a secret");
    let written = r#"
listeners: { w: { address: "127.0.0.1:1" } }
upstreams: { a: { servers: [ "a:1" ] } }
filters:
  named: { response_headers: { add: { X-Route: [ "$${route}", "${route}" ] } } }
routes:
  r:
    match: { not: { header: { X-Name: "$${client.ip}" } } }
    filters:
      - named
      - set_host: "h${file:token}"
      - rewrite: { query: "q=$$5&r=${route}" }
      - request_headers:
          set:
            X-Literal: "$${client.ip}"
            X-Token: "x ${file:token}{route} ${client.ip} $$${route}"
            X-Twice: "$$$${route} $$$$"
    upstream: a
tests:
  nothing is taken for a name:
    request: /
    expect:
      request_headers:
        Host: "ha$${b}c$${client.ip}$"
        X-Literal: "$${client.ip}"
        X-Token: "x a$${b}c$${client.ip}$${route} 127.0.0.1 $r"
        X-Twice: "$$$${route} $$$$"
      path: /?q=$5&r=r
  a name of the file's is one:
    request: { url: /, headers: { X-Name: 127.0.0.1 } }
    expect: { route: r, response_headers: { X-Route: r } }
  one that is put in is none:
    request: { url: /, headers: { X-Name: "$${client.ip}" } }
    expect: { reason: no_route }
"#;
    let proven = |text: &str| {
        let loaded = Plan::parse("x", text, &|_| None, Some(folder.path()));
        match loaded.and_then(tidegate::trial::prove) {
            Ok(loaded) => loaded.made,
            Err(report) => panic!("{text}\n{report}"),
        }
    };
    let plan = proven(written);
    for format in [Format::Yaml, Format::Json] {
        let printed = text(plan.effective().value(), format).expect("a text");
        assert!(printed.contains("$${client.ip}"), "{printed}");
        proven(&printed);
    }
    comes_back("x", written, folder.path());
    let other = written.replacen("X-Literal: \"$$", "X-Literal: \"$", 1);
    let other = other.replace("\n        X-Literal: \"$${client.ip}\"\n", "\n");
    assert_ne!(proven(&other).effective(), plan.effective());
    let shown = plan.effective().masked(&Secrets::default());
    assert_eq!(
        shown.pointer("/routes/r/filters/3/request_headers/set/X-Literal"),
        Some(&"$${client.ip}".into())
    );
}

/// A secret is found in what is printed however it is written there.
#[test]
fn a_secret_that_looks_like_a_name_is_masked() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("token"), "a$${b}c\n").expect("a secret");
    let written = "listeners: { w: { address: '127.0.0.1:1' } }\nupstreams: { a: { servers: [ 'a:1' ] } }\n\
                   routes: { r: { filters: [ { request_headers: { set: { X-A: 'v ${file:token}' } } } ], upstream: a } }";
    let loaded = Plan::parse("x", written, &|_| None, Some(folder.path())).expect("a plan");
    let shown = loaded.made.effective().masked(loaded.source.secrets());
    assert_eq!(
        shown.pointer("/routes/r/filters/0/request_headers/set/X-A"),
        Some(&"***".into())
    );
}

#[test]
fn every_piece_that_is_shown_comes_back() {
    let mut files = pages();
    sources(&repository().join("proxy/src"), &mut files);
    let mut count = 0;
    for file in files {
        let folder = folder(&file);
        for piece in pieces(&file) {
            // What stands in a source file only to show its keys is for `documentation` to read.
            if plan("piece", &completed(&piece), &folder).is_some() {
                comes_back(&file.display().to_string(), &completed(&piece), &folder);
                count += 1;
            }
        }
    }
    assert!(count >= 10, "only {count} pieces");
}

/// Everything that a file can have, with nothing said that has a default.
const MINIMAL: &str = include_str!("effective/minimal.yaml");

const UPSTREAMS: &str = include_str!("effective/upstreams.yaml");

#[test]
fn whatever_has_a_default_is_printed_with_it() {
    let folder = repository().join("proxy/tests/effective");
    let plan = plan("minimal.yaml", MINIMAL, &folder).expect("a plan");
    let schema = schema(&Catalogue::default());
    let mut seen = BTreeSet::new();
    defaults_of(&schema, &schema, plan.effective().value(), "", &mut seen);
    let mut known = BTreeSet::new();
    defaults_in(&schema, "#", &mut known);
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    let unseen: Vec<_> = known.difference(&seen).collect();
    assert!(
        unseen.is_empty(),
        "not in effective/minimal.yaml: {unseen:#?}"
    );
    assert!(known.len() > 40, "{known:#?}");
}

/// What is printed of an upstream, its components aside, is what the plan holds: no key is read and forgotten.
#[test]
fn whatever_is_written_of_an_upstream_is_in_the_plan() {
    let written: Value = serde_yaml::from_str(UPSTREAMS).expect("a file");
    let schema = schema(&Catalogue::default());
    let written = written.get("upstreams").expect("upstreams");
    let all = written.as_object().into_iter().flatten();
    let upstreams: Vec<&Value> = all.map(|(_, upstream)| upstream).collect();
    let mut left_out = Vec::new();
    all_of(
        &schema,
        schema.pointer("/$defs/Upstream").expect("upstreams"),
        &upstreams,
        "",
        &mut left_out,
    );
    assert!(
        left_out.is_empty(),
        "not in effective/upstreams.yaml: {left_out:#?}"
    );

    let folder = repository().join("proxy/tests/effective");
    let plan = plan("upstreams.yaml", UPSTREAMS, &folder).expect("a plan");
    let printed = plan.effective().value().pointer("/upstreams");
    holds(printed, written, "upstreams");
}

/// Goes through the schema with all that is written beside it: every key has to be there, with another value than its default.
fn all_of(
    root: &Value,
    schema: &Value,
    written: &[&Value],
    place: &str,
    left_out: &mut Vec<String>,
) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#')).expect(target);
        all_of(root, target, written, place, left_out);
    }
    for key in ["anyOf", "oneOf"] {
        let choices = schema.get(key).and_then(Value::as_array);
        for choice in choices.into_iter().flatten() {
            all_of(root, choice, written, place, left_out);
        }
    }
    if let Some(items) = schema.get("items") {
        let written: Vec<&Value> = written
            .iter()
            .filter_map(|it| it.as_array())
            .flatten()
            .collect();
        all_of(root, items, &written, place, left_out);
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        // Components are built from their own options, and tested by what they do.
        if ["discover", "balance", "health_check"].contains(&key.as_str()) {
            continue;
        }
        let place = format!("{place}.{key}");
        let values: Vec<&Value> = written.iter().filter_map(|it| it.get(key)).collect();
        if values
            .iter()
            .all(|value| Some(*value) == property.get("default"))
        {
            left_out.push(place);
            continue;
        }
        all_of(root, property, &values, &place, left_out);
    }
}

/// Whatever is written is printed, with the same value.
fn holds(printed: Option<&Value>, written: &Value, place: &str) {
    match written {
        Value::Object(entries) => {
            for (key, value) in entries {
                let printed = printed.and_then(|it| it.get(key));
                holds(printed, value, &format!("{place}.{key}"));
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let printed = printed.and_then(|it| it.get(at));
                holds(printed, item, &format!("{place}[{at}]"));
            }
        }
        // A component without options, or a server without more than its address, is printed in full.
        Value::String(_) if printed.is_some_and(Value::is_object) => {}
        value => assert_eq!(printed, Some(value), "{place}"),
    }
}

/// The descriptions of all keys that have a default, with the default: what tells one from another.
fn defaults_in(schema: &Value, place: &str, known: &mut BTreeSet<String>) {
    match schema {
        Value::Object(entries) => {
            for (key, property) in entries
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
            {
                if let Some(default) = property.get("default") {
                    known.insert(label(key, property, default));
                }
            }
            for (key, value) in entries {
                defaults_in(value, &format!("{place}/{key}"), known);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| defaults_in(item, place, known)),
        _ => {}
    }
}

fn label(key: &str, property: &Value, default: &Value) -> String {
    format!("{key} {default}: {}", property["description"])
}

/// Goes through the printed file with the schema beside it.
fn defaults_of(
    root: &Value,
    schema: &Value,
    value: &Value,
    place: &str,
    seen: &mut BTreeSet<String>,
) {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(target.trim_start_matches('#')).expect(target);
        defaults_of(root, target, value, place, seen);
    }
    for key in ["anyOf", "oneOf"] {
        for choice in schema
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if fits(root, choice, value) {
                defaults_of(root, choice, value, place, seen);
            }
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        values
            .iter()
            .for_each(|value| defaults_of(root, items, value, place, seen));
    }
    let Some(entries) = value.as_object() else {
        return;
    };
    let properties = schema.get("properties").and_then(Value::as_object);
    for (key, property) in properties.into_iter().flatten() {
        let place = format!("{place}.{key}");
        // Another component, chosen for the defaults of its options, says what no default says.
        let is_chosen =
            |default: &Value| default.is_string() && entries.get(key).is_some_and(Value::is_object);
        let default = property.get("default");
        if let Some(default) = default.filter(|default| !is_chosen(default)) {
            assert_eq!(entries.get(key), Some(default), "{place}");
            seen.insert(label(key, property, default));
        }
        if let Some(value) = entries.get(key) {
            defaults_of(root, property, value, &place, seen);
        }
    }
    if let Some(other) = schema
        .get("additionalProperties")
        .filter(|other| other.is_object())
    {
        for (name, value) in entries {
            defaults_of(root, other, value, &format!("{place}.{name}"), seen);
        }
    }
}

/// Whether a choice is the one that was made: by the keys that it knows.
fn fits(root: &Value, choice: &Value, value: &Value) -> bool {
    if let Some(target) = choice.get("$ref").and_then(Value::as_str) {
        return fits(
            root,
            root.pointer(target.trim_start_matches('#')).expect(target),
            value,
        );
    }
    match (
        choice.get("properties").and_then(Value::as_object),
        value.as_object(),
    ) {
        (Some(properties), Some(entries)) => entries.keys().all(|key| properties.contains_key(key)),
        _ => {
            choice.get("items").is_some() == value.is_array() && choice.get("properties").is_none()
        }
    }
}

#[test]
fn what_is_printed_reads_well() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    for (file, golden) in [
        ("conf/tidegate.yaml", "tidegate"),
        ("conf/examples/filters.yaml", "filters"),
    ] {
        let path = repository().join(file);
        let written = std::fs::read_to_string(&path).expect("a file");
        let plan = plan(file, &written, path.parent().expect("a folder")).expect("a plan");
        let printed =
            text(&plan.effective().masked(&Secrets::default()), Format::Yaml).expect("a text");
        let golden = repository().join(format!("proxy/tests/effective/{golden}.printed.yaml"));
        if update {
            std::fs::write(&golden, &printed).expect("the golden file");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(printed, expected, "{}", golden.display());
    }
}

/// What anchors, the environment and another way to write the same leave the same.
#[test]
fn two_files_that_do_the_same_are_equal() {
    let folder = repository().join("conf");
    let short = "listeners: { w: { address: '127.0.0.1:1' } }\nupstreams: { a: { servers: [ 'a:1' ], timeouts: { read: 90s } } }\n\
                 routes: { r: { match: { host: h }, upstream: a } }";
    let long = "retry: { attempts: 3 }\nlisteners: { w: { address: '127.0.0.1:${P:-1}' } }\nupstreams:\n  a:\n    servers: [ { address: 'a:1' } ]\n    \
                timeouts: { read: 1m30s }\n    balance: { round_robin: {} }\nroutes: { r: { match: { host: [ h ] }, upstream: a, priority: 0 } }";
    let other = short.replace("90s", "91s");
    let effective = |text: &str| {
        plan("x", text, &folder)
            .expect("a plan")
            .effective()
            .clone()
    };
    assert_eq!(effective(short), effective(long));
    assert_ne!(effective(short), effective(&other));
}

/// The file of an answer is a part of what is in effect.
#[test]
fn a_file_that_changes_makes_a_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = "listeners: { w: { address: '127.0.0.1:1' } }\nroutes: { r: { respond: { file: page.html } } }";
    let effective = |page: &str| {
        std::fs::write(folder.path().join("page.html"), page).expect("a page");
        plan("x", file, folder.path())
            .expect("a plan")
            .effective()
            .clone()
    };
    let (one, other) = (effective("one"), effective("other"));
    assert_eq!(one.value(), other.value());
    assert_ne!(one, other);
    assert!(one.files().contains_key("page.html"));
    let kind = one
        .value()
        .pointer("/routes/r/respond/headers/Content-Type");
    assert_eq!(kind, Some(&"text/html; charset=utf-8".into()));
}

/// Where the arms of a split differ, each keeps what its upstream says.
#[test]
fn timeouts_of_a_split_are_printed_where_its_arms_agree() {
    let file = "listeners: { w: { address: '127.0.0.1:1' } }\nupstreams:\n  a: { servers: [ 'a:1' ], timeouts: { read: 1s } }\n  \
                b: { servers: [ 'b:1' ], timeouts: { read: 2s } }\nroutes: { r: { split: { a: 1, b: 1 }, timeouts: { connect: 9s } } }";
    let folder = repository().join("conf");
    let plan = plan("x", file, &folder).expect("a plan");
    let timeouts = plan.effective().value().pointer("/routes/r/timeouts");
    let key = |key| timeouts.and_then(|timeouts| timeouts.get(key));
    assert_eq!(key("connect"), Some(&"9s".into()));
    assert_eq!(key("read"), None);
    comes_back("x", file, &folder);
}
