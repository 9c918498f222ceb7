//! The flags. Each can come from the environment as well, which is how containers set them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::security::ApiOrigin;

/// The static-content service behind Tidegate.
#[derive(Debug, Parser)]
#[command(name = "tidegate-frontend", version, about)]
pub struct Cli {
    /// Address to listen on; port 0 takes a free one, which the log then names
    #[arg(
        long,
        env = "TIDEGATE_FRONTEND_LISTEN",
        default_value = "127.0.0.1:9000",
        global = true
    )]
    pub listen: SocketAddr,

    /// Directory to serve
    #[arg(long, env = "TIDEGATE_FRONTEND_ROOT", default_value = "frontend/site")]
    pub root: PathBuf,

    /// Another origin the page may call, such as http://127.0.0.1:5252; open the page with `?api=` and the origin to use it.
    /// May be given several times, or separated by commas
    #[arg(
        long = "api-origin",
        env = "TIDEGATE_FRONTEND_API_ORIGIN",
        value_delimiter = ',',
        value_name = "ORIGIN"
    )]
    pub api_origins: Vec<ApiOrigin>,

    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do besides serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Ask the service at the listen address whether it is healthy: exit 0 if so, 1 if not
    Health,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let cli = Cli::try_parse_from(["tidegate-frontend"]).unwrap();
        assert_eq!(cli.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(cli.root, PathBuf::from("frontend/site"));
    }
}
