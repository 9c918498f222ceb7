//! Files that were written to be put together.

use std::os::unix::fs::symlink;
use std::path::Path;

use crate::config::{Colour, Loaded, Report, as_written, code, load, parse};

const MAIN: &str = "listeners: { web: { address: '0.0.0.0:80' } }\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

fn loaded(folder: &Path) -> Result<Loaded<()>, Report> {
    load(&folder.join("main.yaml"), as_written)
}

fn refused(folder: &Path) -> String {
    loaded(folder).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn several_files_are_one() {
    let main = format!("{MAIN}include: [ 'routes/*.yaml', upstreams.yaml ]\nroutes:\n");
    let folder = folder(&[
        ("main.yaml", &main),
        (
            "upstreams.yaml",
            "upstreams: { api: { servers: [ 'api:80' ] } }\nretry: { attempts: 2 }\n",
        ),
        (
            "routes/b.yaml",
            "routes: { b: { match: { path: /b }, upstream: api } }\n",
        ),
        (
            "routes/a.yaml",
            "routes: { a: { match: { path: /a }, upstream: api } }\ninclude: ../more/*\n",
        ),
        ("routes/.a.yaml.swp", "nonsense"),
        (
            "more/c",
            "routes: { c: { match: { path: /c }, upstream: api } }\n",
        ),
        ("more/d~", "nonsense"),
        ("more/in/e", "nonsense"),
    ]);
    let loaded = loaded(folder.path()).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(
        loaded.file.routes.names().collect::<Vec<_>>(),
        ["a", "c", "b"]
    );
    let upstream = loaded
        .file
        .routes
        .get("c")
        .unwrap()
        .upstream
        .as_ref()
        .unwrap();
    let name = loaded.source.name_at(upstream.span.start);
    assert!(name.ends_with("routes/../more/c"), "{name}");
    assert_eq!(loaded.source.written(upstream.span), "api");
    assert_eq!(loaded.file.retry.attempts.unwrap().value, 2);
    assert_eq!(loaded.inputs.change(), None);
    std::fs::write(folder.path().join("more/f"), "").unwrap();
    assert_eq!(loaded.inputs.change().unwrap(), "f is new in ../more/*");
}

#[test]
fn each_file_has_anchors_of_its_own() {
    let upstream = |port: u16| format!("{{ <<: *usual, servers: [ 'api:{port}' ] }}");
    let folder = folder(&[
        (
            "main.yaml",
            &format!(
                "include: part.yaml\nx-usual: &usual {{ timeouts: {{ read: 1s }} }}\n{MAIN}upstreams: {{ a: {} }}\n",
                upstream(1)
            ),
        ),
        (
            "part.yaml",
            &format!(
                "x-usual: &usual {{ timeouts: {{ read: 2s }}, dns_refresh: '${{NOBODY_SET_THIS:-3s}}' }}\nx-: ${{NOBODY_SET_THIS}}\nupstreams: {{ b: {} }}\n",
                upstream(2)
            ),
        ),
    ]);
    let loaded = loaded(folder.path()).unwrap();
    assert!(
        loaded
            .warnings
            .iter()
            .all(|one| one.code != code::ANCHOR_UNUSED)
    );
    let read = |name: &str| {
        let upstream = loaded.file.upstreams.get(name).unwrap();
        upstream.timeouts.read.unwrap().value.to_string()
    };
    assert_eq!((read("a"), read("b")), ("1s".to_owned(), "2s".to_owned()));
    let refresh = loaded.file.upstreams.get("b").unwrap().dns_refresh;
    assert_eq!(refresh.unwrap().value.to_string(), "3s");
}

#[test]
fn elsewhere_than_at_the_top_such_a_key_is_none() {
    let main = format!("{MAIN}timeouts: {{ x-usual: 1s }}\n");
    let folder = folder(&[("main.yaml", &main)]);
    let said = refused(folder.path());
    assert!(said.contains("E0201"), "{said}");
}

#[test]
fn links_in_a_circle_include_nothing_twice() {
    let main = format!("include: '**/*.yml'\n{MAIN}");
    let folder = folder(&[
        ("main.yaml", &main),
        ("routes/in/a.yml", "retry: { attempts: 2 }"),
    ]);
    for link in ["one", "two", "three", "four"] {
        symlink(folder.path(), folder.path().join("routes/in").join(link)).unwrap();
    }
    let loaded = loaded(folder.path()).unwrap();
    assert_eq!(loaded.file.retry.attempts.unwrap().value, 2);
    assert_eq!(loaded.inputs.change(), None);
}

#[test]
fn a_text_without_a_folder_reads_nothing() {
    let folder = folder(&[
        ("part.yaml", "routes: { a: { respond: { text: a } } }"),
        ("token", "x"),
    ]);
    for named in ["part.yaml", "*.yaml"] {
        let named = folder.path().join(named).display().to_string();
        let text = format!(
            "{MAIN}include: '{named}'\nroutes: {{ b: {{ respond: {{ text: \"${{file:{named}}}\" }} }} }}"
        );
        let report = parse("x.yaml", &text, &|_| None, None, as_written).unwrap_err();
        assert_eq!(report.errors(), 2, "{report}");
        assert_eq!(
            report.to_string().matches("no folder").count(),
            2,
            "{report}"
        );
    }
}

#[test]
fn a_pattern_does_not_take_the_file_that_says_it() {
    let folder = folder(&[
        ("main.yaml", &format!("{MAIN}include: '*.yaml'\n")),
        ("other.yaml", "routes: { a: { respond: { text: a } } }"),
    ]);
    assert_eq!(loaded(folder.path()).unwrap().file.routes.len(), 1);
}

#[test]
fn depth_and_number_are_bounded() {
    let deep: Vec<(String, String)> = (0..12)
        .map(|number| {
            (
                format!("{number}.yaml"),
                format!("include: {}.yaml", number + 1),
            )
        })
        .collect();
    let mut files: Vec<(&str, &str)> = deep.iter().map(|(name, text)| (&**name, &**text)).collect();
    let main = format!("{MAIN}include: 0.yaml\n");
    files.push(("main.yaml", &main));
    let said = refused(folder(&files).path());
    assert!(
        said.contains("more than 8 files deep") && said.contains("/8.yaml\n"),
        "{said}"
    );

    let many: Vec<String> = (0..1001).map(|number| format!("many/{number}")).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|name| (&**name, "")).collect();
    let main = format!("{MAIN}include: many/*\n");
    files.push(("main.yaml", &main));
    let said = refused(folder(&files).path());
    assert!(said.contains("more than 1000 files"), "{said}");
}

#[test]
fn all_files_together_are_bounded() {
    let large = format!("# {}\n", "x".repeat(9 << 20));
    let main = format!("{MAIN}include: [ a, b ]\n");
    let folder = folder(&[("main.yaml", &main), ("a", &large), ("b", &large)]);
    let said = refused(folder.path());
    assert!(said.contains("more than 16 MiB in all"), "{said}");
}

#[test]
fn a_report_knows_what_was_read() {
    let folder = folder(&[
        ("main.yaml", &format!("{MAIN}include: part.yaml\n")),
        ("part.yaml", "nonsense: true\n"),
    ]);
    let report = loaded(folder.path()).unwrap_err();
    assert_eq!(report.inputs.change(), None);
    std::fs::write(folder.path().join("part.yaml"), "").unwrap();
    assert!(
        report
            .inputs
            .change()
            .unwrap()
            .ends_with("part.yaml changed")
    );
}

/// Wherever it is put in, and whatever is wrong with it there.
#[test]
fn no_secret_is_told() {
    let places = [
        "listeners: { web: { address: X } }",
        "listeners: { web: { address: '0.0.0.0:1', protocols: [ X ] } }",
        "listeners: { web: { address: '0.0.0.0:1', max_connections: X } }",
        "upstreams: { a: { servers: [ X ] } }",
        "upstreams: { a: { servers: [ { address: 'a:1', weight: X } ] } }",
        "upstreams: { a: { servers: [ 'a:1' ], balance: X, timeouts: { read: X } } }",
        "upstreams: { a: { servers: X } }",
        "routes: { a: { upstream: X } }",
        "routes: { a: { match: { host: X, path: X, client: X, method: X }, respond: { status: X } } }",
        "routes: { a: { match: { header: { x: X }, cookie: X }, redirect: { scheme: X, port: X } } }",
        "routes: { a: { filters: X, priority: X, respond: { file: X } } }",
        "limits: { body_size: X, header_count: X }",
        "admin: { address: X }",
        "admin: X",
        "include: X",
        "timeouts: X",
    ];
    let secrets = [
        "7777777",
        "hunter2 is: [the] `secret`",
        "hunter2:99999",
        "1h 77x",
        "0.0.0.0:777777",
        "[::hunter2]:1",
        "http://hunter2",
        "*.hunter2.*",
        "-hunter2s",
        "7.7777s",
    ];
    for secret in secrets {
        for place in places {
            let value = "\"${file:secret}\"";
            let folder = folder(&[
                ("main.yaml", &place.replace('X', value)),
                ("secret", secret),
            ]);
            let Err(report) = loaded(folder.path()) else {
                continue;
            };
            let said = report.render(Colour::Never);
            for part in ["hunter2", "77"] {
                let said = said.replace(&folder.path().display().to_string(), "");
                assert!(!said.contains(part), "{place} with {secret} tells:\n{said}");
            }
        }
    }
}

#[test]
fn a_value_from_a_file_is_a_value() {
    let main = format!(
        "{MAIN}upstreams: {{ a: {{ servers: [ {{ address: \"${{file:in/host}}:80\", weight: \"${{file:in/weight}}\" }} ] }} }}\ninclude: in/part.yaml"
    );
    let part = "routes: { a: { respond: { text: 'Bearer ${file:host}' } } }";
    let files = [
        ("main.yaml", main.as_str()),
        ("in/host", "a.example\n"),
        ("in/weight", "3\r\n"),
        ("in/part.yaml", part),
    ];
    let folder = folder(&files);
    let loaded = loaded(folder.path()).unwrap();
    let server = loaded
        .file
        .upstreams
        .get("a")
        .unwrap()
        .servers
        .first()
        .unwrap();
    assert_eq!(
        (server.address.to_string().as_str(), server.weight.value),
        ("a.example:80", 3)
    );
    let text = loaded
        .file
        .routes
        .get("a")
        .unwrap()
        .respond
        .as_ref()
        .unwrap()
        .text
        .as_ref()
        .unwrap();
    assert_eq!(
        text.value, "Bearer a.example",
        "beside the file that names it"
    );
    let masked = loaded
        .source
        .secrets()
        .mask("to a.example:80 and to `3` of 3");
    assert_eq!(masked, "to *** and to `***` of 3");
    assert!(!format!("{:?}", loaded.source.secrets()).contains("example"));
    std::fs::write(folder.path().join("in/weight"), "4").unwrap();
    assert!(
        loaded
            .inputs
            .change()
            .unwrap()
            .ends_with("in/weight changed")
    );
}
