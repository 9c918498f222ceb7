//! `tidegate health`: is the local instance ready? Asks the operator's side at the address that the file names.

use std::path::Path;
use std::process::ExitCode;

use tidegate_service::{probe, report};

use crate::config;

pub(super) fn health(path: &Path) -> ExitCode {
    report("tidegate", is_ready(path))
}

fn is_ready(path: &Path) -> Result<(), String> {
    let loaded = config::load(path, config::as_written).map_err(|findings| findings.to_string())?;
    let admin = loaded.file.admin.ok_or_else(|| {
        let file = path.display();
        format!("{file} has no `admin: {{ address: ... }}`: there is nobody to ask")
    })?;
    probe::check(admin.address.value, "/ready").map_err(|unhealthy| unhealthy.to_string())
}
