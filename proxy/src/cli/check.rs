//! `tidegate check`: says what is wrong with a file, which of its tests fail, or that nothing is wrong. Findings go to stderr,
//! the verdict on a good file to stdout.

use std::path::Path;
use std::process::ExitCode;

use super::{colour, runtime};
use crate::config::counted;
use crate::filter::Catalogue;
use crate::trial::{self, Proven};

pub(super) fn check(path: &Path, filters: &Catalogue) -> ExitCode {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("tidegate: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _inside = runtime.enter();
    match trial::load(path, filters) {
        Ok(proven) => {
            let loaded = &proven.loaded;
            eprint!("{}", loaded.source.render(&loaded.warnings, colour()));
            println!("{}: ok ({})", path.display(), summary(&proven));
            ExitCode::SUCCESS
        }
        Err(report) => {
            eprint!("{}", report.render(colour()));
            eprintln!("error: {}: {}", path.display(), report.tally());
            ExitCode::FAILURE
        }
    }
}

fn summary(proven: &Proven) -> String {
    let file = &proven.loaded.file;
    let counts = [
        (file.listeners.len(), "listener"),
        (file.upstreams.len(), "upstream"),
        (file.routes.len(), "route"),
    ];
    let mut counts: Vec<String> = counts
        .iter()
        .map(|(count, noun)| counted(*count, noun))
        .collect();
    if proven.tests > 0 {
        counts.push(format!("{} passed", counted(proven.tests, "test")));
    }
    counts.join(", ")
}
