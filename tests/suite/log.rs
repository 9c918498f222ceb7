//! The access log: one line per request, whatever became of it, on standard output; the process's own log beside it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::{
    Api, Gateway, Origin, PATIENCE, Recorder, Wire, all_to, eventually, free_address, program,
};

const KEYS: [&str; 14] = [
    "attempts",
    "bytes",
    "client",
    "duration_ms",
    "failure",
    "host",
    "method",
    "path",
    "request_id",
    "route",
    "server",
    "status",
    "time",
    "upstream",
];

#[tokio::test]
async fn a_line_says_everything_about_a_request() {
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST /api/echo?secret=1 HTTP/1.1\r\nHost: example.com:81\r\nX-Request-Id: id-1\r\nContent-Length: 5\r\n\r\nhello")
        .await;
    assert_eq!(wire.answer().await.unwrap().text(), "hello");
    let line = gateway.log_line("/api/echo").await;
    let mut keys: Vec<&str> = line
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, KEYS);
    for (key, value) in [
        ("request_id", Value::from("id-1")),
        ("client", "127.0.0.1".into()),
        ("method", "POST".into()),
        ("host", "example.com:81".into()),
        ("status", 200.into()),
        ("bytes", 5.into()),
        ("route", "all".into()),
        ("upstream", "api".into()),
        ("server", api.address().to_string().into()),
        ("attempts", 1.into()),
        ("failure", Value::Null),
    ] {
        assert_eq!(line[key], value, "{key}");
    }
    assert_recent(line["time"].as_str().unwrap());
    let took = |key: &str| {
        line["duration_ms"][key]
            .as_f64()
            .unwrap_or_else(|| panic!("{key} in {line}"))
    };
    assert!(
        0.0 < took("connect") && took("connect") <= took("first_byte"),
        "{line}"
    );
    assert!(
        took("first_byte") <= took("total") && took("total") < 10_000.0,
        "{line}"
    );
}

/// RFC 3339 in UTC with milliseconds, and not long ago.
fn assert_recent(time: &str) {
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    let output = Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H"])
        .output()
        .unwrap();
    let now = String::from_utf8(output.stdout).unwrap();
    // At the turn of the hour the hours differ.
    assert!(
        time.starts_with(now.trim()) || time[14..].starts_with("59:"),
        "{time}, and now it is {now}"
    );
}

#[tokio::test]
async fn a_connection_at_hand_has_no_connect_time() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    assert_eq!(gateway.get("/first").await.status(), 200);
    // The connection is at hand once the first request is over.
    assert!(gateway.log_line("/first").await["duration_ms"]["connect"].is_f64());
    assert_eq!(gateway.get("/second").await.status(), 200);
    let line = gateway.log_line("/second").await;
    assert!(line["duration_ms"]["connect"].is_null(), "{line}");
    assert_eq!(recorder.accepted(), 1);
}

#[tokio::test]
async fn a_client_that_left_is_499() {
    let origin = Origin::hanging().await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /left HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the server is asked", PATIENCE, async || origin.open() == 1).await;
    drop(wire);
    let line = gateway.log_line("/left").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&499.into(), &"client_gone".into()),
        "{line}"
    );
    assert_eq!(line["server"], origin.address().to_string());
}

/// The answer had begun: its status is what the client saw, and the failure says that it did not see it all.
#[tokio::test]
async fn a_client_that_left_in_the_middle_is_told_apart() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
            .await;
        let piece = vec![b'x'; 65536];
        while connection.write(&piece).await {}
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /middle HTTP/1.1\r\nHost: h\r\n\r\n").await;
    wire.take(100_000).await.unwrap();
    drop(wire);
    let line = gateway.log_line("/middle").await;
    assert_eq!(line["failure"], "client_gone", "{line}");
    assert!(line["status"] == 200 || line["status"] == 499, "{line}");
    eventually("the server is let go", PATIENCE, async || {
        origin.open() == 0
    })
    .await;
}

#[tokio::test]
async fn a_server_that_broke_off_in_the_middle_is_told_apart() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .await;
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET /cut HTTP/1.1\r\nHost: h\r\n\r\n").await;
    wire.rest().await;
    let line = gateway.log_line("/cut").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&200.into(), &"upstream_closed".into()),
        "{line}"
    );
}

#[tokio::test]
async fn the_attempts_and_the_last_server_are_told() {
    let good = Recorder::start().await;
    let refusing = [free_address(), free_address()];
    let gateway = Gateway::start(&all_to(&[refusing[0], refusing[1], good.address()])).await;
    let mut most = 0;
    for index in 0..3 {
        let path = format!("/{index}");
        assert_eq!(gateway.get(&path).await.status(), 200);
        let line = gateway.log_line(&path).await;
        assert_eq!(line["server"], good.address().to_string(), "{line}");
        most = most.max(line["attempts"].as_u64().unwrap());
    }
    assert_eq!(most, 3);
}

#[tokio::test]
async fn every_request_has_exactly_one_line() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    for index in 0..50 {
        gateway.get(&format!("/{index}")).await;
    }
    eventually("all lines", PATIENCE, async || {
        gateway.log_lines().len() >= 50
    })
    .await;
    let mut paths: Vec<_> = gateway
        .log_lines()
        .iter()
        .map(|line| line["path"].to_string())
        .collect();
    paths.sort();
    paths.dedup();
    assert_eq!((paths.len(), gateway.log_lines().len()), (50, 50));
}

#[tokio::test]
async fn a_person_reads_it_too() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start_with(&all_to(&[recorder.address()]), |command| {
        command.env("TIDEGATE_LOG_FORMAT", "human");
        forget_log_format(command);
    })
    .await;
    let answer = gateway.get("/people?q").await;
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let line = gateway.process.logged(&id).await;
    assert!(
        line.contains(" 200 GET ") && line.contains("/people 2 B "),
        "{line}"
    );
    assert!(
        line.contains(&format!("all -> {}", recorder.address())),
        "{line}"
    );
    assert!(!line.contains('{'), "{line}");
}

/// The harness asks for JSON on the command line, which wins over the environment: this is the same command without it.
fn forget_log_format(command: &mut Command) {
    let arguments: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let mut other = Command::new(command.get_program());
    other.args(
        arguments
            .iter()
            .filter(|word| *word != "--log-format" && *word != "json"),
    );
    other.envs(environment);
    *command = other;
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start_with(&all_to(&[recorder.address()]), |command| {
        command.args(["--access-log", "off"]);
    })
    .await;
    let mut gateway = gateway;
    assert_eq!(gateway.get("/quiet").await.status(), 200);
    assert!(gateway.terminate().await.success());
    assert!(gateway.log_lines().is_empty(), "{:?}", gateway.log_lines());
}

/// A running proxy whose outputs are not read unless the test does.
struct Unread {
    child: std::process::Child,
    address: std::net::SocketAddr,
    _folder: tempfile::TempDir,
}

impl Unread {
    async fn start(servers: &str) -> Self {
        Self::start_at("info", servers).await
    }

    /// With as much in the process's own log as this level gives.
    async fn start_at(level: &str, servers: &str) -> Self {
        let (address, admin) = (free_address(), free_address());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tidegate.yaml");
        let text = format!(
            "listeners: {{ web: {{ address: \"{address}\" }} }}\nadmin: {{ address: \"{admin}\" }}\n{servers}"
        );
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program("tidegate"));
        command
            .arg("run")
            .arg("-c")
            .arg(file)
            .env("RUST_LOG", level);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let unread = Self {
            child,
            address,
            _folder: folder,
        };
        eventually("it is ready", PATIENCE, async || {
            tidegate_tests::client()
                .get(format!("http://{admin}/ready"))
                .send()
                .await
        })
        .await;
        unread
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_log_that_nobody_reads_stalls_no_request() {
    let recorder = Recorder::start().await;
    // Both outputs fill up: the requests' and the process's own.
    let mut proxy = Unread::start_at("trace", &all_to(&[recorder.address()])).await;
    let client = tidegate_tests::client();
    // A pipe holds 64 KiB; a line with this path has 4 KiB.
    let url = format!("http://{}/{}", proxy.address, "p".repeat(4000));
    for _ in 0..200 {
        let answer = client
            .get(&url)
            .timeout(Duration::from_secs(10))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }
    // And it ends when told to, unread or not.
    let pid = rustix::process::Pid::from_raw(proxy.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    eventually("it ends", PATIENCE, async || {
        proxy.child.try_wait().unwrap()
    })
    .await;
}

#[tokio::test]
async fn requests_go_to_one_output_and_all_else_to_the_other() {
    let recorder = Recorder::start().await;
    let mut proxy = Unread::start(&all_to(&[recorder.address()])).await;
    let url = format!("http://{}/one", proxy.address);
    assert_eq!(
        tidegate_tests::client()
            .get(url)
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let pid = rustix::process::Pid::from_raw(proxy.child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    eventually("it ends", PATIENCE, async || {
        proxy.child.try_wait().unwrap()
    })
    .await;
    let (mut out, mut err) = (String::new(), String::new());
    proxy
        .child
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut out)
        .unwrap();
    proxy
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 1, "{out}");
    assert_eq!(lines[0]["path"], "/one");
    assert!(err.contains("listening") && !err.contains("/one"), "{err}");
}
