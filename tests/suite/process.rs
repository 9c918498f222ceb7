//! The process: how it starts, what it says when it cannot, which signals it hears and how it ends.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tidegate_tests::{
    Api, Gateway, Load, Origin, PATIENCE, Process, Recorder, Wire, all_to, eventually,
    free_address, program, websocket,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

fn tidegate(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("tidegate"));
    command.args(arguments).env_remove("TIDEGATE_CONFIG");
    command
}

/// Runs to the end: exit code and what was said on both outputs.
fn said(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

struct File {
    path: String,
    _folder: tempfile::TempDir,
}

fn file(text: &str) -> File {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.yaml");
    std::fs::write(&path, text).unwrap();
    File {
        path: path.display().to_string(),
        _folder: folder,
    }
}

/// A file that is good, with these addresses.
fn good(web: impl std::fmt::Display, admin: impl std::fmt::Display) -> File {
    let servers = all_to(&[free_address()]);
    file(&format!(
        "{servers}listeners: {{ web: {{ address: \"{web}\" }} }}\nadmin: {{ address: \"{admin}\" }}\n"
    ))
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_line() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    for (file, who) in [
        (good(address, free_address()), "listener `web`"),
        (good(free_address(), address), "admin"),
    ] {
        let mut process = Process::start("tidegate", tidegate(&["run", "-c", &file.path]));
        let status = process.exit_within(Duration::from_secs(8)).await;
        assert_eq!(status.code(), Some(1));
        let line = process.logged(&address.to_string()).await;
        assert!(line.contains(who), "{line}");
        let told = process
            .log()
            .iter()
            .filter(|line| line.contains(who))
            .count();
        assert_eq!(told, 1, "{:?}", process.log());
    }
}

#[test]
fn a_file_that_is_wrong_is_refused_by_line_and_column() {
    let text = "listeners: { web: { address: \"127.0.0.1:0\" } }\nupstreams: {}\nroutes:\n  all: { upstream: nobody }\n";
    let wrong = file(text);
    for command in ["run", "check"] {
        let (code, _, err) = said(tidegate(&[command, "-c", &wrong.path]));
        assert_eq!(code, Some(1), "{err}");
        assert!(
            err.contains("tidegate.yaml:4:20") && err.contains("nobody"),
            "{command}: {err}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for command in ["run", "check", "health"] {
        let (code, _, err) = said(tidegate(&[command, "-c", "/not/there.yaml"]));
        assert_eq!(code, Some(1));
        assert!(
            err.contains("/not/there.yaml") && err.contains("No such file"),
            "{command}: {err}"
        );
    }
}

#[test]
fn a_good_file_passes_the_check() {
    let (code, out, err) = said(tidegate(&[
        "check",
        "-c",
        &good("127.0.0.1:1", "127.0.0.1:2").path,
    ]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("ok"), "{out}");
}

#[test]
fn a_command_line_that_is_wrong_is_exit_code_2() {
    for arguments in [
        vec!["--no-such-option"],
        vec!["no-such-command"],
        vec!["run", "--threads", "0"],
        vec!["run", "--log-format", "xml"],
        vec!["check", "-c"],
    ] {
        let (code, out, err) = said(tidegate(&arguments));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}: {err}");
        assert!(
            err.contains("Usage") || err.contains("--help"),
            "{arguments:?}: {err}"
        );
    }
}

#[tokio::test]
async fn the_health_command_tells_whether_it_is_ready() {
    let recorder = Recorder::start().await;
    let mut gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    let health = |gateway: &Gateway| {
        let mut command = tidegate(&["health", "-c", &gateway.file().display().to_string()]);
        command.env("WEB", gateway.address().to_string());
        said(command).0
    };
    assert_eq!(health(&gateway), Some(0));
    assert!(gateway.terminate().await.success());
    assert_eq!(health(&gateway), Some(1));
}

#[tokio::test]
async fn sighup_reads_the_file_and_ends_nothing() {
    let recorder = Recorder::start().await;
    let mut gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    let before = gateway.ready().await.generation;
    gateway.process.hang_up();
    gateway.generation_after(before).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    assert!(gateway.process.exited().is_none());
}

#[tokio::test]
async fn an_idle_process_ends_at_once() {
    let recorder = Recorder::start().await;
    let mut gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    // A connection that waits for its next request is idle, too.
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(wire.answer().await.unwrap().status(), 200);
    // So is one that never said anything, and one of HTTP/2 without streams.
    let mut silent = Wire::connect(gateway.address()).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    assert_eq!(
        client.get(gateway.url("/")).send().await.unwrap().status(),
        200
    );
    let since = Instant::now();
    assert_eq!(gateway.terminate().await.code(), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
    assert!(wire.ends_within(PATIENCE).await && silent.ends_within(PATIENCE).await);
}

#[tokio::test]
async fn before_it_closes_it_says_so_and_still_serves() {
    let recorder = Recorder::start().await;
    let mut gateway = Gateway::start(&format!(
        "{}shutdown: {{ delay: 2s }}\n",
        all_to(&[recorder.address()])
    ))
    .await;
    let since = Instant::now();
    gateway.process.terminate();
    eventually("/ready is 503", PATIENCE, async || {
        gateway.ready().await.status == 503
    })
    .await;
    assert!(
        since.elapsed() < Duration::from_millis(1500),
        "{:?}",
        since.elapsed()
    );
    let live = tidegate_tests::client()
        .get(format!("http://{}/live", gateway.admin()))
        .send()
        .await;
    assert_eq!(live.unwrap().status(), 200);
    // New connections, too.
    for _ in 0..3 {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await;
        assert_eq!(wire.answer().await.unwrap().status(), 200);
    }
    assert_eq!(gateway.process.exit_within(PATIENCE).await.code(), Some(0));
    let took = since.elapsed();
    assert!((1900..6000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn what_is_in_flight_is_finished() {
    let go = Arc::new(Notify::new());
    let told = Arc::clone(&go);
    let origin = Origin::start(move |connection| {
        let told = Arc::clone(&told);
        async move {
            let mut wire = Wire::over(connection.stream);
            let Some(request) = wire.request().await else {
                return;
            };
            told.notified().await;
            wire.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{}",
                request.body.len()
            ))
            .await;
            wire.rest().await;
        }
    })
    .await;
    let mut gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut slow = Wire::connect(gateway.address()).await;
    slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut upload = Wire::connect(gateway.address()).await;
    upload
        .send("POST /upload HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab")
        .await;
    eventually("both are with the server", PATIENCE, async || {
        origin.open() == 2
    })
    .await;
    gateway.process.terminate();
    eventually("it accepts nobody", PATIENCE, async || {
        TcpStream::connect(gateway.address()).await.is_err()
    })
    .await;
    assert!(gateway.process.exited().is_none());
    upload.send("cd").await;
    go.notify_one();
    go.notify_one();
    let (first, second) = (slow.answer().await.unwrap(), upload.answer());
    // The permits may go to either.
    go.notify_waiters();
    assert_eq!(first.text(), "0");
    assert_eq!(second.await.unwrap().text(), "4");
    let since = Instant::now();
    assert_eq!(gateway.process.exit_within(PATIENCE).await.code(), Some(0));
    assert!(
        since.elapsed() < Duration::from_secs(5),
        "{:?}",
        since.elapsed()
    );
}

/// Clients that keep their connections are told to close them with an answer, so that none is cut off. What they see once
/// nobody accepts any more is a refused connection, never a request that was taken and not answered.
#[tokio::test]
async fn clients_that_keep_asking_lose_nothing() {
    let api = Api::start("api").await;
    for _ in 0..3 {
        let mut gateway = Gateway::start(&all_to(&[api.address()])).await;
        let load = Load::start(&gateway.url("/api/hello"), 16);
        load.more(500).await;
        assert_eq!(gateway.terminate().await.code(), Some(0));
        let report = load.stop().await;
        assert_eq!(
            report.statuses.keys().collect::<Vec<_>>(),
            [&200],
            "{report:?}"
        );
        // Between the last look at the queue and its end, the kernel may take one more; nobody can hand that one over.
        let errors = report.errors.iter();
        let lost: u64 = errors
            .filter(|(error, _)| !error.contains("Connection refused"))
            .map(|(_, count)| *count)
            .sum();
        assert!(lost <= 2, "{report:?}");
    }
}

/// An edit that is under way, or one that needs a restart, does not make a running proxy unwell.
#[tokio::test]
async fn the_health_command_asks_where_it_is_told_whatever_the_file_says() {
    let gateway = Gateway::start(&all_to(&[free_address()])).await;
    gateway.edit("this is no routing file");
    let path = gateway.file().display().to_string();
    let admin = gateway.admin().to_string();
    let (code, _, err) = said(tidegate(&["health", "-c", &path, "--admin", &admin]));
    assert_eq!(code, Some(0), "{err}");
    // The lines of its `admin` can still be read.
    let (code, _, err) = said(tidegate(&["health", "-c", &path]));
    assert_eq!(code, Some(0), "{err}");
    std::fs::write(gateway.file(), "this is no routing file").unwrap();
    let (code, _, err) = said(tidegate(&["health", "-c", &path]));
    assert!(code == Some(1) && err.contains("--admin"), "{err}");
    let (code, _, err) = said(tidegate(&["health", "-c", &path, "--admin", &admin]));
    assert_eq!(code, Some(0), "{err}");
}

/// Promised another request, a client would find the connection closed.
#[tokio::test]
async fn what_is_answered_while_it_ends_tells_the_client_to_close() {
    let api = Api::start("api").await;
    let mut gateway = Gateway::start(&all_to(&[api.address()])).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let request = b"GET /api/slow?ms=700 HTTP/1.1\r\nHost: h\r\n\r\n";
    client.write_all(request).await.unwrap();
    eventually("it is under way", PATIENCE, async || {
        let ready = gateway.ready().await.body;
        ready["upstreams"][0]["servers"][0]["in_flight"] == 1
    })
    .await;
    gateway.process.terminate();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    let head = answer.to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{answer}");
    assert!(head.contains("connection: close"), "{answer}");
    gateway.terminate().await;
}

#[tokio::test]
async fn a_websocket_is_waited_for_as_long_as_allowed() {
    let api = Api::start("api").await;
    let mut gateway = Gateway::start(&format!(
        "{}shutdown: {{ timeout: 2s }}\n",
        all_to(&[api.address()])
    ))
    .await;
    let mut socket = websocket(&gateway).await;
    let since = Instant::now();
    gateway.process.terminate();
    eventually("it accepts nobody", PATIENCE, async || {
        TcpStream::connect(gateway.address()).await.is_err()
    })
    .await;
    // It still works.
    let text = tokio_tungstenite::tungstenite::Message::text("still here");
    socket.send(text.clone()).await.unwrap();
    assert_eq!(
        timeout(PATIENCE, socket.next())
            .await
            .unwrap()
            .unwrap()
            .unwrap(),
        text
    );
    assert_eq!(gateway.process.exit_within(PATIENCE).await.code(), Some(0));
    let took = since.elapsed();
    assert!((1900..5000).contains(&took.as_millis()), "{took:?}");
}

#[tokio::test]
async fn a_second_interrupt_ends_it_at_once() {
    let origin = Origin::hanging().await;
    let mut gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    eventually("the server is asked", PATIENCE, async || origin.open() == 1).await;
    gateway.process.interrupt();
    eventually("/ready is 503", PATIENCE, async || {
        gateway.ready().await.status == 503
    })
    .await;
    assert!(gateway.process.exited().is_none());
    let since = Instant::now();
    gateway.process.interrupt();
    gateway.process.exit_within(PATIENCE).await;
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
}
