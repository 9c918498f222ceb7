//! A server that comes and goes: a few requests and probes, then it hangs up on all of them and is gone for a moment.

use std::net::SocketAddr;
use std::time::Duration;

use tidegate_tests::{Origin, PATIENCE, eventually, free_address};
use tokio::time::sleep;

use crate::scene::{CHECK, FEW, LOAD, Scene};
use crate::seen::Method;
use crate::servers::{answer, read_request, well_at};
use crate::{Line, twice};

/// How long it is gone, and how long an answer takes everywhere: so some are under way whenever it goes.
const MOMENT: Duration = Duration::from_millis(20);

/// Connections that it takes before it goes.
const TAKES: usize = 3;

/// In the middle of a load it goes so often.
const TIMES: usize = 5;

/// Comes, takes some, and goes, again and again.
async fn flap(address: SocketAddr) {
    for _ in 0..TIMES {
        let origin = leisurely(address, "a").await;
        let taken = async || origin.accepted() >= TAKES;
        eventually("connections", PATIENCE, taken).await;
        drop(origin);
        sleep(MOMENT).await;
    }
}

async fn leisurely(address: SocketAddr, instance: &'static str) -> Origin {
    Origin::start_at(address, move |mut connection| async move {
        while read_request(&mut connection).await {
            sleep(MOMENT).await;
            if !answer(&mut connection, instance).await {
                return;
            }
        }
    })
    .await
}

/// No GET is lost, however often; of the POSTs those that were under way when it went.
#[tokio::test]
async fn flapping() {
    twice("flapping", async |edits| {
        let servers = [free_address(), free_address(), free_address()];
        let _others = [
            leisurely(servers[1], "b").await,
            leisurely(servers[2], "c").await,
        ];
        let scene = Scene::start(&servers, &[CHECK], edits)
            .await
            .with_at_once(FEW);
        scene.ready(2).await;
        let run = async |method| {
            let flapping = async || flap(servers[0]).await;
            let ends = scene.load_while(method, 2 * LOAD, flapping).await;
            let _a = well_at(servers[0], "a").await;
            scene.in_service(&["a", "b", "c"]).await;
            ends
        };
        let (get, post) = (run(Method::Get).await, run(Method::Post).await);
        get.all_ok();
        post.all_but(&[("502 upstream_closed", 0..=FEW * TIMES)]);
        Line { get, post }
    })
    .await;
}
