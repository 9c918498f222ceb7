//! The command line: one command per file.

mod check;
mod explain;
mod health;
mod instance;
mod run;
mod status;

use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};

use self::check::CheckOptions;
use self::explain::ExplainOptions;
use self::instance::InstanceOptions;
use self::run::RunOptions;
use self::status::{RollbackOptions, StatusOptions};
use crate::config::Colour;
use crate::filter::Catalogue;

/// A programmable load balancer: one YAML file, checked, explained, swapped in whole.
#[derive(Debug, Parser)]
#[command(
    name = "tidegate",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunOptions,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve; the file is watched, checked and swapped in whole (the default command)
    Run(RunOptions),
    /// Say everything that is wrong with the file and where; exit 1 if anything is
    Check(CheckOptions),
    /// Say which route takes a request and why, what its filters change and who could answer
    Explain(ExplainOptions),
    /// Say what runs, since when, and whether it is the file on disk; exit 1 if it is not
    Status(StatusOptions),
    /// Let an earlier generation of the file run again
    Rollback(RollbackOptions),
    /// Exit 0 if the local instance is ready, for container health checks
    Health(InstanceOptions),
}

#[derive(Debug, Args)]
struct FileOption {
    /// The routing file
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TIDEGATE_CONFIG",
        default_value = "conf/tidegate.yaml"
    )]
    config: PathBuf,
}

/// Exit code 0: fine; 1: the file, or what it asks for, is wrong; 2: the command line is wrong. A Tidegate with filters of one's
/// own is this with a larger catalogue (`examples/custom_filter.rs`).
pub fn main(filters: Catalogue) -> ExitCode {
    let line = CommandLine::parse();
    match line.command {
        None => run::run(line.run, filters),
        Some(Command::Run(options)) => run::run(options, filters),
        Some(Command::Check(options)) => check::check(&options, &filters),
        Some(Command::Explain(options)) => explain::explain(&options, &filters),
        Some(Command::Status(options)) => status::status(&options),
        Some(Command::Rollback(options)) => status::rollback(&options),
        Some(Command::Health(options)) => health::health(&options),
    }
}

/// Whom the output is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
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

/// For commands that need one for a moment.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}
