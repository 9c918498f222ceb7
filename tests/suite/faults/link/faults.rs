//! Delay, loss, and servers that a cut link leaves half-open.

use std::time::Duration;

use super::carrier::Quality;
use super::{FAR, twice};
use crate::Line;
use crate::scene::LOAD;
use crate::seen::Method;

const CHECK: &str =
    "health_check: { http: { path: /api/health, interval: 100ms, timeout: 2s, healthy_after: 1 } }";

/// A link as good as any.
const QUICK: Quality = Quality {
    delay: Duration::from_millis(1),
    jitter: Duration::ZERO,
    loss: 0.0,
};

/// 100 ms each way, give or take 20.
#[test]
fn delay() {
    let quality = Quality {
        delay: Duration::from_millis(100),
        jitter: Duration::from_millis(20),
        loss: 0.0,
    };
    twice(
        "100 ms of delay, 20 ms of jitter",
        quality,
        &[CHECK],
        async |scene, link| {
            let line = scene.both().await;
            line.get.all_ok();
            line.post.all_ok();
            assert!(link.carried() > 0, "it went over the link");
            line
        },
    );
}

/// One packet in twenty, each way: TCP sends it again.
#[test]
fn loss() {
    let quality = Quality {
        loss: 0.05,
        ..QUICK
    };
    twice(
        "5 % of packets lost",
        quality,
        &[CHECK],
        async |scene, link| {
            let line = scene.both().await;
            line.get.all_ok();
            line.post.all_ok();
            assert!(link.lost() > 0, "some were lost");
            line
        },
    );
}

/// No connection ever stands. Nothing was sent, so everything goes elsewhere, whatever it is; `timeouts.connect` is what it costs.
#[test]
fn unreachable() {
    let options = &["timeouts: { connect: 500ms }"];
    twice(
        "one server unreachable",
        QUICK,
        options,
        async |scene, link| {
            link.cut(FAR[0]);
            let line = scene.both().await;
            line.get.all_ok();
            line.post.all_ok();
            link.heal();
            line
        },
    );
}

/// Neither side is told. New connections do not stand in time, and their requests go elsewhere, whatever they are; over those that
/// stood nothing comes until `timeouts.read`. Then its check has found it.
#[test]
fn partition() {
    let options = &[
        "health_check: { http: { path: /api/health, interval: 100ms, timeout: 1s, healthy_after: 1, unhealthy_after: 2 } }",
        "timeouts: { connect: 500ms, read: 1s }",
    ];
    twice(
        "one server cut off by the network",
        QUICK,
        options,
        async |scene, link| {
            let run = async |method| {
                let ends = scene
                    .load_while(method, LOAD, async || link.cut(FAR[0]))
                    .await;
                scene.ready(2).await;
                scene.load(method).await.all_ok();
                link.heal();
                scene.in_service(&["a", "b", "c"]).await;
                ends.all_but(&[("504 upstream_timeout", 0..=LOAD / 3 + 2)]);
                ends
            };
            Line {
                get: run(Method::Get).await,
                post: run(Method::Post).await,
            }
        },
    );
}
