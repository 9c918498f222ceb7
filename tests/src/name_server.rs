//! A little name server (RFC 1035), and how a proxy is made to ask it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::{Gateway, PATIENCE, eventually, skip};

const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
const TYPE_SRV: u16 = 33;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;

/// Priority, weight, port and target.
pub type Service = (u16, u16, u16, String);

/// What the name server says about a name.
#[derive(Debug, Clone)]
pub enum Record {
    /// These addresses, for so many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// These services, for so many seconds.
    Services(Vec<Service>, u32),
    /// SERVFAIL.
    Failure,
    /// Nothing at all.
    Silence,
    /// One thing about its IPv4 addresses, another about those of IPv6.
    Families(Box<[Record; 2]>),
}

/// A name server (RFC 1035) with a few names, none of which it believes in for long.
#[derive(Debug)]
pub struct NameServer {
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
    /// Whether this machine lets `test` have a mount namespace and port 53; says so if not.
    pub fn is_possible(test: &str) -> bool {
        let mounts = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .arg("mount --bind /dev/null /etc/resolv.conf")
            .process_group(0)
            .output()
            .is_ok_and(|output| output.status.success());
        // Another test that asks the same at this moment has it: then it can be had.
        let binds = match std::net::UdpSocket::bind("127.53.0.1:53") {
            Ok(_) => true,
            Err(error) => error.kind() == std::io::ErrorKind::AddrInUse,
        };
        if !(mounts && binds) {
            skip(test, "a name server of its own takes root");
        }
        mounts && binds
    }

    /// On port 53 of a loopback address of its own, since resolver settings cannot name a port.
    pub async fn start() -> Self {
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

    /// What it says about this name from now on.
    pub fn set(&self, name: &str, record: Record) {
        self.zone.lock().unwrap().insert(name.into(), record);
    }

    /// The name stands for these addresses, for so many seconds.
    pub fn addresses<const N: usize>(&self, name: &str, addresses: [&str; N], ttl: u32) {
        let addresses = addresses.map(|it| it.parse().unwrap()).to_vec();
        self.set(name, Record::Addresses(addresses, ttl));
    }

    /// What it says of the name's IPv4 addresses, and of its IPv6 ones.
    pub fn families(&self, name: &str, four: Record, six: Record) {
        self.set(name, Record::Families(Box::new([four, six])));
    }

    /// These services are at this name.
    pub fn services(&self, name: &str, services: &[(u16, u16, u16, &str)], ttl: u32) {
        let owned = services.iter().map(|(priority, weight, port, target)| {
            (*priority, *weight, *port, (*target).to_owned())
        });
        self.set(name, Record::Services(owned.collect(), ttl));
    }

    /// Waits until it was asked for this name so many times more.
    pub async fn more_questions(&self, name: &str, count: usize) {
        let goal = self.asked(name) + count;
        let asked = async || self.asked(name) >= goal;
        eventually("more questions", PATIENCE, asked).await;
    }

    /// The name is not known any more: NXDOMAIN.
    pub fn forget(&self, name: &str) {
        self.zone.lock().unwrap().remove(name);
    }

    /// How often it was asked for the IPv4 addresses of this name, or for its services.
    pub fn asked(&self, name: &str) -> usize {
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

    /// A proxy that asks it.
    pub async fn gateway(&self, routing: &str) -> Gateway {
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
        if kind == TYPE_A || kind == TYPE_SRV {
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
    let (code, found, ttl): (u8, Vec<Vec<u8>>, u32) = match record {
        Some(Record::Families(both)) => {
            let [four, six] = both.as_ref();
            let one = if kind == TYPE_AAAA { six } else { four };
            return answer(question, kind, Some(one));
        }
        None => (NO_SUCH_NAME, Vec::new(), 0),
        Some(Record::Failure) => (SERVER_FAILURE, Vec::new(), 0),
        Some(Record::Silence) => return None,
        Some(Record::Services(all, ttl)) => {
            let all = all.iter().filter(|_| kind == TYPE_SRV);
            (0, all.map(service).collect(), *ttl)
        }
        Some(Record::Addresses(all, ttl)) => {
            let wanted = |it: &&IpAddr| it.is_ipv4() == (kind == TYPE_A);
            let known = kind == TYPE_A || kind == TYPE_AAAA;
            let all = all.iter().filter(|it| known && wanted(it));
            let octets = |it: &IpAddr| match it {
                IpAddr::V4(it) => it.octets().to_vec(),
                IpAddr::V6(it) => it.octets().to_vec(),
            };
            (0, all.map(octets).collect(), *ttl)
        }
    };
    let mut message = question.to_vec();
    // A response, recursion was desired and is available; one question, so many answers, nothing else.
    message[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    message[4..12].copy_from_slice(&[0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
    for data in found {
        // The name is the one at byte 12.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    Some(message)
}

/// RFC 2782, with the target in labels.
fn service((priority, weight, port, target): &Service) -> Vec<u8> {
    let numbers = [priority, weight, port];
    let mut data: Vec<u8> = numbers
        .into_iter()
        .flat_map(|it| it.to_be_bytes())
        .collect();
    for label in target.split('.').filter(|label| !label.is_empty()) {
        data.push(label.len() as u8);
        data.extend(label.as_bytes());
    }
    data.push(0);
    data
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
