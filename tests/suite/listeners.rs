//! Listeners: what they owe the connections that they have when they close, and what they say when they cannot accept.

use std::net::SocketAddr;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tidegate_tests::{Gateway, PATIENCE, Recorder, Wire, all_to, free_address};
use tokio::time::{Duration, timeout};

/// The preface and empty settings.
const H2_START: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const GOAWAY: u8 = 7;

/// The type of the next frame.
async fn frame(wire: &mut Wire) -> Option<u8> {
    let head = wire.take(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    wire.take(length as usize).await?;
    Some(head[3])
}

async fn is_told_to_go(wire: &mut Wire) -> bool {
    while let Some(kind) = frame(wire).await {
        if kind == GOAWAY {
            return true;
        }
    }
    false
}

/// A gateway with a listener more, and its routing without that.
async fn with_extra(recorder: &Recorder, extra: SocketAddr) -> (Gateway, String) {
    let routing = all_to(&[recorder.address()]);
    let gateway = Gateway::start(&routing).await;
    let web = format!(
        "listeners:\n  web: {{ address: \"{}\" }}\n",
        gateway.address()
    );
    let listener = format!("  extra: {{ address: \"{extra}\", timeouts: {{ keep_alive: 3s }} }}\n");
    gateway.reload(&format!("{routing}{web}{listener}")).await;
    (gateway, format!("{routing}{web}"))
}

#[tokio::test]
async fn an_http_2_connection_that_starts_while_its_listener_closes_is_told_to_go() {
    let recorder = Recorder::start().await;
    let extra = free_address();
    let (gateway, without) = with_extra(&recorder, extra).await;
    let mut wire = Wire::connect(extra).await;
    gateway.edit(&without);
    gateway.process.logged("listener closes").await;
    assert!(wire.send(H2_START).await);
    assert!(is_told_to_go(&mut wire).await);
}

#[tokio::test]
async fn an_http_2_connection_that_stays_idle_does_not_outlive_its_listener_for_long() {
    let recorder = Recorder::start().await;
    let extra = free_address();
    let (gateway, without) = with_extra(&recorder, extra).await;
    let mut wire = Wire::connect(extra).await;
    wire.send(H2_START).await;
    assert!(frame(&mut wire).await.is_some());
    gateway.edit(&without);
    // It never confirms that it heard.
    assert!(is_told_to_go(&mut wire).await);
    let ended = timeout(PATIENCE, async {
        while frame(&mut wire).await.is_some() {}
    })
    .await;
    assert!(ended.is_ok(), "the connection is still open");
    // That was the end of the connection rather than of the test's patience.
    assert!(!wire.send("x").await || !wire.send("x").await);
}

/// From now on the process may open this many files.
fn allow_files(gateway: &Gateway, most: Option<u64>) -> Rlimit {
    let pid = Pid::from_raw(gateway.process.pid().cast_signed());
    let limit = Rlimit {
        current: most,
        // Its own is ours.
        maximum: getrlimit(Resource::Nofile).maximum,
    };
    prlimit(pid, Resource::Nofile, limit).unwrap()
}

#[tokio::test]
async fn running_out_of_files_is_told_once_and_so_is_the_end_of_it() {
    let recorder = Recorder::start().await;
    let gateway = Gateway::start(&all_to(&[recorder.address()])).await;
    let before = allow_files(&gateway, Some(3));
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    gateway.process.logged("cannot accept connections").await;
    let early = timeout(Duration::from_millis(400), wire.answer()).await;
    assert!(early.is_err(), "{early:?}");
    allow_files(&gateway, before.current);
    assert_eq!(wire.answer().await.expect("an answer").status(), 200);
    gateway
        .process
        .logged("connections are accepted again")
        .await;
    let log = gateway.process.log();
    let told = log
        .iter()
        .filter(|line| line.contains("cannot accept connections"));
    assert_eq!(told.count(), 1, "{log:#?}");
}
