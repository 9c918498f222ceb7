//! What happens when the machine lacks a real part that a test needs.

use std::io::Write;

/// Says that `test` is skipped because `reason`; the test returns then.
///
/// # Panics
///
/// Where `TIDEGATE_REQUIRE_ALL=1`: there, a missing part is a failure.
pub fn skip(test: &str, reason: &str) {
    if std::env::var_os("TIDEGATE_REQUIRE_ALL").is_some_and(|value| value == "1") {
        panic!("{test}: {reason}, and TIDEGATE_REQUIRE_ALL=1 lets nothing be skipped");
    }
    // Straight to the file descriptor: `eprintln!` would be captured, and a passing test's output is thrown away.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {reason}");
}
