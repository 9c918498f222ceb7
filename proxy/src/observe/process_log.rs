//! The process's own log: what started, changed, failed. On standard error, so that the access log stays clean.

use std::io::IsTerminal;

use clap::ValueEnum;
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
const FILTER: &str = "info,pingora_core=off,pingora_proxy=off,pingora_load_balancing=off,hickory_resolver=error,hickory_net=error,hickory_proto=error";

/// Starts the log. To be called once.
pub fn start(format: Format) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    if format.is_json(&std::io::stderr()) {
        builder.json().flatten_event(true).init();
    } else {
        builder
            .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
            .init();
    }
}
