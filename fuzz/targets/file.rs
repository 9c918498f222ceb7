//! Any text is a routing file, or is refused with at least one error, in bounded time and memory; and whatever is said about
//! it can be shown.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::config::{Colour, Severity};
use tidegate::snapshot::Plan;

/// One variable that is set, one that is empty, and no others.
fn environment(name: &str) -> Option<String> {
    match name {
        "PORT" => Some("8080".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    }
}

fuzz_target!(|text: &str| {
    // It lies in no folder: nothing that it names besides itself is read.
    match Plan::parse("fuzz.yaml", text, &environment, None) {
        Ok(loaded) => {
            let is_warning = |severity| severity == Severity::Warning;
            assert!(loaded.warnings.iter().all(|one| is_warning(one.severity)));
            let _ = loaded.source.render(&loaded.warnings, Colour::Never);
        }
        Err(report) => {
            assert!(report.errors() > 0, "refused without a reason:\n{report}");
            assert!(report.render(Colour::Always).contains("error"));
            assert!(report.tally().contains("error"));
        }
    }
});
