//! `tidegate run`: serve.

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use clap::{Args, ValueEnum};
use fnv::FnvHasher;

use super::FileOption;
use crate::filter::Catalogue;
use crate::observe::access_log::AccessLog;
use crate::observe::{self, Format};
use crate::server::{self, Settings};

#[derive(Debug, Args)]
pub(super) struct RunOptions {
    #[command(flatten)]
    file: FileOption,
    /// Where the last generations of the file are kept; `off` keeps them in memory only
    /// [default: a folder for this file in $STATE_DIRECTORY, $XDG_STATE_HOME/tidegate or ~/.local/state/tidegate]
    #[arg(
        long,
        value_name = "FOLDER",
        env = "TIDEGATE_STATE",
        verbatim_doc_comment
    )]
    state: Option<PathBuf>,
    /// If the file is wrong, start with the last generation that was good
    #[arg(long, env = "TIDEGATE_LAST_GOOD")]
    last_good: bool,
    /// How log lines are written
    #[arg(long, value_enum, env = "TIDEGATE_LOG_FORMAT", default_value_t = Format::Auto)]
    log_format: Format,
    /// Whether requests are logged on standard output
    #[arg(long, value_enum, env = "TIDEGATE_ACCESS_LOG", default_value_t = Switch::On)]
    access_log: Switch,
    /// Worker threads [default: as many as there are processors]
    #[arg(long, value_name = "N", env = "TIDEGATE_THREADS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

pub(super) fn run(options: RunOptions, filters: Catalogue) -> ExitCode {
    let log = observe::start(options.log_format);
    // A soft limit of 1024 open files is 500 requests at a time; what is refused stays as it was.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let threads = options.threads.map_or_else(processors, usize::from);
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let (access_log, access_guard) = match options.access_log {
        Switch::On => {
            let (log, writing) = match AccessLog::to_stdout(options.log_format) {
                Ok(started) => started,
                Err(error) => return fail(&error),
            };
            (log, Some(writing))
        }
        Switch::Off => (AccessLog::off(), None),
    };
    let settings = Settings {
        state: state_folder(options.state, &options.file.config),
        last_good: options.last_good,
        path: options.file.config,
        filters: Arc::new(filters),
        access_log,
        threads,
    };
    let ended = runtime.block_on(server::run(settings));
    // What is still open after the drain is not waited for.
    runtime.shutdown_background();
    write_out((log, access_guard));
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// One for each routing file: two instances may share a home, not a history.
fn state_folder(given: Option<PathBuf>, file: &Path) -> Option<PathBuf> {
    if let Some(given) = given {
        return (given != Path::new("off")).then_some(given);
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let below = |name: &str, rest: &str| from(name).map(|base| PathBuf::from(base).join(rest));
    let base = from("STATE_DIRECTORY")
        .map(PathBuf::from)
        .or_else(|| below("XDG_STATE_HOME", "tidegate"))
        .or_else(|| below("HOME", ".local/state/tidegate"))?;
    let whole = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut hasher = FnvHasher::default();
    whole.hash(&mut hasher);
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    Some(base.join(format!("{stem}-{:016x}", hasher.finish())))
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("tidegate: {error}");
    ExitCode::FAILURE
}

/// Lets the logs be written to their end, unless nobody reads them.
fn write_out(logs: impl Send + 'static) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        drop(logs);
        // Nobody waits any more if it took too long.
        let _ = done.send(());
    });
    let _ = is_done.recv_timeout(PATIENCE);
}
