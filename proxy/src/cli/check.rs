//! `tidegate check`: says what is wrong with a file, or that nothing is. For people, findings go to stderr and the verdict on a
//! good file to stdout; for programs, one JSON object goes to stdout, whatever it says.

use std::io::{self, IsTerminal, Write, stderr};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::FileOption;
use crate::config::{Colour, Loaded, Report, Summary, Verdict, counted};
use crate::filter::Catalogue;
use crate::snapshot::Plan;

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    #[command(flatten)]
    file: FileOption,
    /// How findings are written: for people, or as one JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Human,
    Json,
}

pub(super) fn check(options: &CheckOptions, filters: &Catalogue) -> ExitCode {
    let found = Plan::load(&options.file.config, filters);
    match options.format {
        Format::Human => tell(&found),
        Format::Json => {
            let verdict = found.as_ref().map_or_else(Report::verdict, Loaded::verdict);
            if let Err(error) = print(&verdict) {
                eprintln!("tidegate: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    match found {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn tell(found: &Result<Loaded<Plan>, Report>) {
    match found {
        Ok(loaded) => {
            eprint!("{}", loaded.source.render(&loaded.warnings, colour()));
            let summary = summary(Summary::of(&loaded.file));
            println!("{}: ok ({summary})", loaded.source.name());
        }
        Err(report) => {
            eprint!("{}", report.render(colour()));
            eprintln!("error: {}: {}", report.source.name(), report.tally());
        }
    }
}

fn print(verdict: &Verdict<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, verdict)?;
    writeln!(out)
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

fn summary(summary: Summary) -> String {
    let counts = [
        (summary.listeners, "listener"),
        (summary.upstreams, "upstream"),
        (summary.routes, "route"),
    ];
    counts.map(|(count, noun)| counted(count, noun)).join(", ")
}
