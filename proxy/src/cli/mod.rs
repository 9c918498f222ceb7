//! The command line: one command per file.

mod check;
mod completions;
mod explain;
mod health;
mod init;
mod instance;
mod man;
mod print;
mod run;
mod schema;
mod status;

use std::io::{ErrorKind, IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use self::check::CheckOptions;
use self::completions::CompletionsOptions;
use self::explain::ExplainOptions;
use self::init::InitOptions;
use self::instance::InstanceOptions;
use self::man::ManOptions;
use self::print::PrintOptions;
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
    /// Show the file as it is in effect: every default filled in, secrets masked
    Print(PrintOptions),
    /// Write the JSON Schema of the file, for editors
    Schema,
    /// Exit 0 if the local instance is ready, for container health checks
    Health(InstanceOptions),
    /// Write a commented starter file, from a few questions or from flags
    Init(InitOptions),
    /// Print what a shell needs to complete commands and options
    Completions(CompletionsOptions),
    /// Print the manual page
    Man(ManOptions),
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
        Some(Command::Print(options)) => print::print(&options, &filters),
        Some(Command::Schema) => schema::schema(&filters),
        Some(Command::Health(options)) => health::health(&options),
        Some(Command::Init(options)) => init::init(options),
        Some(Command::Completions(options)) => {
            completions::completions(&options, CommandLine::command())
        }
        Some(Command::Man(options)) => man::man(&options, CommandLine::command()),
    }
}

/// Who reads may have had enough before the end.
fn print(bytes: &[u8]) -> ExitCode {
    match stdout().write_all(bytes) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
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
