//! Listeners: what they owe the connections that they have when they close.

use std::net::SocketAddr;

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
