//! `tidegate check`: says what is wrong with a file, or that nothing is.

use std::io::{IsTerminal, stderr};
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Colour, Diagnostic, Loaded, Report, counted};

/// Checks a file. `further` finds what only the building of the running state can find (an unknown policy, say).
///
/// Findings go to stderr, the verdict on a good file to stdout.
pub fn run(path: &Path, further: impl FnOnce(&Loaded) -> Vec<Diagnostic>) -> ExitCode {
    match check(path, further) {
        Ok((loaded, warnings)) => {
            show(&warnings);
            println!("{}: ok ({})", path.display(), summary(&loaded));
            ExitCode::SUCCESS
        }
        Err(report) => {
            show(&report);
            eprintln!("error: {}: {}", path.display(), report.tally());
            ExitCode::FAILURE
        }
    }
}

/// Loads a file and adds what is found further: a report without errors beside the file, or a report with errors.
///
/// # Errors
///
/// All findings, if one of them is an error.
pub fn check(
    path: &Path,
    further: impl FnOnce(&Loaded) -> Vec<Diagnostic>,
) -> Result<(Loaded, Report), Report> {
    let loaded = config::load(path)?;
    let mut diagnostics = loaded.warnings.clone();
    diagnostics.extend(further(&loaded));
    let report = Report::new(loaded.source.clone(), diagnostics);
    if report.errors() == 0 {
        Ok((loaded, report))
    } else {
        Err(report)
    }
}

fn show(report: &Report) {
    eprint!("{}", report.render(colour()));
}

/// Colour where somebody sees it and did not ask for none (<https://no-color.org>).
#[must_use]
pub fn colour() -> Colour {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stderr().is_terminal() && !unwanted {
        Colour::Always
    } else {
        Colour::Never
    }
}

fn summary(loaded: &Loaded) -> String {
    let file = &loaded.file;
    let counts = [
        (file.listeners.len(), "listener"),
        (file.upstreams.len(), "upstream"),
        (file.routes.len(), "route"),
    ];
    counts.map(|(count, noun)| counted(count, noun)).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;

    const GOOD: &str =
        "listeners: { w: { address: '0.0.0.0:1' } }\nupstreams: { a: { servers: [ 'a:1' ] } }\n";

    fn file(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.yaml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn a_good_file_is_counted_and_its_warnings_are_kept() {
        let (_folder, path) = file(GOOD);
        let (loaded, report) = check(&path, |_| Vec::new()).unwrap();
        assert_eq!(summary(&loaded), "1 listener, 1 upstream, 0 routes");
        assert_eq!((report.errors(), report.warnings()), (0, 1));
    }

    #[test]
    fn what_is_found_further_stands_among_the_rest() {
        let (_folder, path) = file(GOOD);
        let further = |loaded: &Loaded| {
            let place = loaded.file.upstreams.get("a").unwrap().servers[0].span;
            vec![Diagnostic::error("further").at(place)]
        };
        let report = check(&path, further).unwrap_err();
        let found: Vec<Severity> = report.diagnostics.iter().map(|one| one.severity).collect();
        assert_eq!(found, [Severity::Warning, Severity::Error]);
        assert_eq!(report.tally(), "1 error and 1 warning");
    }
}
