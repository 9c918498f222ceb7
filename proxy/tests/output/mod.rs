//! What the documentation shows of the tool's output is what the tool says: the README's tour, `docs/files.md` and
//! `docs/editing.md`. A page that is not right any more is mended by hand, with what the failing test says.

use std::process::Command;

use crate::shown::{pieces, repository};
use tempfile::TempDir;

/// A folder with these files, in which the tool is asked.
struct Place(TempDir);

impl Place {
    fn with(files: &[(&str, &str)]) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        for (name, text) in files {
            let path = place.0.path().join(name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        }
        place
    }

    /// What it says, on both channels.
    fn says(&self, arguments: &[&str]) -> String {
        let mut tool = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        tool.args(arguments).current_dir(self.0.path());
        for variable in [
            "TIDEGATE_CONFIG",
            "TIDEGATE_PORT",
            "TIDEGATE_ADMIN_PORT",
            "PORT",
        ] {
            tool.env_remove(variable);
        }
        let output = tool.output().expect("the tool");
        let said = [output.stderr, output.stdout].concat();
        String::from_utf8(said).expect("text")
    }
}

fn page(name: &str) -> String {
    std::fs::read_to_string(repository().join(name)).expect("a page")
}

/// The block of a page that begins like this: fenced, or set off by four spaces.
fn block(name: &str, beginning: &str) -> String {
    let page = page(name);
    let start = page.lines().position(|line| line.trim_start() == beginning);
    let lines = page
        .lines()
        .skip(start.expect("the beginning of the block"));
    let is_set_off = |line: &&str| line.is_empty() || line.starts_with("    ");
    let set_off = lines.clone().take_while(is_set_off);
    let set_off: String = set_off
        .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
        .collect();
    let set_off = set_off.trim_end();
    if set_off.is_empty() {
        let fenced = lines.take_while(|line| *line != "```");
        fenced.map(|line| format!("{line}\n")).collect()
    } else {
        format!("{set_off}\n")
    }
}

fn is_said(page: &str, beginning: &str, said: &str) {
    let shown = block(page, beginning);
    assert!(
        said.contains(&shown),
        "{page} shows\n{shown}\nbut this is said:\n{said}"
    );
}

/// The file of the tour, edited.
fn tour(from: &str, to: &str) -> Place {
    let file = page("conf/tidegate.yaml");
    let edited = file.replace(from, to);
    assert_ne!(file, edited, "`{from}` is not in it");
    Place::with(&[("conf/tidegate.yaml", &edited)])
}

#[test]
fn the_tour_shows_the_mistakes_as_they_are_refused() {
    let place = tour("/api }, upstream: api }", "/api }, upstream: apo }");
    let beginning = "error[E0403]: there is no upstream `apo`";
    is_said("README.md", beginning, &place.says(&["check"]));

    let place = tour("path_prefix: /api }", "path_prefix: /api/v2 }");
    let beginning = "error[E0804]: the test `the API answers under /api` fails";
    is_said("README.md", beginning, &place.says(&["check"]));
}

#[test]
fn the_tour_shows_where_a_request_goes() {
    let place = tour("path_prefix: /api }", "path_prefix: /api/v2 }");
    let said = place.says(&["explain", "/api/hello"]);
    let shown = block("README.md", "$ target/release/tidegate explain /api/hello");
    // After the command, and before what is left out.
    let shown = shown.split_once('\n').expect("an answer").1;
    let shown = shown.strip_suffix("...\n").expect("more");
    assert!(
        said.contains(shown),
        "README.md shows\n{shown}\nbut this is said:\n{said}"
    );
}

#[test]
fn the_page_about_files_shows_findings_in_several_files() {
    let main = "include: routes/*.yaml\nlisteners: { web: { address: \"0.0.0.0:80\" } }\n\
                upstreams: { api: { servers: [ \"api:80\" ] }, shop: { servers: [ \"shop:80\" ] } }\n";
    let place = Place::with(&[
        ("conf/tidegate.yaml", main),
        (
            "conf/routes/api.yaml",
            "routes:\n  api:\n    match: { path_prefix: /api }\n    upstream: api\n",
        ),
        (
            "conf/routes/shop.yaml",
            "routes:\n  api: { match: { path_prefix: /api }, upstream: shop }\n",
        ),
    ]);
    let beginning = "error[E0203]: the key `api` is written twice";
    is_said("docs/files.md", beginning, &place.says(&["check"]));
}

#[test]
fn the_page_about_files_shows_that_a_secret_is_not_told() {
    let main = "listeners: { web: { address: \"0.0.0.0:80\" } }\nupstreams:\n  api:\n    servers:\n\
                \u{20}     - { address: \"api:80\", weight: \"${file:secrets/number}\" }\n\
                routes: { api: { upstream: api } }\n";
    let place = Place::with(&[
        ("conf/tidegate.yaml", main),
        ("conf/secrets/number", "70000\n"),
    ]);
    let beginning = "error[E0206]: `weight` is the number `***`";
    is_said("docs/files.md", beginning, &place.says(&["check"]));
}

#[test]
fn the_page_about_files_shows_what_becomes_of_anchors() {
    let pieces = pieces(&repository().join("docs/files.md"));
    let with_anchors = |piece: &&String| piece.starts_with("x-");
    let piece = pieces.iter().find(with_anchors).expect("an example");
    let rest = "listeners: { web: { address: \"127.0.0.1:8080\" } }\n\
                routes: { api: { match: { path_prefix: /api }, upstream: api }, shop: { upstream: shop } }\n";
    let place = Place::with(&[("conf/tidegate.yaml", &format!("{piece}{rest}"))]);
    let said = place.says(&["check"]);
    assert!(said.starts_with("conf/tidegate.yaml: ok"), "{said}");
    let printed = place.says(&["print"]);
    assert!(!printed.contains("x-"), "{printed}");
    for (part, count) in [("path: /health", 2), ("read: 15s", 2), ("read: 1m", 3)] {
        assert_eq!(printed.matches(part).count(), count, "{part} in\n{printed}");
    }
}

#[test]
fn the_page_about_editing_shows_what_is_printed() {
    let pieces = pieces(&repository().join("docs/editing.md"));
    let [written, printed] = pieces.as_slice() else {
        unreachable!("two pieces: {pieces:#?}");
    };
    let place = Place::with(&[("conf/tidegate.yaml", written), ("printed.yaml", printed)]);
    assert_eq!(place.says(&["print"]), *printed);
    // It is a routing file again.
    let again = place.says(&["print", "-c", "printed.yaml"]);
    assert_eq!(again, *printed);
}
