//! The process's own log: what started, changed, failed. On standard error, so that the access log stays clean.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// Human on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Human,
    /// For programs, one object a line.
    Json,
}

impl Format {
    /// Decides `auto` for a stream.
    pub fn is_json(self, stream: &impl IsTerminal) -> bool {
        match self {
            Self::Auto => !stream.is_terminal(),
            Self::Human => false,
            Self::Json => true,
        }
    }
}

/// What is logged unless `RUST_LOG` says otherwise. Pingora reports each failed request as an error of its own; they are
/// in the access log already, and a flood of them must not be a way to fill a disk.
const FILTER: &str = "info,pingora=off,hickory=error";

/// Lines that may wait for whoever reads them; those above are dropped. Nobody who serves requests waits for a reader.
const QUEUE: usize = 4096;

/// Starts the log. To be called once; it ends, with all its lines written, when the guard is dropped.
pub fn start(format: Format) -> WorkerGuard {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(QUEUE)
        .lossy(true)
        .thread_name("log")
        .finish(io::stderr());
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_target(false);
    if format.is_json(&io::stderr()) {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .init();
    }
    guard
}
