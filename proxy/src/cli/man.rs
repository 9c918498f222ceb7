//! `tidegate man`: the manual, from the definitions of the commands.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clap_mangen::Man;

#[derive(Debug, Args)]
pub(super) struct ManOptions {
    /// Write a page for each command into this folder
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(super) fn man(options: &ManOptions, command: clap::Command) -> ExitCode {
    // `tidegate help` is what the manual is instead of.
    let command = command.disable_help_subcommand(true);
    match &options.dir {
        Some(folder) => match pages(folder, command) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: cannot write into {}: {error}", folder.display());
                ExitCode::FAILURE
            }
        },
        None => page(command),
    }
}

fn pages(folder: &Path, command: clap::Command) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    clap_mangen::generate_to(command, folder)
}

fn page(command: clap::Command) -> ExitCode {
    let mut page = Vec::new();
    match Man::new(command).render(&mut page) {
        Ok(()) => super::print(&page),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
