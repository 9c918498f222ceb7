//! The stack of `docker-compose.yml` under a project name of its own, on ports of its own.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_tests::{free_port, repository};

/// What this machine has: `docker compose` or `docker-compose`. Or what is missing.
pub(crate) fn compose_command() -> Result<Vec<&'static str>, String> {
    let works = |command: &[&str]| {
        let output = Command::new(command[0]).args(&command[1..]).output();
        output.is_ok_and(|output| output.status.success())
    };
    if !works(&["docker", "info"]) {
        return Err("no Docker engine answers `docker info`".into());
    }
    let known = [vec!["docker", "compose"], vec!["docker-compose"]];
    let found = known
        .into_iter()
        .find(|command| works(&[command.as_slice(), &["version"]].concat()));
    found.ok_or_else(|| "there is neither `docker compose` nor `docker-compose`".into())
}

/// A running stack. Dropped, it is torn down with its images.
#[derive(Debug)]
pub(crate) struct Stack {
    compose: Vec<&'static str>,
    project: String,
    port: u16,
    admin_port: u16,
    // Holds the copy of `conf/compose` that the proxy sees, and the compose file that says so.
    directory: TempDir,
}

/// What the engine knows about a container.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) facts: Value,
}

impl Stack {
    /// Builds the images and starts the containers.
    pub(crate) fn start(compose: Vec<&'static str>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let conf = directory.path().join("conf");
        std::fs::create_dir(&conf).unwrap();
        // The repository's compose file, with one mount moved to a copy that the test may edit.
        let mount = format!(
            "services: {{ proxy: {{ volumes: [ \"{}:/etc/tidegate:ro\" ] }} }}\n",
            conf.display()
        );
        std::fs::write(directory.path().join("mount.yml"), mount).unwrap();
        std::fs::copy(
            repository().join("conf/compose/tidegate.yaml"),
            conf.join("tidegate.yaml"),
        )
        .unwrap();
        readable_by_all(&[directory.path(), &conf]);
        let port = free_port();
        let project = format!("tidegate-test-{}", std::process::id());
        let stack = Self {
            compose,
            project,
            port,
            admin_port: free_port(),
            directory,
        };
        stack.compose(&["up", "-d", "--build"]);
        stack
    }

    /// Runs a compose command on this stack. Its output goes to the terminal; a test that fails here shows why.
    pub(crate) fn compose(&self, arguments: &[&str]) {
        let status = self.command(arguments).status().unwrap();
        assert!(
            status.success(),
            "{:?} {arguments:?}: {status}",
            self.compose
        );
    }

    /// The URL of `path` at the published port.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The URL of `path` at the operator's side.
    pub(crate) fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.admin_port)
    }

    /// The routing file, on the host.
    pub(crate) fn routing_file(&self) -> PathBuf {
        self.directory.path().join("conf/tidegate.yaml")
    }

    /// The containers of a service that run.
    pub(crate) fn containers(&self, service: &str) -> Vec<Container> {
        let output = self.command(&["ps", "-q", service]).output().unwrap();
        let ids = text(&output);
        let all = ids.split_whitespace().map(Container::inspect);
        all.filter(|container| container.facts["State"]["Running"] == true)
            .collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.compose[0]);
        command
            .args(&self.compose[1..])
            .args(["--project-name", &self.project]);
        command.arg("--project-directory").arg(repository());
        command
            .arg("-f")
            .arg(repository().join("docker-compose.yml"));
        command
            .arg("-f")
            .arg(self.directory.path().join("mount.yml"));
        // On loopback: a test opens no door to the network.
        command.env("TIDEGATE_PORT", format!("127.0.0.1:{}", self.port));
        command.env("TIDEGATE_ADMIN_PORT", self.admin_port.to_string());
        command.current_dir(repository()).args(arguments);
        command
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.command(&["ps"]).status();
            let _ = self.command(&["logs", "--no-color", "--tail=100"]).status();
        }
        let _ = self
            .command(&[
                "down",
                "--volumes",
                "--remove-orphans",
                "--rmi",
                "local",
                "-t",
                "5",
            ])
            .status();
    }
}

impl Container {
    /// Asks the engine.
    pub(crate) fn inspect(id: &str) -> Self {
        let facts: Value = serde_json::from_str(&docker(&["inspect", id])).unwrap();
        Self {
            id: id.into(),
            facts: facts[0].clone(),
        }
    }

    /// Runs a shell command in it and returns what it wrote to both outputs. It may fail.
    pub(crate) fn shell(&self, script: &str) -> String {
        let output = Command::new("docker")
            .args(["exec", &self.id, "sh", "-c", script])
            .output()
            .unwrap();
        text(&output)
    }

    /// Its addresses, one in each network.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let networks = self.facts["NetworkSettings"]["Networks"]
            .as_object()
            .unwrap();
        networks
            .values()
            .map(|network| network["IPAddress"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// The host ports that lead to it.
    pub(crate) fn published(&self) -> Vec<String> {
        let ports = self.facts["NetworkSettings"]["Ports"].as_object().unwrap();
        let hosts = ports.values().filter_map(Value::as_array).flatten();
        hosts
            .map(|host| {
                format!(
                    "{}:{}",
                    host["HostIp"].as_str().unwrap(),
                    host["HostPort"].as_str().unwrap()
                )
            })
            .collect()
    }

    /// What its `instance` is called: after its container.
    pub(crate) fn hostname(&self) -> &str {
        self.facts["Config"]["Hostname"].as_str().unwrap()
    }
}

/// Runs a docker command that must succeed, and returns its output.
pub(crate) fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "docker {arguments:?}: {}",
        text(&output)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Temporary folders are their owner's alone, and the proxy in the container is somebody else.
fn readable_by_all(folders: &[&Path]) {
    use std::os::unix::fs::PermissionsExt;
    for folder in folders {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}
