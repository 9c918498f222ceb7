//! The real process on a real socket: how it starts, what the wire carries, how it leaves.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

/// How long anything may take before the test is called failed.
const DEADLINE: Duration = Duration::from_secs(15);

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-api"));
    // What the developer's own shell has set is none of the test's business.
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A running API, killed when dropped.
struct Api {
    child: Child,
    address: SocketAddr,
}

impl Api {
    fn start(arguments: &[&str]) -> Self {
        let child = program()
            .args(["--listen", "127.0.0.1:0", "--name", "api-1"])
            .args(arguments)
            .spawn();
        let mut child = child.unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse();
        let Ok(address) = address else {
            panic!("not where it listens: {line}")
        };
        // Keep reading, so that the process never blocks on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    async fn exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("still running after {DEADLINE:?}")
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends one request and gives all that comes back until the connection closes.
    async fn raw(&self, head: &str) -> String {
        let mut stream = self.connect().await;
        send(&mut stream, head).await;
        read_to_end(stream).await
    }

    /// Until the process has begun to answer this many requests, so that they are in flight and not in a queue.
    async fn has_received(&self, requests: usize) {
        let start = Instant::now();
        // Each time it is asked is a request as well.
        for asked in 1.. {
            let answer = self
                .raw("GET /api/whoami HTTP/1.1\r\nConnection: close")
                .await;
            if answer.contains(&format!("\"requests\":{}", requests + asked)) {
                return;
            }
            assert!(
                start.elapsed() < DEADLINE,
                "it never received them: {answer}"
            );
        }
    }

    /// Until the listener is gone.
    async fn refuses_connections(&self) {
        let start = Instant::now();
        while TcpStream::connect(self.address).await.is_ok() {
            assert!(start.elapsed() < DEADLINE, "still accepts connections");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn send(stream: &mut TcpStream, head: &str) {
    stream
        .write_all(format!("{head}\r\nHost: test\r\n\r\n").as_bytes())
        .await
        .unwrap();
}

async fn read_to_end(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer))
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(answer).unwrap()
}

/// Reads until `needle` has arrived.
async fn read_until(stream: &mut TcpStream, needle: &str) -> String {
    let mut answer = String::new();
    let mut chunk = [0; 1024];
    while !answer.contains(needle) {
        let read = tokio::time::timeout(DEADLINE, stream.read(&mut chunk))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(read, 0, "closed before `{needle}`: {answer}");
        answer.push_str(&String::from_utf8_lossy(chunk.get(..read).unwrap()));
    }
    answer
}

#[test]
fn a_taken_port_is_one_line_and_exit_1() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let mut child = program().args(["--listen", &address]).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(&address), "{stderr}");
}

#[tokio::test]
async fn the_health_command_tells_by_its_exit_code() {
    let mut api = Api::start(&[]);
    let health = || {
        program()
            .args(["health"])
            .env("TIDEGATE_API_LISTEN", api.address.to_string())
            .status()
    };
    assert_eq!(health().unwrap().code(), Some(0));
    let address = api.address.to_string();
    api.signal("-TERM");
    api.exit().await;
    let after = program().args(["health", "--listen", &address]).status();
    assert_eq!(after.unwrap().code(), Some(1));
}

#[tokio::test]
async fn bodiless_answers_carry_nothing_on_the_wire() {
    let api = Api::start(&[]);
    for code in [204, 304] {
        let answer = api
            .raw(&format!(
                "GET /api/status/{code} HTTP/1.1\r\nConnection: close"
            ))
            .await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{answer}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(
            !answer.to_lowercase().contains("transfer-encoding"),
            "{answer}"
        );
    }
    // RFC 9110, section 8.6: no Content-Length in a 204.
    let answer = api
        .raw("GET /api/status/204 HTTP/1.1\r\nConnection: close")
        .await;
    assert!(
        !answer.to_lowercase().contains("content-length"),
        "{answer}"
    );
    let answer = api
        .raw("HEAD /api/hello HTTP/1.1\r\nConnection: close")
        .await;
    assert!(
        answer.contains("content-length: 13") && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[tokio::test]
async fn idle_it_stops_at_once() {
    let mut api = Api::start(&[]);
    // An idle keep-alive connection, and one that has not said anything yet, must not hold the process up.
    let mut idle = api.connect().await;
    send(&mut idle, "GET /api/hello HTTP/1.1").await;
    read_until(&mut idle, "Hello, World!").await;
    let _silent = api.connect().await;

    let start = Instant::now();
    api.signal("-TERM");
    assert_eq!(api.exit().await.code(), Some(0));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn what_is_in_flight_finishes_while_nothing_new_is_accepted() {
    let mut api = Api::start(&[]);
    let mut slow = api.connect().await;
    send(&mut slow, "GET /api/slow?ms=1000 HTTP/1.1").await;
    let mut sending = api.connect().await;
    sending
        .write_all(b"POST /api/sink HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\n12345")
        .await
        .unwrap();
    api.has_received(2).await;

    api.signal("-TERM");
    api.refuses_connections().await;
    sending.write_all(b"67890").await.unwrap();
    assert!(read_to_end(sending).await.contains(r#"{"bytes":10}"#));
    let answer = read_to_end(slow).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains(r#"{"ms":1000}"#),
        "{answer}"
    );
    assert_eq!(api.exit().await.code(), Some(0));
}

#[tokio::test]
async fn with_a_drain_delay_health_fails_while_requests_are_still_answered() {
    let mut api = Api::start(&["--drain-delay", "3"]);
    api.signal("-TERM");
    let start = Instant::now();
    while !api
        .raw("GET /api/health HTTP/1.1\r\nConnection: close")
        .await
        .starts_with("HTTP/1.1 503 ")
    {
        assert!(
            start.elapsed() < Duration::from_millis(2500),
            "health never failed"
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(
        api.raw("GET /api/hello HTTP/1.1\r\nConnection: close")
            .await
            .ends_with("Hello, World!")
    );
    assert_eq!(api.exit().await.code(), Some(0));
}

#[tokio::test]
async fn events_end_politely_when_the_process_stops() {
    let mut api = Api::start(&[]);
    let mut stream = api.connect().await;
    send(&mut stream, "GET /api/stream?events=1000&ms=50 HTTP/1.1").await;
    read_until(&mut stream, r#""event":2"#).await;
    api.signal("-TERM");
    let rest = read_to_end(stream).await;
    assert!(
        rest.contains("event: end") && rest.contains("draining"),
        "{rest}"
    );
    assert!(
        rest.ends_with("0\r\n\r\n"),
        "the body must end as a body does: {rest}"
    );
    assert_eq!(api.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_websocket_echoes_and_is_told_when_the_process_stops() {
    let mut api = Api::start(&[]);
    let (mut socket, answer) =
        tokio_tungstenite::connect_async(format!("ws://{}/api/ws", api.address))
            .await
            .unwrap();
    assert_eq!(answer.headers().get("x-instance").unwrap(), "api-1");
    for message in [
        Message::text("high water"),
        Message::binary(vec![0, 255]),
        Message::text("x".repeat(1024 * 1024)),
    ] {
        socket.send(message.clone()).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), message);
    }

    api.signal("-TERM");
    api.refuses_connections().await;
    // Within the grace the conversation goes on.
    socket.send(Message::text("still there?")).await.unwrap();
    assert_eq!(
        socket.next().await.unwrap().unwrap(),
        Message::text("still there?")
    );
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else {
        panic!("not a close frame")
    };
    assert_eq!(frame.code, CloseCode::Away);
    assert_eq!(api.exit().await.code(), Some(0));
}

#[tokio::test]
async fn a_websocket_message_that_is_too_large_closes_with_1009() {
    let api = Api::start(&[]);
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/api/ws", api.address))
        .await
        .unwrap();
    // In two pieces: of one too large frame the API reads the head only, and may be gone before the rest is written.
    for (size, opcode, is_last) in [
        (1024 * 1024, Data::Binary, false),
        (1, Data::Continue, true),
    ] {
        let piece = Frame::message(vec![0; size], OpCode::Data(opcode), is_last);
        socket.send(Message::Frame(piece)).await.unwrap();
    }
    let Message::Close(Some(frame)) = socket.next().await.unwrap().unwrap() else {
        panic!("not a close frame")
    };
    assert_eq!(frame.code, CloseCode::Size);
}

#[tokio::test]
async fn a_second_sigint_exits_at_once() {
    let mut api = Api::start(&[]);
    let mut slow = api.connect().await;
    send(&mut slow, "GET /api/slow?ms=60000 HTTP/1.1").await;
    api.has_received(1).await;
    api.signal("-INT");
    api.refuses_connections().await;
    let start = Instant::now();
    api.signal("-INT");
    assert_eq!(api.exit().await.code(), Some(130));
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "{:?}",
        start.elapsed()
    );
}
