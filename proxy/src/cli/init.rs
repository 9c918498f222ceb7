//! `tidegate init`: a commented starter file, from a few questions or flags.

mod ask;
mod starter;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::starter::{Answering, Starter};
use super::check::summary;
use super::colour;
use crate::config::Summary;
use crate::snapshot::Plan;

/// For standard output.
const STDOUT: &str = "-";

#[derive(Debug, Args)]
pub(super) struct InitOptions {
    /// Who answers, and below which path; one for each. The first one without a path gets what no other one does
    #[arg(long = "upstream", value_name = "NAME=HOST:PORT[/PATH]")]
    upstreams: Vec<Answering>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the operator's side listens
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "127.0.0.1:9901")]
    admin: SocketAddr,
    /// The file to write, `-` for standard output
    #[arg(
        short,
        long,
        value_name = "FILE",
        env = "TIDEGATE_CONFIG",
        default_value = "conf/tidegate.yaml"
    )]
    output: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let expected = "expected an address and a port, such as 127.0.0.1:8080";
    text.parse().map_err(|_| expected.to_owned())
}

/// What is wrong with the command line, or with writing the file.
enum Failure {
    Asked(String),
    Written(String),
}

pub(super) fn init(options: InitOptions) -> ExitCode {
    match write(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Asked(why)) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
        Err(Failure::Written(why)) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn write(options: InitOptions) -> Result<(), Failure> {
    let InitOptions { output, force, .. } = &options;
    let (output, force) = (output.clone(), *force);
    let is_stdout = output == Path::new(STDOUT);
    if !is_stdout && !force && output.exists() {
        return Err(in_the_way(&output));
    }
    let text = starter(options)?.text().map_err(Failure::Asked)?;
    let summary = checked(&text)?;
    if is_stdout {
        return io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::Written(error.to_string()));
    }
    put(&output, &text, force)?;
    let file = output.display();
    println!("{file}: written ({summary})\nnext: tidegate run -c {file}");
    Ok(())
}

/// From the flags, or from questions where somebody can answer them.
fn starter(options: InitOptions) -> Result<Starter, Failure> {
    let given = Starter {
        listen: options.listen,
        admin: options.admin,
        upstreams: options.upstreams,
    };
    if !given.upstreams.is_empty() {
        return Ok(given);
    }
    if io::stdin().is_terminal() {
        // On standard output the file may be written.
        let asked = ask::all(&given, &mut io::stdin().lock(), &mut io::stderr());
        return asked.map_err(|error| Failure::Asked(error.to_string()));
    }
    let message = "nobody is there to answer requests: give --upstream NAME=HOST:PORT, such as --upstream api=localhost:3000";
    Err(Failure::Asked(message.to_owned()))
}

/// What is written passes the check; where it does not, something was asked for that no file can say.
fn checked(text: &str) -> Result<String, Failure> {
    match Plan::parse("the file", text, &|_| None, None) {
        Ok(loaded) => Ok(summary(Summary::of(&loaded.file))),
        Err(report) => Err(Failure::Asked(format!(
            "what was asked for makes no file that can be used:\n{}",
            report.render(colour()).trim_end()
        ))),
    }
}

fn put(output: &Path, text: &str, force: bool) -> Result<(), Failure> {
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::AlreadyExists => in_the_way(output),
        _ => Failure::Written(format!("cannot write {}: {error}", output.display())),
    };
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file = std::fs::OpenOptions::new();
    match force {
        true => file.create(true).truncate(true),
        false => file.create_new(true),
    };
    let mut file = file.write(true).open(output).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

fn in_the_way(output: &Path) -> Failure {
    let file = output.display();
    Failure::Written(format!(
        "{file} is there already: --force replaces it, -o FILE writes elsewhere"
    ))
}
