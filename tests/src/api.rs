//! An instance of `tidegate-api`.

use std::net::SocketAddr;
use std::process::Command;

use crate::{Process, free_address, program};

/// A running API. Killed when dropped.
#[derive(Debug)]
pub struct Api {
    name: String,
    address: SocketAddr,
    /// For signals and logs.
    pub process: Process,
}

impl Api {
    /// Starts one that calls itself `name`, on a port of its own, and waits until it answers.
    pub async fn start(name: &str) -> Self {
        Self::start_at(name, free_address()).await
    }

    /// The same on a given address, for example that of one which was killed.
    pub async fn start_at(name: &str, address: SocketAddr) -> Self {
        let mut command = Command::new(program("tidegate-api"));
        command.args(["--listen", &address.to_string(), "--name", name]);
        let mut process = Process::start(name, command);
        process
            .ready_at(&format!("http://{address}/api/health"))
            .await;
        Self {
            name: name.into(),
            address,
            process,
        }
    }

    /// What it calls itself.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL for `path`, around the proxy.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// SIGKILL, and gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again where it was, with a new process.
    pub async fn restart(&mut self) {
        self.kill();
        *self = Self::start_at(&self.name, self.address).await;
    }
}
