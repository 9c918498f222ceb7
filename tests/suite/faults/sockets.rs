//! Servers that refuse, reset, err or are slow, on sockets of the test's own.

use std::time::Duration;

use tidegate_tests::{Connection, Origin, refusing_address};
use tokio::time::sleep;

use crate::scene::{AT_ONCE, FEW, LOAD, Scene};
use crate::servers::{Failing, body, two_well, well_at};
use crate::{Line, twice};

/// What `a` gets of a load in which nothing is sent again: each edit begins the order anew.
const SHARE: std::ops::RangeInclusive<usize> = LOAD / 3 - 2..=LOAD / 3 + 2;

/// Nothing was sent, so anything can be sent elsewhere.
#[tokio::test]
async fn refusing() {
    twice("refusing", async |edits| {
        let (address, others) = (refusing_address(), two_well().await);
        let servers = [address, others[0].address(), others[1].address()];
        let scene = Scene::start(&servers, &[], edits).await;
        let line = scene.both().await;
        line.get.all_ok();
        line.post.all_ok();
        let _back = well_at(address, "a").await;
        scene.in_service(&["a", "b", "c"]).await;
        line
    })
    .await;
}

/// Runs one that fails beside two that are well, until it is healed.
pub(crate) async fn beside_two(
    fault: &str,
    options: &[&str],
    at_once: usize,
    failing: impl AsyncFn() -> Failing,
    judge: impl Fn(&Line),
) {
    twice(fault, async |edits| {
        let (failing, others) = (failing().await, two_well().await);
        let all = [&failing.origin, &others[0], &others[1]];
        let scene = Scene::start(&all.map(Origin::address), options, edits).await;
        let scene = scene.with_at_once(at_once);
        let line = scene.both().await;
        judge(&line);
        failing.heal();
        scene.in_service(&["a", "b", "c"]).await;
        line
    })
    .await;
}

/// The server has the whole request and hangs up without a word.
#[tokio::test]
async fn resetting_before_the_answer() {
    let reset = async |connection: Connection, _| {
        connection.reset();
        None
    };
    let failing = async || Failing::start(reset).await;
    beside_two("resetting before the answer", &[], FEW, failing, |seen| {
        seen.get.all_ok();
        seen.post.all_but(&[("502 upstream_closed", SHARE)]);
    })
    .await;
}

/// Answers 500.
pub(crate) async fn erring() -> Failing {
    Failing::start(async |mut connection, _| {
        let answer = b"HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno";
        connection.write(answer).await.then_some(connection)
    })
    .await
}

/// An answer is an answer.
#[tokio::test]
async fn answering_500() {
    beside_two("answering 500", &[], AT_ONCE, erring, |seen| {
        for ends in [&seen.get, &seen.post] {
            ends.all_but(&[("500 of the server's", SHARE)]);
        }
    })
    .await;
}

/// Pauses that are shorter than `timeouts.read`, and longer all together.
#[tokio::test]
async fn slow() {
    let trickle = async |mut connection: Connection, _| {
        let body = body("a");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write(head.as_bytes()).await;
        let (first, second) = body.split_at(body.len() / 2);
        for piece in [first, second] {
            sleep(Duration::from_millis(300)).await;
            connection.write(piece.as_bytes()).await;
        }
        Some(connection)
    };
    let failing = async || Failing::start(trickle).await;
    let options = ["timeouts: { read: 2s }"];
    beside_two("slow", &options, AT_ONCE, failing, |seen| {
        seen.get.all_ok();
        seen.post.all_ok();
    })
    .await;
}

/// A request that a server still works on is not sent to another one: it would be slow there, too, and twice the work.
#[tokio::test]
async fn too_slow() {
    let never = async |mut connection: Connection, _| {
        connection.read_until_closed().await;
        None
    };
    let failing = async || Failing::start(never).await;
    let options = ["timeouts: { read: 1s }"];
    beside_two(
        "slower than timeouts.read",
        &options,
        AT_ONCE,
        failing,
        |seen| {
            for ends in [&seen.get, &seen.post] {
                ends.all_but(&[("504 upstream_timeout", SHARE)]);
            }
        },
    )
    .await;
}
