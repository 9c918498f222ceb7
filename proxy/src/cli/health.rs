//! `tidegate health`: is the local instance ready? Asks the operator's side, at the address that the file names or at the one
//! that the command line does: a file that is being edited may be wrong, or may name an address that only a restart can
//! bring, and neither makes the instance unwell. Containers should give it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use tidegate_service::{probe, report};

use super::FileOption;
use crate::config;

#[derive(Debug, Args)]
pub(super) struct HealthOptions {
    #[command(flatten)]
    file: FileOption,
    /// Ask here, whatever the file says now
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_ADMIN")]
    admin: Option<SocketAddr>,
}

pub(super) fn health(options: &HealthOptions) -> ExitCode {
    report("tidegate", is_ready(options))
}

fn is_ready(options: &HealthOptions) -> Result<(), String> {
    let address = options
        .admin
        .map_or_else(|| address_in(&options.file.config), Ok)?;
    probe::check(address, "/ready").map_err(|unhealthy| unhealthy.to_string())
}

fn address_in(path: &Path) -> Result<SocketAddr, String> {
    let loaded = config::load(path, config::as_written).map_err(|findings| findings.to_string())?;
    let admin = loaded.file.admin.ok_or_else(|| {
        let file = path.display();
        format!("{file} has no `admin: {{ address: ... }}`: there is nobody to ask")
    })?;
    Ok(admin.address.value)
}
