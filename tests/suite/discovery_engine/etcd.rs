//! `discover: etcd`, with an etcd of the test's own.

use std::net::SocketAddr;
use std::process::Command;

use tempfile::TempDir;
use tidegate_tests::{
    Api, Gateway, Load, PATIENCE, Process, eventually, free_address, refusing_address, skip,
};

use crate::between::{Behind, Between};
use crate::{answered_by, asks, failing, servers, source, well};

/// Below it are the servers.
const PREFIX: &str = "/services/api/";

/// A running etcd. Killed when dropped.
struct Etcd {
    process: Process,
    clients: SocketAddr,
    peers: SocketAddr,
    data: TempDir,
}

/// Whether this machine has one; says so if not.
fn is_there(test: &str) -> bool {
    let works = |program: &str| Command::new(program).arg("--help").output().is_ok();
    let there = works("etcd") && works("etcdctl");
    if !there {
        skip(
            test,
            "there is no etcd (apt-get install etcd-server etcd-client)",
        );
    }
    there
}

impl Etcd {
    async fn start() -> Self {
        let (clients, peers) = (free_address(), free_address());
        let data = tempfile::tempdir().unwrap();
        let process = run(clients, peers, &data);
        let etcd = Self {
            process,
            clients,
            peers,
            data,
        };
        etcd.answers().await;
        etcd
    }

    /// Again, with the keys that it had.
    async fn restart(&mut self) {
        self.process.kill();
        self.process = run(self.clients, self.peers, &self.data);
        self.answers().await;
    }

    async fn answers(&self) {
        eventually("etcd answers", PATIENCE, async || {
            let output = self.command(&["get", "x"]).output().unwrap();
            match output.status.success() {
                true => Ok(()),
                false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            }
        })
        .await;
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.clients.to_string()])
            .args(arguments);
        command
    }

    /// As an operator does it.
    fn ctl(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn put(&self, name: &str, value: &str) {
        self.ctl(&["put", &format!("{PREFIX}{name}"), value]);
    }

    fn delete(&self, name: &str) {
        self.ctl(&["del", &format!("{PREFIX}{name}")]);
    }

    fn url(&self) -> String {
        format!("http://{}", self.clients)
    }

    fn routing(&self) -> String {
        let url = self.url();
        asks(&format!(
            "etcd: {{ endpoints: [ \"{url}\" ], prefix: {PREFIX} }}"
        ))
    }
}

fn run(clients: SocketAddr, peers: SocketAddr, data: &TempDir) -> Process {
    let (clients, peers) = (format!("http://{clients}"), format!("http://{peers}"));
    let mut command = Command::new("etcd");
    command
        .arg("--data-dir")
        .arg(data.path().join("etcd"))
        .args(["--listen-client-urls", &clients])
        .args(["--advertise-client-urls", &clients])
        .args(["--listen-peer-urls", &peers])
        .args(["--initial-advertise-peer-urls", &peers])
        .args(["--initial-cluster", &format!("default={peers}")])
        .args(["--logger", "zap", "--log-level", "warn"])
        // Nobody minds if these keys are lost.
        .arg("--unsafe-no-fsync");
    Process::start("etcd", command)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go_under_load_without_a_failed_request() {
    if !is_there("keys_come_and_go_under_load_without_a_failed_request") {
        return;
    }
    let etcd = Etcd::start().await;
    let (one, two) = (Api::start("one").await, Api::start("two").await);
    etcd.put("one", &one.address().to_string());
    // One that only looks alike.
    etcd.ctl(&["put", "/services/apis/x", "127.0.0.1:1"]);
    let gateway = Gateway::start(&etcd.routing()).await;
    answered_by(&gateway, ["one"]).await;

    let load = Load::start(&gateway.url("/api/whoami"), 2);
    let in_full = format!(
        "{{\"address\": \"{}\", \"weight\": 3, \"priority\": 0}}",
        two.address()
    );
    etcd.put("two", &in_full);
    answered_by(&gateway, ["one", "two"]).await;
    // What cannot be one is told by its name, and spoils nothing.
    etcd.put("wrong", "somewhere");
    let told = gateway.process.logged("/services/api/wrong").await;
    assert!(told.contains("has no port"), "{told}");
    let list = servers(&gateway).await;
    let weights: Vec<_> = list.iter().map(|server| &server["weight"]).collect();
    assert!(
        weights.len() == 2 && weights.iter().any(|weight| **weight == 3),
        "{list:?}"
    );
    etcd.delete("one");
    answered_by(&gateway, ["two"]).await;
    // Back where it was.
    etcd.put("one", &one.address().to_string());
    answered_by(&gateway, ["one", "two"]).await;
    load.more(20).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");

    // No key is an answer like any other.
    etcd.ctl(&["del", "--prefix", PREFIX]);
    answered_by(&gateway, []).await;
    let source = source(&gateway).await;
    assert!(source["failing_since"].is_null(), "{source}");
    etcd.put("two", &two.address().to_string());
    answered_by(&gateway, ["two"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_takes_its_server_along() {
    if !is_there("a_lease_that_ends_takes_its_server_along") {
        return;
    }
    let etcd = Etcd::start().await;
    let (one, two) = (Api::start("one").await, Api::start("two").await);
    etcd.put("two", &two.address().to_string());
    let granted = etcd.ctl(&["lease", "grant", "600"]);
    let lease = granted.split_whitespace().nth(1).unwrap();
    let key = format!("{PREFIX}one");
    etcd.ctl(&["put", "--lease", lease, &key, &one.address().to_string()]);
    let gateway = Gateway::start(&etcd.routing()).await;
    answered_by(&gateway, ["one", "two"]).await;
    // Its holder renews a short one no more.
    let granted = etcd.ctl(&["lease", "grant", "1"]);
    let short = granted.split_whitespace().nth(1).unwrap();
    etcd.ctl(&["put", "--lease", short, &key, &one.address().to_string()]);
    answered_by(&gateway, ["two"]).await;
    assert_eq!(etcd.ctl(&["get", &key]), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_gone_keeps_the_servers_and_says_since_when() {
    if !is_there("an_etcd_that_is_gone_keeps_the_servers_and_says_since_when") {
        return;
    }
    let mut etcd = Etcd::start().await;
    let (one, two) = (Api::start("one").await, Api::start("two").await);
    etcd.put("one", &one.address().to_string());
    let gateway = Gateway::start(&etcd.routing()).await;
    answered_by(&gateway, ["one"]).await;
    let load = Load::start(&gateway.url("/api/whoami"), 2);
    etcd.process.kill();
    let why = failing(&gateway).await;
    let address = etcd.clients;
    assert_eq!(
        why,
        format!("cannot be asked: no connection to `{address}`: connection refused")
    );
    // A reload in the middle of it changes nothing.
    gateway
        .reload(&(etcd.routing() + "timeouts: { read: 7s }\n"))
        .await;
    answered_by(&gateway, ["one"]).await;
    etcd.restart().await;
    well(&gateway).await;
    etcd.put("two", &two.address().to_string());
    answered_by(&gateway, ["one", "two"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_member_is_asked_by_one_who_says_who_it_is() {
    if !is_there("the_next_member_is_asked_by_one_who_says_who_it_is") {
        return;
    }
    let etcd = Etcd::start().await;
    let one = Api::start("one").await;
    etcd.put("one", &one.address().to_string());
    etcd.ctl(&["user", "add", "root:very-secret"]);
    etcd.ctl(&["user", "grant-role", "root", "root"]);
    etcd.ctl(&["auth", "enable"]);
    let (nobody, url) = (refusing_address(), etcd.url());
    let routing = |who: &str| {
        asks(&format!(
            "etcd: {{ endpoints: [ \"{nobody}\", \"{url}\" ], prefix: {PREFIX}{who} }}"
        ))
    };
    let gateway = Gateway::start_with(&routing(""), |command| {
        command.env("RIGHT_PASSWORD", "very-secret");
        command.env("WRONG_PASSWORD", "wrong-secret");
    })
    .await;
    let why = failing(&gateway).await;
    assert!(
        why.contains("connection refused; ") && why.contains("user name is empty"),
        "{why}"
    );
    gateway
        .reload(&routing(
            ", username: root, password: \"${WRONG_PASSWORD}\"",
        ))
        .await;
    eventually("the password is refused", PATIENCE, async || {
        failing(&gateway)
            .await
            .contains("invalid user ID or password")
    })
    .await;
    gateway
        .reload(&routing(
            ", username: root, password: \"${RIGHT_PASSWORD}\"",
        ))
        .await;
    answered_by(&gateway, ["one"]).await;
    well(&gateway).await;
    let log = gateway.process.log().join("\n");
    assert!(!log.contains("very-secret") && !log.contains("wrong-secret"));
}

/// A line that died says nothing: neither of changes, nor that it is dead.
#[tokio::test(flavor = "multi_thread")]
async fn keys_are_looked_at_again_even_if_the_watch_is_silent() {
    if !is_there("keys_are_looked_at_again_even_if_the_watch_is_silent") {
        return;
    }
    let etcd = Etcd::start().await;
    let one = Api::start("one").await;
    let at = free_address();
    let between = Between::on_port(at, Behind::Tcp(etcd.clients), "/v3/watch").await;
    let gateway = Gateway::start(&asks(&format!(
        "etcd: {{ endpoints: [ \"http://{at}\" ], prefix: {PREFIX}, refresh: 1s }}"
    )))
    .await;
    answered_by(&gateway, []).await;
    etcd.put("one", &one.address().to_string());
    answered_by(&gateway, ["one"]).await;
    assert!(between.silenced() > 0);
}
