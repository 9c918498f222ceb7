//! Servers that are names: a name stands for all its addresses, now and later. Each proxy runs with a name server of
//! the test's own.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_tests::{Gateway, Load, Origin, PATIENCE, eventually, free_port, skip};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// What the name server says about a name.
#[derive(Debug, Clone)]
enum Record {
    /// These addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Silence,
}

/// A name server (RFC 1035) with a few names, none of which it believes in for long.
struct NameServer {
    zone: Arc<Mutex<HashMap<String, Record>>>,
    questions: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
    settings: TempDir,
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl NameServer {
    /// On port 53 of a loopback address of its own, since resolver settings cannot name a port.
    async fn start() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(1);
        let zone = Arc::<Mutex<HashMap<String, Record>>>::default();
        let questions = Arc::<Mutex<Vec<String>>>::default();
        let third = (std::process::id() % 200) as u8 + 10;
        let (socket, address) = loop {
            let last = NEXT.fetch_add(1, Ordering::Relaxed);
            assert!(last < 250, "no free loopback address for a name server");
            let address = IpAddr::from([127, 53, third, last]);
            if let Ok(socket) = UdpSocket::bind((address, 53)).await {
                break (socket, address);
            }
        };
        let task = tokio::spawn(answer_all(
            socket,
            Arc::clone(&zone),
            Arc::clone(&questions),
        ));
        let settings = tempfile::tempdir().unwrap();
        let text = format!("nameserver {address}\noptions timeout:1 attempts:1\n");
        std::fs::write(settings.path().join("resolv.conf"), text).unwrap();
        Self {
            zone,
            questions,
            task,
            settings,
        }
    }

    fn set(&self, name: &str, record: Record) {
        self.zone.lock().unwrap().insert(name.into(), record);
    }

    fn addresses<const N: usize>(&self, name: &str, addresses: [&str; N], ttl: u32) {
        let addresses = addresses.map(|it| it.parse().unwrap()).to_vec();
        self.set(name, Record::Addresses(addresses, ttl));
    }

    /// The name is not known any more: NXDOMAIN.
    fn forget(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }

    /// How often it was asked for the IPv4 addresses of this name.
    fn asked(&self, name: &str) -> usize {
        let questions = self.questions.lock().unwrap();
        questions.iter().filter(|it| *it == name).count()
    }

    /// Lets the proxy see this name server's `resolv.conf` in place of the machine's, in a mount namespace of its own.
    fn serve(&self, command: &mut Command) {
        let mut wrapped = Command::new("unshare");
        wrapped
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"")
            .arg(self.settings.path().join("resolv.conf"))
            .arg(command.get_program())
            .args(command.get_args());
        *command = wrapped;
    }

    async fn gateway(&self, routing: &str) -> Gateway {
        Gateway::start_with(routing, |command| self.serve(command)).await
    }
}

async fn answer_all(
    socket: UdpSocket,
    zone: Arc<Mutex<HashMap<String, Record>>>,
    questions: Arc<Mutex<Vec<String>>>,
) {
    let mut question = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut question).await {
        let Some((name, kind, end)) = read_question(&question[..length]) else {
            continue;
        };
        if kind == TYPE_A {
            questions.lock().unwrap().push(name.clone());
        }
        let record = zone.lock().unwrap().get(&name).cloned();
        if let Some(answer) = answer(&question[..end], kind, record.as_ref()) {
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// The name, the type and where the question ends (RFC 1035, section 4.1.2). The header has twelve bytes.
fn read_question(message: &[u8]) -> Option<(String, u16, usize)> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        let label = message.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes([*message.get(at)?, *message.get(at + 1)?]);
    Some((labels.join("."), kind, at + 4))
}

/// The answer to a question, which is repeated in it; nothing if the server is to be silent.
fn answer(question: &[u8], kind: u16, record: Option<&Record>) -> Option<Vec<u8>> {
    let (code, addresses, ttl) = match record {
        None => (NO_SUCH_NAME, Vec::new(), 0),
        Some(Record::Failure) => (SERVER_FAILURE, Vec::new(), 0),
        Some(Record::Silence) => return None,
        Some(Record::Addresses(all, ttl)) => {
            let wanted = |it: &&IpAddr| it.is_ipv4() == (kind == TYPE_A);
            let known = kind == TYPE_A || kind == TYPE_AAAA;
            (
                0,
                all.iter().filter(|it| known && wanted(it)).collect(),
                *ttl,
            )
        }
    };
    let mut message = question.to_vec();
    // A response, recursion was desired and is available; one question, so many answers, nothing else.
    message[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    message[4..12].copy_from_slice(&[0, 1, 0, addresses.len() as u8, 0, 0, 0, 0]);
    for address in addresses {
        // The name is the one at byte 12.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        let octets = match address {
            IpAddr::V4(it) => it.octets().to_vec(),
            IpAddr::V6(it) => it.octets().to_vec(),
        };
        message.extend((octets.len() as u16).to_be_bytes());
        message.extend(octets);
    }
    Some(message)
}

/// Whether this machine lets a test have a mount namespace and port 53; says so if not.
fn can_serve_names(test: &str) -> bool {
    let mounts = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg("mount --bind /dev/null /etc/resolv.conf")
        .process_group(0)
        .output()
        .is_ok_and(|output| output.status.success());
    let binds = std::net::UdpSocket::bind("127.53.0.1:53").is_ok();
    if !(mounts && binds) {
        skip(test, "a name server of its own takes root");
    }
    mounts && binds
}

/// A server on `ip` that answers as `whoami` does, with its address as the instance.
async fn server(ip: &str, port: u16) -> Origin {
    let body = format!("{{\"instance\":\"{ip}\"}}");
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    Origin::start_at(
        SocketAddr::new(ip.parse().unwrap(), port),
        move |mut connection| {
            let answer = answer.clone();
            async move {
                while connection.read_head().await.is_some()
                    && connection.write(answer.as_bytes()).await
                {}
            }
        },
    )
    .await
}

fn routing(server: &str, options: &str) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ \"{server}\" ]{options} }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

const REFRESH: &str = ", dns_refresh: 1s";

async fn shares(gateway: &Gateway, count: u64) -> BTreeMap<String, u64> {
    let report = Load::run(&gateway.url("/"), 1, count).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    report.instances
}

/// Waits until exactly these addresses answer.
async fn answered_by<const N: usize>(gateway: &Gateway, expected: [&str; N]) {
    let what = format!("{expected:?} answer");
    eventually(&what, PATIENCE, async || {
        let found = shares(gateway, 2 * N as u64).await;
        let found: Vec<&String> = found.keys().collect();
        if found == expected {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_stands_for_all_its_addresses() {
    if !can_serve_names("a_name_stands_for_all_its_addresses") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    // A name without a dot, as containers have them.
    names.addresses("api", ["127.0.0.1", "127.0.0.2"], 600);
    let gateway = names.gateway(&routing(&format!("api:{port}"), "")).await;
    let found = shares(&gateway, 100).await;
    assert_eq!(found["127.0.0.1"], 50, "{found:?}");
    assert_eq!(found["127.0.0.2"], 50, "{found:?}");
}

#[tokio::test]
async fn a_name_stands_for_its_addresses_of_both_families() {
    if !can_serve_names("a_name_stands_for_its_addresses_of_both_families") {
        return;
    }
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip(
            "a_name_stands_for_its_addresses_of_both_families",
            "no IPv6",
        );
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _four = server("127.0.0.1", port).await;
    let _six = server("::1", port).await;
    names.addresses("api.test", ["127.0.0.1", "::1"], 600);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), ""))
        .await;
    answered_by(&gateway, ["127.0.0.1", "::1"]).await;
    // And one that has only the newer kind.
    names.addresses("six.test", ["::1"], 600);
    gateway
        .reload(&routing(&format!("six.test:{port}"), ""))
        .await;
    answered_by(&gateway, ["::1"]).await;
}

#[tokio::test]
async fn a_name_is_resolved_again_and_addresses_come_and_go_without_a_failed_request() {
    if !can_serve_names("a_name_is_resolved_again") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _servers = [
        server("127.0.0.1", port).await,
        server("127.0.0.2", port).await,
        server("127.0.0.3", port).await,
    ];
    names.addresses("api.test", ["127.0.0.1"], 0);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    names.addresses("api.test", ["127.0.0.3", "127.0.0.1", "127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2", "127.0.0.3"]).await;
    names.addresses("api.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// Docker's name server says ten minutes for containers that change by the second.
#[tokio::test]
async fn a_long_ttl_is_bounded_by_dns_refresh() {
    if !can_serve_names("a_long_ttl_is_bounded_by_dns_refresh") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("api.test", ["127.0.0.1"], 600);
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    names.addresses("api.test", ["127.0.0.2"], 600);
    answered_by(&gateway, ["127.0.0.2"]).await;
    assert!(names.asked("api.test") >= 2);
}

#[tokio::test]
async fn a_short_ttl_is_honoured_below_dns_refresh_but_not_below_a_second() {
    if !can_serve_names("a_short_ttl_is_honoured") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    names.addresses("api.test", ["127.0.0.1"], 0);
    let options = ", dns_refresh: 10m";
    let began = Instant::now();
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), options))
        .await;
    let thrice = async || names.asked("api.test") >= 3;
    eventually("it is asked for again", PATIENCE, thrice).await;
    assert!(
        began.elapsed() > Duration::from_millis(1900),
        "{:?}",
        began.elapsed()
    );
    answered_by(&gateway, ["127.0.0.1"]).await;
}

#[tokio::test]
async fn a_name_that_does_not_resolve_yet_is_503_and_works_once_it_does() {
    if !can_serve_names("a_name_that_does_not_resolve_yet") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), REFRESH))
        .await;
    assert_eq!(gateway.ready().await.status, 200);
    let asked = Instant::now();
    let answer = gateway.get("/early").await;
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], "no_servers");
    assert!(
        asked.elapsed() < Duration::from_secs(1),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(gateway.log_line("/early").await["failure"], "no_servers");
    gateway.process.logged("name does not resolve").await;
    names.addresses("api.test", ["127.0.0.1"], 600);
    eventually("it works", PATIENCE, async || {
        gateway.get("/").await.status() == 200
    })
    .await;
}

/// The start waits for the first answer, but not for ever.
#[tokio::test]
async fn a_name_server_that_is_silent_does_not_hold_up_the_start_nor_other_upstreams() {
    if !can_serve_names("a_name_server_that_is_silent") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let one = server("127.0.0.1", port).await;
    names.set("mute.test", Record::Silence);
    let began = Instant::now();
    let gateway = names
        .gateway(&format!(
            "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\n  mute: {{ servers: [ \"mute.test:80\" ] }}\n\
             routes:\n  all: {{ upstream: api }}\n  mute: {{ match: {{ path: /mute }}, upstream: mute }}\n",
            one.address()
        ))
        .await;
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(gateway.get("/").await.status(), 200);
    assert_eq!(gateway.get("/mute").await.status(), 503);
}

#[tokio::test]
async fn a_look_up_that_fails_keeps_the_last_addresses_and_is_told_once() {
    if !can_serve_names("a_look_up_that_fails_keeps_the_last_addresses") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    let _two = server("127.0.0.2", port).await;
    names.addresses("api.test", ["127.0.0.1"], 0);
    let routing = routing(&format!("api.test:{port}"), REFRESH);
    let gateway = names.gateway(&routing).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    let more_questions = async |count: usize| {
        let goal = names.asked("api.test") + count;
        let asked = async || names.asked("api.test") >= goal;
        eventually("more questions", PATIENCE, asked).await;
    };
    let told = || {
        let log = gateway.process.log();
        let told = log.iter().filter(|line| line.contains("does not resolve"));
        told.count()
    };
    names.forget("api.test");
    more_questions(3).await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    assert_eq!(told(), 1);
    for trouble in [Record::Failure, Record::Silence] {
        names.set("api.test", trouble);
        more_questions(2).await;
        answered_by(&gateway, ["127.0.0.1"]).await;
    }
    // A reload in the middle of it keeps them, too.
    gateway
        .reload(&(routing + "timeouts: { read: 7s }\n"))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
    names.addresses("api.test", ["127.0.0.2"], 0);
    answered_by(&gateway, ["127.0.0.2"]).await;
}

/// Health belongs to the address: what is known of one stays when others come and go.
#[tokio::test]
async fn the_addresses_of_a_name_are_probed_one_by_one() {
    if !can_serve_names("the_addresses_of_a_name_are_probed_one_by_one") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let _one = server("127.0.0.1", port).await;
    names.addresses("api.test", ["127.0.0.1", "127.0.0.2"], 0);
    let options =
        format!("{REFRESH}, health_check: {{ tcp: {{ interval: 50ms, healthy_after: 1 }} }}");
    let gateway = names
        .gateway(&routing(&format!("api.test:{port}"), &options))
        .await;
    let servers = async || gateway.ready().await.body["upstreams"][0]["servers"].clone();
    eventually("the one that nobody serves is down", PATIENCE, async || {
        servers().await[1]["health"] == "down"
    })
    .await;
    let found = shares(&gateway, 10).await;
    assert_eq!(found["127.0.0.1"], 10, "{found:?}");
    let _two = server("127.0.0.2", port).await;
    answered_by(&gateway, ["127.0.0.1", "127.0.0.2"]).await;
}

/// The test's own name server says what a real one would.
#[test]
fn a_question_is_answered_in_the_form_of_rfc_1035() {
    let mut question = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    question.extend(b"\x03API\x04test\x00\x00\x01\x00\x01");
    let (name, kind, end) = read_question(&question).unwrap();
    assert_eq!(
        (name.as_str(), kind, end),
        ("api.test", TYPE_A, question.len())
    );
    let record = Record::Addresses(vec!["1.2.3.4".parse().unwrap()], 600);
    let answer = answer(&question, kind, Some(&record)).unwrap();
    assert_eq!(&answer[..8], [0xab, 0xcd, 0x81, 0x80, 0, 1, 0, 1]);
    assert_eq!(
        &answer[end..],
        [0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 88, 0, 4, 1, 2, 3, 4]
    );
}
