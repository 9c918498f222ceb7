//! What clients see while servers fail in every way that they know: each fault with real processes and sockets, a bounded
//! load of GETs and of POSTs, and what became of each of them.
//!
//! Every fault runs twice at the same time: as it is, and with edits of the file in the middle of the load, which must change
//! nothing. Each run prints a line that `docs/faults.md` has in its words:
//!
//! ```text
//! fault: killed            | GET 60/60 ok | POST 58/60 ok, 2x 502 upstream_closed | back in service: yes
//! fault: killed, and edits | GET 60/60 ok | POST 60/60 ok | back in service: yes
//! ```

mod broken_off;
mod flapping;
mod half_open;
#[cfg(target_os = "linux")]
mod link;
mod names;
mod processes;
mod saved;
mod scene;
mod seen;
mod servers;
mod sockets;

use std::io::Write;

use tidegate_tests::repository;

use crate::seen::Ends;

/// Whether the file is edited while requests are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edits {
    None,
    Under,
}

/// What was seen of one fault.
struct Line {
    get: Ends,
    post: Ends,
}

impl Edits {
    /// The fault, as it is called in this run.
    fn of(self, fault: &str) -> String {
        match self {
            Self::None => fault.to_owned(),
            Self::Under => format!("{fault}, and edits"),
        }
    }
}

/// Both runs of a fault, at the same time.
async fn twice(fault: &str, run: impl AsyncFn(Edits) -> Line) {
    let (without, with) = tokio::join!(run(Edits::None), run(Edits::Under));
    print(fault, Edits::None, &without);
    print(fault, Edits::Under, &with);
}

/// Straight to the file descriptor: what a test that passes prints is thrown away otherwise. A run comes here when it has seen
/// everything in service again.
fn print(fault: &str, edits: Edits, line: &Line) {
    let _ = writeln!(
        std::io::stderr(),
        "fault: {:<52} | GET {} | POST {} | back in service: yes",
        edits.of(fault),
        line.get,
        line.post
    );
}

/// The table names the test that proves each row, and has a row for each test.
#[test]
fn the_table_of_the_documentation_is_of_these_tests() {
    let page = repository().join("docs/faults.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut rows: Vec<&str> = (page.lines().filter_map(|line| line.strip_suffix("` |")))
        .filter_map(|line| line.rsplit('`').next())
        .collect();
    rows.sort_unstable();
    rows.dedup();
    let mut tests: Vec<String> = Vec::new();
    for file in [
        "broken_off",
        "flapping",
        "half_open",
        "link/faults",
        "names",
        "processes",
        "saved",
        "sockets",
    ] {
        let path = repository().join(format!("tests/suite/faults/{file}.rs"));
        let text = std::fs::read_to_string(path).unwrap();
        let marked = text.split("test]\n").skip(1);
        let names = marked.filter_map(|rest| rest.split("fn ").nth(1)?.split('(').next());
        let room = file.split('/').next().unwrap_or(file);
        tests.extend(names.map(|name| format!("{room}::{name}")));
    }
    tests.sort_unstable();
    assert_eq!(rows, tests);
}
