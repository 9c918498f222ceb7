//! `tidegate check`: says what is wrong with a file, or that nothing is. Findings go to stderr, the verdict on a good file
//! to stdout.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{Colour, File, Report, counted};
use crate::filter::Catalogue;
use crate::snapshot::Plan;

pub(super) fn check(path: &Path, filters: &Catalogue) -> ExitCode {
    match Plan::load(path, filters) {
        Ok(loaded) => {
            eprint!("{}", loaded.source.render(&loaded.warnings, colour()));
            println!("{}: ok ({})", path.display(), summary(&loaded.file));
            ExitCode::SUCCESS
        }
        Err(report) => refuse(path, &report),
    }
}

/// Says what is wrong with a file that cannot be used.
pub(super) fn refuse(path: &Path, report: &Report) -> ExitCode {
    eprint!("{}", report.render(colour()));
    eprintln!("error: {}: {}", path.display(), report.tally());
    ExitCode::FAILURE
}

/// Colour where somebody sees it and did not ask for none (<https://no-color.org>).
fn colour() -> Colour {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stderr().is_terminal() && !unwanted {
        Colour::Always
    } else {
        Colour::Never
    }
}

fn summary(file: &File) -> String {
    let counts = [
        (file.listeners.len(), "listener"),
        (file.upstreams.len(), "upstream"),
        (file.routes.len(), "route"),
    ];
    counts.map(|(count, noun)| counted(count, noun)).join(", ")
}
