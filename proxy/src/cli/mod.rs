//! The command line: one command per file.

mod check;
mod health;
mod print;
mod run;
mod schema;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use self::health::HealthOptions;
use self::print::PrintOptions;
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
    /// Show the file as it is in effect: every default filled in, secrets masked
    Print(PrintOptions),
    /// Write the JSON Schema of the file, for editors
    Schema,
    /// Exit 0 if the local instance is ready, for container health checks
    Health(HealthOptions),
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
        Some(Command::Print(options)) => print::print(&options, &filters),
        Some(Command::Schema) => schema::schema(&filters),
        Some(Command::Health(options)) => health::health(&options),
    }
}

/// To standard output; whoever closes it early has read enough.
fn write(text: Result<String, String>) -> ExitCode {
    match text {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("tidegate: {error}");
            ExitCode::FAILURE
        }
    }
}
