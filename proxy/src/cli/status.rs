//! `tidegate status` and `tidegate rollback`: what runs, how the file on disk stands to it, and back to an earlier one.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::Args;

use super::Format;
use super::instance::{InstanceOptions, Said};
use crate::admin::{Problem, State, Verdict};

#[derive(Debug, Args)]
pub(super) struct StatusOptions {
    #[command(flatten)]
    instance: InstanceOptions,
    /// For people, or for programs
    #[arg(long, value_enum, default_value_t = Format::Human)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct RollbackOptions {
    #[command(flatten)]
    instance: InstanceOptions,
    /// The generation to go back to [default: the last good one before this]
    #[arg(value_name = "N")]
    to: Option<u64>,
}

/// Exit code 1 as well where the file on disk is not what runs.
pub(super) fn status(options: &StatusOptions) -> ExitCode {
    let asked = options
        .instance
        .instance()
        .and_then(|instance| instance.get("/config"));
    let state = asked.and_then(|said| read::<State>(&said));
    let shown = state.and_then(|state| {
        let text = match options.format {
            Format::Human => words(&state),
            Format::Json => serde_json::to_string_pretty(&state)
                .map(|text| text + "\n")
                .map_err(|error| error.to_string())?,
        };
        Ok((text, state.disk.same))
    });
    match shown {
        Ok((text, is_same)) => {
            print!("{text}");
            if is_same {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(why) => failed(&why),
    }
}

pub(super) fn rollback(options: &RollbackOptions) -> ExitCode {
    match back(options) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

fn back(options: &RollbackOptions) -> Result<String, String> {
    let query = options.to.map(|to| format!("?to={to}")).unwrap_or_default();
    let path = format!("/config/rollback{query}");
    let instance = options.instance.instance()?;
    let verdict: Verdict = read(&instance.post(&path, "text/plain", "")?)?;
    if !verdict.ok {
        return Err(verdict.report);
    }
    let mut text = format!(
        "generation {} runs\n",
        verdict.generation.unwrap_or_default()
    );
    // A string takes whatever is written to it.
    for change in &verdict.changes {
        let _ = writeln!(text, "  {change}");
    }
    let state = instance
        .get("/config")
        .and_then(|said| read::<State>(&said));
    text.push_str(match state {
        Ok(state) if state.disk.same => "the file on disk is what runs\n",
        _ => "the file on disk stays as it is: edit it, or the next change of it applies again\n",
    });
    Ok(text)
}

fn read<T: serde::de::DeserializeOwned>(said: &Said) -> Result<T, String> {
    if said.status.is_success() || said.status.as_u16() == 422 {
        said.read()
    } else {
        Err(said.read::<Problem>()?.error)
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("tidegate: {}", why.trim_end());
    ExitCode::FAILURE
}

fn words(state: &State) -> String {
    let mut text = format!(
        "generation {} of {}, since {} ({})\n",
        state.generation, state.file, state.since, state.trigger
    );
    // A string takes whatever is written to it.
    for change in &state.changes {
        let _ = writeln!(text, "  {change}");
    }
    for change in &state.restart_required {
        let _ = writeln!(text, "after a restart only: {change}");
    }
    let disk = &state.disk;
    match (&disk.refused, disk.same) {
        (_, true) => text.push_str("the file on disk is what runs\n"),
        (Some(why), false) => {
            let _ = writeln!(
                text,
                "the file on disk is NOT what runs, it is refused:\n\n{}",
                why.trim_end()
            );
            for change in &disk.changes {
                let _ = writeln!(text, "  {change}");
            }
        }
        (None, false) => {
            text.push_str("the file on disk is NOT what runs, it would change:\n");
            for change in &disk.changes {
                let _ = writeln!(text, "  {change}");
            }
        }
    }
    text
}
