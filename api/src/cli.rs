//! The flags. Each can come from the environment as well, which is how containers set them.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// The demo API behind Tidegate.
#[derive(Debug, Parser)]
#[command(name = "tidegate-api", version, about)]
pub struct Cli {
    /// Address to listen on; port 0 takes a free one, which the log then names
    #[arg(
        long,
        env = "TIDEGATE_API_LISTEN",
        default_value = "127.0.0.1:5252",
        global = true
    )]
    pub listen: SocketAddr,

    /// What this instance calls itself [default: the machine's host name]
    #[arg(long, env = "TIDEGATE_API_NAME", value_parser = instance_name)]
    pub name: Option<String>,

    /// Seconds between failing the health check and refusing connections when told to stop
    #[arg(long, env = "TIDEGATE_API_DRAIN_DELAY", default_value = "0", value_name = "SECONDS", value_parser = seconds)]
    pub drain_delay: Duration,

    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What the program can do besides serving.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum Command {
    /// Ask the instance at the listen address whether it is healthy: exit 0 if so, 1 if not
    Health,
}

/// The name travels in a response header, so it must be one: visible ASCII.
fn instance_name(text: &str) -> Result<String, String> {
    let visible = |c: char| c.is_ascii_graphic() || c == ' ';
    if text.trim().is_empty() || !text.chars().all(visible) {
        return Err("expected a name of visible ASCII characters".to_owned());
    }
    Ok(text.trim().to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    let text = text.strip_suffix('s').unwrap_or(text);
    let seconds = text
        .parse()
        .map_err(|_| "expected seconds, such as 2 or 0.5s")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
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
        let cli = Cli::try_parse_from(["tidegate-api"]).unwrap();
        assert_eq!(cli.listen.to_string(), "127.0.0.1:5252");
        assert_eq!(cli.drain_delay, Duration::ZERO);
    }

    #[test]
    fn the_health_command_takes_the_listen_address_on_either_side() {
        for line in [
            ["--listen", "[::1]:9", "health"],
            ["health", "--listen", "[::1]:9"],
        ] {
            let cli = Cli::try_parse_from([&["tidegate-api"], &line[..]].concat()).unwrap();
            assert!(matches!(cli.command, Some(Command::Health)));
            assert_eq!(cli.listen.to_string(), "[::1]:9");
        }
    }

    #[test]
    fn a_name_that_is_no_header_value_is_refused() {
        assert!(instance_name("").is_err());
        assert!(instance_name("a\nb").is_err());
        assert!(instance_name("zürich").is_err());
        assert_eq!(instance_name("api-1").unwrap(), "api-1");
    }

    #[test]
    fn delays_are_seconds_with_or_without_the_unit() {
        assert_eq!(seconds("0.5s").unwrap(), Duration::from_millis(500));
        assert_eq!(seconds("2").unwrap(), Duration::from_secs(2));
        assert!(seconds("-1").is_err());
        assert!(seconds("soon").is_err());
    }
}
