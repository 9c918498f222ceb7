//! A server whose connections stand and lead nowhere: the kernel takes them, and no program does.

use std::net::{SocketAddr, TcpListener};

use tidegate_tests::{PATIENCE, eventually, free_address};

use crate::scene::{CHECK, LOAD, Scene};
use crate::seen::Method;
use crate::servers::{two_well, well_at};
use crate::{Line, twice};

/// A check by HTTP finds it; before that, whoever was sent there waits for `timeouts.read`.
#[tokio::test]
async fn half_open() {
    twice("half-open", async |edits| {
        let (address, others) = (free_address(), two_well().await);
        let servers = [address, others[0].address(), others[1].address()];
        let mut a = Some(well_at(address, "a").await);
        let options = [CHECK, "timeouts: { read: 1s }"];
        let scene = Scene::start(&servers, &options, edits).await;
        scene.ready(3).await;
        let mut run = async |method| {
            drop(a.take());
            let nobody = bound(address).await;
            let ends = scene.load(method).await;
            scene.ready(2).await;
            scene.load(method).await.all_ok();
            drop(nobody);
            a = Some(well_at(address, "a").await);
            scene.in_service(&["a", "b", "c"]).await;
            ends.all_but(&[("504 upstream_timeout", 1..=LOAD / 3 + 2)]);
            ends
        };
        Line {
            get: run(Method::Get).await,
            post: run(Method::Post).await,
        }
    })
    .await;
}

/// A check by TCP does not: it asks for a connection, and gets one.
#[tokio::test]
async fn half_open_and_checked_by_tcp() {
    twice("half-open, checked by tcp", async |edits| {
        let (address, others) = (free_address(), two_well().await);
        let servers = [address, others[0].address(), others[1].address()];
        let nobody = bound(address).await;
        let options = [
            "health_check: { tcp: { interval: 50ms } }",
            "timeouts: { read: 1s }",
        ];
        let scene = Scene::start(&servers, &options, edits).await;
        scene.ready(3).await;
        let line = scene.both().await;
        for ends in [&line.get, &line.post] {
            ends.all_but(&[("504 upstream_timeout", LOAD / 3 - 2..=LOAD / 3 + 2)]);
        }
        drop(nobody);
        let _back = well_at(address, "a").await;
        scene.in_service(&["a", "b", "c"]).await;
        line
    })
    .await;
}

/// Nobody ever accepts.
async fn bound(address: SocketAddr) -> TcpListener {
    let bind = async || TcpListener::bind(address);
    eventually("the address is free", PATIENCE, bind).await
}
