//! The proxy itself, with a routing file of the test's own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use serde_json::Value;
use tempfile::TempDir;

use crate::{PATIENCE, Process, eventually, free_address, program};

/// A running proxy. Killed when dropped.
#[derive(Debug)]
pub struct Gateway {
    /// For signals and logs.
    pub process: Process,
    address: SocketAddr,
    admin: SocketAddr,
    file: PathBuf,
    client: reqwest::Client,
    // Last, so that the file outlives the process.
    _directory: TempDir,
}

/// What `/ready` says.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// 200 or 503.
    pub status: u16,
    /// Counts the routing files that took effect.
    pub generation: u64,
    /// What was edited and needs a restart to take effect.
    pub restart_required: Vec<String>,
    /// All of it.
    pub body: Value,
}

impl Gateway {
    /// Starts the proxy with a routing file and waits until it is ready.
    ///
    /// What the file leaves out is added: a listener `web` and the admin address, both on ports of their own. So most
    /// tests write upstreams and routes only. A test with a listener of its own writes `address: "${WEB}"` for the
    /// address that [`Gateway::address`] names.
    pub async fn start(routing: &str) -> Self {
        Self::start_with(routing, |_| ()).await
    }

    /// The same, with a word about the command first: its environment, more arguments.
    pub async fn start_with(routing: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        Self::start_program("tidegate", routing, adjust).await
    }

    /// The same, of another program that is one.
    pub async fn start_program(
        name: &str,
        routing: &str,
        adjust: impl FnOnce(&mut Command),
    ) -> Self {
        let (address, admin) = (
            free_address(),
            admin_address(routing).unwrap_or_else(free_address),
        );
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("tidegate.yaml");
        replace(&file, &completed(routing, address, admin));
        let mut command = run(name, &file, address);
        adjust(&mut command);
        let mut process = Process::start("tidegate", command);
        process.ready_at(&format!("http://{admin}/ready")).await;
        let client = crate::client();
        Self {
            process,
            address,
            admin,
            file,
            client,
            _directory: directory,
        }
    }

    /// Where the listener `web` is, that [`Gateway::start`] added.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operator's side.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The routing file, for tests that treat it in their own way. [`Gateway::edit`] is the usual one.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The URL of `path` at the listener `web`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// GET, at the listener `web`.
    pub async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// Replaces the routing file in one step, as editors do, and does not wait. What is left out is added as by
    /// [`Gateway::start`].
    pub fn edit(&self, routing: &str) {
        replace(&self.file, &completed(routing, self.address, self.admin));
    }

    /// Replaces the routing file and waits until it has taken effect. Returns the generation.
    pub async fn reload(&self, routing: &str) -> u64 {
        let before = self.ready().await.generation;
        self.edit(routing);
        self.generation_after(before).await
    }

    /// Waits until a routing file later than `generation` has taken effect.
    pub async fn generation_after(&self, generation: u64) -> u64 {
        eventually(
            &format!("a generation after {generation}"),
            PATIENCE,
            async || Some(self.ready().await.generation).filter(|now| *now > generation),
        )
        .await
    }

    /// What `/ready` says now.
    pub async fn ready(&self) -> Readiness {
        let response = self
            .client
            .get(format!("http://{}/ready", self.admin))
            .send()
            .await
            .unwrap();
        let status = response.status().as_u16();
        let body: Value = response.json().await.unwrap();
        let names = body["restart_required"].as_array().into_iter().flatten();
        Readiness {
            status,
            generation: body["generation"]
                .as_u64()
                .unwrap_or_else(|| panic!("no generation in {body}")),
            restart_required: names
                .map(|name| name.as_str().unwrap_or_default().to_owned())
                .collect(),
            body,
        }
    }

    /// The access log so far: one JSON object per request.
    pub fn log_lines(&self) -> Vec<Value> {
        let log = self.process.log();
        let objects = log
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects
            .filter(|line| line.get("status").is_some() && line.get("method").is_some())
            .collect()
    }

    /// Waits for the access-log line of the request with this path, query and all.
    pub async fn log_line(&self, path: &str) -> Value {
        eventually(
            &format!("an access-log line of {path}"),
            PATIENCE,
            async || {
                self.log_lines()
                    .into_iter()
                    .find(|line| line["path"] == path)
            },
        )
        .await
    }

    /// Ends the process and starts it again, with the file and the generations that lie there.
    pub async fn restart_with(&mut self, adjust: impl FnOnce(&mut Command)) {
        if self.process.exited().is_none() {
            self.terminate().await;
        }
        let mut command = run("tidegate", &self.file, self.address);
        adjust(&mut command);
        self.process = Process::start("tidegate", command);
        let ready = format!("http://{}/ready", self.admin);
        self.process.ready_at(&ready).await;
    }

    /// Runs another command of the program, about this instance and its file.
    pub async fn ask(&self, arguments: &[&str]) -> Said {
        self.ask_about(&self.file, arguments).await
    }

    /// The same about another file; a name alone is one beside the instance's.
    pub async fn ask_about(&self, file: impl AsRef<Path>, arguments: &[&str]) -> Said {
        let file = self.file.with_file_name(file.as_ref());
        let mut command = tokio::process::Command::new(program("tidegate"));
        let output = command
            .args(arguments)
            .arg("-c")
            .arg(file)
            .env("TIDEGATE_ADMIN", self.admin.to_string())
            .env("WEB", self.address.to_string())
            .output();
        let output = tokio::time::timeout(PATIENCE, output).await;
        let output = output.expect("the command ends").unwrap();
        Said {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What the operator's side says at this path.
    pub async fn operator(&self, path: &str) -> Value {
        let url = format!("http://{}{path}", self.admin);
        let answer = self.client.get(url).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// What the operator's side says to this.
    pub async fn tell(&self, path: &str, body: impl Into<reqwest::Body>) -> (u16, Value) {
        let url = format!("http://{}{path}", self.admin);
        let answer = self.client.post(url).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The same in JSON.
    pub async fn tell_json(&self, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("http://{}{path}", self.admin);
        let answer = self.client.post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The routing file with what [`Gateway::start`] adds to it.
    pub fn whole(&self, routing: &str) -> String {
        completed(routing, self.address, self.admin)
    }

    /// SIGTERM, and waits for its end.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.process.terminate();
        self.process.exit_within(PATIENCE).await
    }
}

/// The end of a command, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
}

/// Generations are kept beside the file.
fn run(name: &str, file: &Path, web: SocketAddr) -> Command {
    let mut command = Command::new(program(name));
    command
        .arg("run")
        .arg("-c")
        .arg(file)
        .args(["--log-format", "json"])
        .env("TIDEGATE_STATE", file.with_file_name("state"))
        .env("WEB", web.to_string());
    command
}

/// The routing file, with the sections that the test did not care about.
fn completed(routing: &str, address: SocketAddr, admin: SocketAddr) -> String {
    let mut whole = routing.to_owned();
    if !has_section(routing, "listeners") {
        whole += &format!("\nlisteners: {{ web: {{ address: \"{address}\" }} }}\n");
    }
    if !has_section(routing, "admin") {
        whole += &format!("\nadmin: {{ address: \"{admin}\" }}\n");
    }
    whole
}

fn has_section(routing: &str, name: &str) -> bool {
    section(routing, name).is_some()
}

/// The text from a top-level key to the end of the file.
fn section<'a>(routing: &'a str, name: &str) -> Option<&'a str> {
    let at_start = routing.strip_prefix(name);
    let rest = at_start.or_else(|| {
        routing
            .split_once(&format!("\n{name}"))
            .map(|(_, rest)| rest)
    })?;
    rest.trim_start().strip_prefix(':')
}

/// The first quoted value of the section `admin`.
fn admin_address(routing: &str) -> Option<SocketAddr> {
    section(routing, "admin")?.split('"').nth(1)?.parse().ok()
}

fn replace(file: &Path, text: &str) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEB: &str = "127.0.0.1:1";
    const ADMIN: &str = "127.0.0.1:2";

    fn complete(routing: &str) -> String {
        completed(routing, WEB.parse().unwrap(), ADMIN.parse().unwrap())
    }

    #[test]
    fn adds_only_what_is_left_out() {
        let bare = complete("routes: {}\n");
        assert!(bare.contains(WEB) && bare.contains(ADMIN));
        let own = "admin: { address: \"127.0.0.1:3\" }\nlisteners:\n  web: {}\n";
        assert_eq!(complete(own), own);
        // A key further in, or in a comment, is not the section.
        assert!(complete("# admin: x\nroutes:\n  admin: {}\n").contains(ADMIN));
    }

    #[test]
    fn finds_the_admin_address_that_a_test_chose() {
        let own = "routes: {}\nadmin: { address: \"127.0.0.1:3\" }\n";
        assert_eq!(admin_address(own), Some("127.0.0.1:3".parse().unwrap()));
        assert_eq!(admin_address("routes: {}"), None);
    }
}
