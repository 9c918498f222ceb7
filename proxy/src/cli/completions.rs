//! `tidegate completions`: what a shell completes, from the definitions of the commands.

use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;

#[derive(Debug, Args)]
pub(super) struct CompletionsOptions {
    /// For which shell
    shell: Shell,
}

pub(super) fn completions(options: &CompletionsOptions, mut command: clap::Command) -> ExitCode {
    let mut script = Vec::new();
    let name = command.get_name().to_owned();
    clap_complete::generate(options.shell, &mut command, name, &mut script);
    super::print(&script)
}
