//! `discover: docker`, with the engine of this machine, and containers in networks of the test's own.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_tests::{Gateway, Load, PATIENCE, eventually, free_address, program, skip};

use crate::between::{Behind, Between};
use crate::{answered_by, asks, failing, servers, well};

const SOCKET: &str = "/var/run/docker.sock";

/// Where `tidegate-api` listens in its container.
const PORT: &str = "5252";

/// Runs a docker command that must succeed, and returns its output.
fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker {arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Whether an engine answers; says so if not.
fn is_there(test: &str) -> bool {
    let output = Command::new("docker").arg("info").output();
    let there = output.is_ok_and(|output| output.status.success());
    if !there {
        skip(test, "no Docker engine answers `docker info`");
    }
    there
}

/// Containers and networks of one test, with a label that nobody else has. Removed when dropped.
struct Yard {
    name: String,
}

impl Yard {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let yard = Self {
            name: format!("tidegate-test-{}-{count}", std::process::id()),
        };
        yard.network("");
        yard
    }

    fn label(&self) -> String {
        format!("tidegate.upstream={}", self.name)
    }

    /// One more, and what it is called.
    fn network(&self, name: &str) -> String {
        let name = format!("{}{name}", self.name);
        docker(&["network", "create", "--label", &self.label(), &name]);
        name
    }

    /// What a container is called for the engine.
    fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    /// An API that calls itself `name`, with these options of `docker run`.
    fn start(&self, name: &str, options: &[&str]) {
        let api = format!("{}:/api:ro", program("tidegate-api").display());
        let (container, label) = (self.named(name), self.label());
        let mut arguments = vec!["run", "--detach", "--name", &container, "--label", &label];
        arguments.extend(["--network", &self.name, "--volume", &api]);
        arguments.extend(options);
        arguments.extend(["debian:bookworm-slim", "/api", "--name", name]);
        let listen = format!("0.0.0.0:{PORT}");
        arguments.extend(["--listen", &listen]);
        docker(&arguments);
    }

    fn stop(&self, name: &str) {
        docker(&["stop", "--time", "5", &self.named(name)]);
    }

    /// Its address in a network.
    fn address(&self, name: &str, network: &str) -> String {
        let wanted = format!("{{{{(index .NetworkSettings.Networks \"{network}\").IPAddress}}}}");
        docker(&["inspect", "--format", &wanted, &self.named(name)])
    }

    fn routing(&self, options: &str) -> String {
        let label = self.label();
        asks(&format!("docker: {{ label: {label}{options} }}"))
    }
}

impl Drop for Yard {
    fn drop(&mut self) {
        let filter = format!("label={}", self.label());
        for (list, remove) in [
            (vec!["ps", "--all"], vec!["rm", "--force", "--volumes"]),
            (vec!["network", "ls"], vec!["network", "rm"]),
        ] {
            let listed = Command::new("docker")
                .args(list)
                .args(["--quiet", "--filter", &filter])
                .output();
            let listed = listed.map(|output| output.stdout).unwrap_or_default();
            let ids = String::from_utf8_lossy(&listed).into_owned();
            if !ids.trim().is_empty() {
                let _ = Command::new("docker")
                    .args(remove)
                    .args(ids.split_whitespace())
                    .output();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_come_and_go_under_load_without_a_failed_request() {
    if !is_there("containers_come_and_go_under_load_without_a_failed_request") {
        return;
    }
    let yard = Yard::new();
    yard.start("one", &["--expose", PORT]);
    let gateway = Gateway::start(&yard.routing("")).await;
    answered_by(&gateway, ["one"]).await;

    let load = Load::start(&gateway.url("/api/whoami"), 2);
    yard.start("two", &["--expose", PORT]);
    answered_by(&gateway, ["one", "two"]).await;
    // One that exposes nothing, and does not say where it listens.
    yard.start("mute", &[]);
    let told = gateway.process.logged("is left out").await;
    assert!(
        told.contains(&yard.named("mute")) && told.contains("exposes no port"),
        "{told}"
    );
    yard.stop("one");
    answered_by(&gateway, ["two"]).await;
    docker(&["start", &yard.named("one")]);
    answered_by(&gateway, ["one", "two"]).await;
    load.more(20).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");

    // One that stands still answers nothing more, not even what it has begun.
    docker(&["pause", &yard.named("one")]);
    let alone = async || servers(&gateway).await.len() == 1;
    eventually("it is left out", PATIENCE, alone).await;
    answered_by(&gateway, ["two"]).await;
    docker(&["unpause", &yard.named("one")]);
    answered_by(&gateway, ["one", "two"]).await;

    // No container is an answer like any other.
    docker(&["kill", &yard.named("one"), &yard.named("two")]);
    answered_by(&gateway, []).await;
    well(&gateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_with_a_check_is_a_server_while_that_says_so() {
    if !is_there("a_container_with_a_check_is_a_server_while_that_says_so") {
        return;
    }
    let yard = Yard::new();
    let check = [
        "--health-cmd=test -e /tmp/well",
        "--health-interval=1s",
        "--health-retries=1",
    ];
    yard.start("ill", &check);
    yard.start("plain", &[]);
    let gateway = Gateway::start(&yard.routing(", port: 5252")).await;
    answered_by(&gateway, ["plain"]).await;
    docker(&["exec", &yard.named("ill"), "touch", "/tmp/well"]);
    answered_by(&gateway, ["ill", "plain"]).await;
    docker(&["exec", &yard.named("ill"), "rm", "/tmp/well"]);
    answered_by(&gateway, ["plain"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_and_options_say_what_a_server_is() {
    if !is_there("labels_and_options_say_what_a_server_is") {
        return;
    }
    let yard = Yard::new();
    let (a, z) = (yard.network("-a"), yard.network("-z"));
    yard.start("one", &["--expose", "1", "--expose", "2"]);
    let labels = [
        "--label=tidegate.port=7000",
        "--label=tidegate.weight=3",
        "--label=tidegate.priority=2",
        &format!("--label=tidegate.network={a}"),
    ];
    yard.start("two", &labels);
    yard.start("three", &["--label=tidegate.backup=true"]);
    yard.start("off", &["--label=tidegate.enable=false"]);
    for name in ["one", "two", "three"] {
        docker(&["network", "connect", &a, &yard.named(name)]);
        docker(&["network", "connect", &z, &yard.named(name)]);
    }
    let shown = async |gateway: &Gateway| {
        let mut shown: Vec<String> = servers(gateway)
            .await
            .iter()
            .map(|server| {
                let address = server["address"].as_str().unwrap();
                let priority = match server["backup"] == true {
                    true => "backup".to_owned(),
                    false => server["priority"].to_string(),
                };
                format!("{address} {} {priority}", server["weight"])
            })
            .collect();
        shown.sort();
        shown
    };
    let gateway = Gateway::start(&yard.routing(&format!(", port: {PORT}, network: {z}"))).await;
    let mut expected = [
        format!("{}:5252 1 0", yard.address("one", &z)),
        format!("{}:7000 3 2", yard.address("two", &a)),
        format!("{}:5252 1 backup", yard.address("three", &z)),
    ];
    expected.sort();
    eventually("the labels hold", PATIENCE, async || {
        let shown = shown(&gateway).await;
        if shown == expected {
            Ok(())
        } else {
            Err(shown)
        }
    })
    .await;
    answered_by(&gateway, ["one"]).await;
    // It leaves the network by which it was reached, and is told.
    docker(&["network", "disconnect", &z, &yard.named("one")]);
    gateway.process.logged("it is not in the network").await;
    answered_by(&gateway, ["three"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_gone_keeps_the_servers_and_says_since_when() {
    if !is_there("an_engine_that_is_gone_keeps_the_servers_and_says_since_when") {
        return;
    }
    let yard = Yard::new();
    yard.start("one", &[]);
    yard.start("two", &[]);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let engine = || Between::on_socket(&socket, Behind::Unix(PathBuf::from(SOCKET)));
    let between = engine();
    let at = socket.display();
    let options = format!(", port: {PORT}, endpoint: \"unix://{at}\"");
    let gateway = Gateway::start(&yard.routing(&options)).await;
    answered_by(&gateway, ["one", "two"]).await;
    let load = Load::start(&gateway.url("/api/whoami"), 2);
    drop(between);
    let why = failing(&gateway).await;
    assert_eq!(
        why,
        format!("cannot be asked: no connection to `{at}`: connection refused")
    );
    gateway
        .reload(&(yard.routing(&options) + "timeouts: { read: 7s }\n"))
        .await;
    answered_by(&gateway, ["one", "two"]).await;
    // What happens meanwhile is seen when it is back.
    yard.start("three", &[]);
    let _between = engine();
    well(&gateway).await;
    answered_by(&gateway, ["one", "three", "two"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_are_looked_at_again_even_if_the_events_are_silent() {
    if !is_there("containers_are_looked_at_again_even_if_the_events_are_silent") {
        return;
    }
    let yard = Yard::new();
    let at = free_address();
    let engine = Behind::Unix(PathBuf::from(SOCKET));
    let between = Between::on_port(at, engine, "/events?").await;
    let options = format!(", port: {PORT}, endpoint: \"tcp://{at}\", refresh: 1s");
    let gateway = Gateway::start(&yard.routing(&options)).await;
    answered_by(&gateway, []).await;
    yard.start("one", &[]);
    answered_by(&gateway, ["one"]).await;
    assert!(between.silenced() > 0);
}
