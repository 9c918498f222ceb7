//! `tidegate-frontend`: the command line, nothing else. What the process does is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use tidegate_frontend::cli::{Cli, Command};
use tidegate_frontend::{probe, server};
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        Some(Command::Health) => report(probe::check(cli.listen)),
        None => {
            log_to_stderr();
            report(server::run(&cli))
        }
    }
}

/// One line on stderr for whatever went wrong, and the exit code that goes with it.
fn report<E: std::fmt::Display>(result: Result<(), E>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidegate-frontend: {error}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
