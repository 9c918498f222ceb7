//! `tidegate check`: says what is wrong with a file, which of its tests fail, or that nothing is wrong; with `--replay`, also
//! which of the latest requests would go elsewhere. For people, findings go to stderr and the verdict on a good file to
//! stdout; for programs, one JSON object goes to stdout, whatever it says.

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;

use super::instance::InstanceOptions;
use super::{Format, colour};
use crate::admin::Problem;
use crate::config::{Loaded, Report, Summary, Verdict, counted};
use crate::filter::Catalogue;
use crate::snapshot::{Plan, Snapshot};
use crate::trial::{self, Came, Moved};

#[derive(Debug, Args)]
pub(super) struct CheckOptions {
    #[command(flatten)]
    instance: InstanceOptions,
    /// How findings are written: for people, or as one JSON object on standard output
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
    /// Say which of the requests that the running instance remembers would go elsewhere
    #[arg(long)]
    replay: bool,
}

/// Where requests would go that the running instance remembers.
#[derive(Debug, Serialize)]
struct Replay {
    requests: usize,
    moved: Vec<Moved>,
}

/// All of it, for programs.
#[derive(Debug, Serialize)]
struct Whole<'c> {
    #[serde(flatten)]
    verdict: Verdict<'c>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<&'c Replay>,
}

pub(super) fn check(options: &CheckOptions, filters: &Catalogue) -> ExitCode {
    match checked(options, filters) {
        Ok(code) => code,
        Err(why) => {
            eprintln!("tidegate: {}", why.trim_end());
            ExitCode::FAILURE
        }
    }
}

fn checked(options: &CheckOptions, filters: &Catalogue) -> Result<ExitCode, String> {
    let found = trial::load(&options.instance.file.config, filters);
    let replay = match &found {
        Ok(loaded) if options.replay => Some(replay(options, &loaded.made)?),
        _ => None,
    };
    match options.format {
        Format::Human => tell(&found, replay.as_ref()),
        Format::Json => print(&Whole {
            verdict: found.as_ref().map_or_else(Report::verdict, Loaded::verdict),
            replay: replay.as_ref(),
        })
        .map_err(|error| error.to_string())?,
    }
    Ok(match found {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

fn replay(options: &CheckOptions, plan: &Plan) -> Result<Replay, String> {
    let said = options.instance.instance()?.get("/replay")?;
    if !said.status.is_success() {
        return Err(said.read::<Problem>()?.error);
    }
    let came: Vec<Came> = said.read()?;
    let snapshot = Arc::new(Snapshot::still(plan));
    Ok(Replay {
        requests: came.len(),
        moved: trial::moved(&came, &snapshot),
    })
}

fn tell(found: &Result<Loaded<Plan>, Report>, replay: Option<&Replay>) {
    match found {
        Ok(loaded) => {
            eprint!("{}", loaded.source.render(&loaded.warnings, colour()));
            let summary = summary(Summary::of(&loaded.file));
            println!("{}: ok ({summary})", loaded.source.name());
            if let Some(replay) = replay {
                tell_replay(replay);
            }
        }
        Err(report) => drop(refuse(report)),
    }
}

/// Says what is wrong with a file that cannot be used.
pub(super) fn refuse(report: &Report) -> ExitCode {
    eprint!("{}", report.render(colour()));
    eprintln!("error: {}: {}", report.source.name(), report.tally());
    ExitCode::FAILURE
}

fn tell_replay(replay: &Replay) {
    let elsewhere: usize = replay.moved.iter().map(|moved| moved.requests).sum();
    let requests = counted(replay.requests, "request");
    println!("replay: {elsewhere} of {requests} would go elsewhere");
    for moved in &replay.moved {
        let such = match moved.requests {
            1 => String::new(),
            more => format!(" and {} like it", more - 1),
        };
        println!("  {} {}{such}", moved.method, moved.url);
        println!("    from {}", moved.from);
        println!("    to   {}", moved.to);
    }
}

fn print(whole: &Whole<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, whole)?;
    writeln!(out)
}

pub(super) fn summary(summary: Summary) -> String {
    let counts = [
        (summary.listeners, "listener"),
        (summary.upstreams, "upstream"),
        (summary.routes, "route"),
    ];
    let mut counts: Vec<String> = counts
        .iter()
        .map(|(count, noun)| counted(*count, noun))
        .collect();
    if summary.tests > 0 {
        counts.push(format!("{} passed", counted(summary.tests, "test")));
    }
    counts.join(", ")
}
