//! `tidegate print`: the file as it is in effect, on stdout. What is wrong with it goes to stderr; what is probably not meant is for
//! `tidegate check` to say.

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::{FileOption, check, print as write};
use crate::filter::Catalogue;
use crate::snapshot::Plan;
use crate::snapshot::effective;

#[derive(Debug, Args)]
pub(super) struct PrintOptions {
    #[command(flatten)]
    file: FileOption,
    /// How it is written
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

pub(super) fn print(options: &PrintOptions, filters: &Catalogue) -> ExitCode {
    let format = match options.format {
        Format::Yaml => effective::Format::Yaml,
        Format::Json => effective::Format::Json,
    };
    match Plan::load(&options.file.config, filters) {
        Ok(loaded) => {
            let shown = loaded.made.effective().masked(loaded.source.secrets());
            match effective::text(&shown, format) {
                Ok(text) => write(text.as_bytes()),
                Err(error) => {
                    eprintln!("tidegate: {error}");
                    ExitCode::FAILURE
                }
            }
        }
        Err(report) => check::refuse(&report),
    }
}
