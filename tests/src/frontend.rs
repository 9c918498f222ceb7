//! The `tidegate-frontend`.

use std::net::SocketAddr;
use std::process::Command;

use crate::{Process, free_address, program, repository};

/// A running front-end that serves the repository's own site. Killed when dropped.
#[derive(Debug)]
pub struct Frontend {
    address: SocketAddr,
    /// For signals and logs.
    pub process: Process,
}

impl Frontend {
    /// Starts it on a port of its own and waits until it answers.
    pub async fn start() -> Self {
        let address = free_address();
        let mut command = Command::new(program("tidegate-frontend"));
        command
            .args(["--listen", &address.to_string(), "--root"])
            .arg(repository().join("frontend/site"));
        let mut process = Process::start("frontend", command);
        process.ready_at(&format!("http://{address}/health")).await;
        Self { address, process }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL for `path`, around the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}
