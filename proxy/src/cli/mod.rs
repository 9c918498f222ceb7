//! The command line: one command per file.

mod check;
mod completions;
mod health;
mod init;
mod man;
mod run;

use std::io::{ErrorKind, Write, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use self::completions::CompletionsOptions;
use self::health::HealthOptions;
use self::init::InitOptions;
use self::man::ManOptions;
use self::run::RunOptions;
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
    Check(FileOption),
    /// Exit 0 if the local instance is ready, for container health checks
    Health(HealthOptions),
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
        Some(Command::Check(file)) => check::check(&file.config, &filters),
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
