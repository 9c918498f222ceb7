//! `tidegate health`: is the local instance ready? Asks the operator's side, at the address that the file names or at the one
//! that the command line does: a file that is being edited may be wrong, or may name an address that only a restart can
//! bring, and neither makes the instance unwell. Containers should give it.

use std::process::ExitCode;

use tidegate_service::{probe, report};

use super::instance::InstanceOptions;

pub(super) fn health(options: &InstanceOptions) -> ExitCode {
    report("tidegate", is_ready(options))
}

fn is_ready(options: &InstanceOptions) -> Result<(), String> {
    probe::check(options.address()?, "/ready").map_err(|unhealthy| unhealthy.to_string())
}
