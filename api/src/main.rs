//! `tidegate-api`: the command line, nothing else. What the process does is in the library.

use std::process::ExitCode;

use clap::Parser;
use tidegate_api::cli::{Cli, Command};
use tidegate_api::server;
use tidegate_service::{log_to_stderr, probe, report};

const PROGRAM: &str = env!("CARGO_PKG_NAME");

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Health) => report(PROGRAM, probe::check(cli.listen, "/api/health")),
        None => {
            log_to_stderr();
            report(PROGRAM, server::run(&cli))
        }
    }
}
