//! Server processes that are killed, stand still, or are gone all together.

use tidegate_tests::Api;

use crate::scene::{CHECK, FEW, LOAD, Scene};
use crate::seen::Method;
use crate::{Line, twice};

/// Whatever a server does with a request, another third of them is not its own.
const SHARE: usize = LOAD / 3 + 2;

/// Long enough that some are under way at every moment.
const SLOW: &str = "/api/slow?ms=20";

async fn apis() -> [Api; 3] {
    [
        Api::start("a").await,
        Api::start("b").await,
        Api::start("c").await,
    ]
}

/// A GET that was under way at it is answered by another one; a POST may have been acted on, and its client is told.
#[tokio::test]
async fn killed() {
    twice("killed", async |edits| {
        let mut apis = apis().await;
        let servers = apis.each_ref().map(Api::address);
        let scene = Scene::start(&servers, &[CHECK], edits).await;
        let scene = scene.asking(SLOW).with_at_once(FEW);
        scene.ready(3).await;
        let mut run = async |method| {
            let kill = async || apis[0].kill();
            let ends = scene.load_while(method, LOAD, kill).await;
            scene.ready(2).await;
            scene.load(method).await.all_ok();
            apis[0].restart().await;
            scene.in_service(&["a", "b", "c"]).await;
            ends
        };
        let (get, post) = (run(Method::Get).await, run(Method::Post).await);
        get.all_ok();
        post.all_but(&[("502 upstream_closed", 0..=FEW)]);
        Line { get, post }
    })
    .await;
}

/// The kernel still takes its connections: whoever was sent to it waits for `timeouts.read`, until its check finds it.
#[tokio::test]
async fn stopped() {
    twice("SIGSTOPped", async |edits| {
        let apis = apis().await;
        let servers = apis.each_ref().map(Api::address);
        let options = [CHECK, "timeouts: { read: 1s }"];
        let scene = Scene::start(&servers, &options, edits).await;
        scene.ready(3).await;
        let run = async |method| {
            apis[0].process.stop();
            let ends = scene.load(method).await;
            scene.ready(2).await;
            scene.load(method).await.all_ok();
            apis[0].process.cont();
            scene.in_service(&["a", "b", "c"]).await;
            ends.all_but(&[("504 upstream_timeout", 1..=SHARE)]);
            ends
        };
        Line {
            get: run(Method::Get).await,
            post: run(Method::Post).await,
        }
    })
    .await;
}

/// Nobody is left who could answer. Nothing hangs, and the first one that is back is found.
#[tokio::test]
async fn all_gone() {
    twice("all servers killed", async |edits| {
        let mut apis = apis().await;
        let servers = apis.each_ref().map(Api::address);
        let scene = Scene::start(&servers, &[CHECK], edits).await;
        scene.ready(3).await;
        let mut run = async |method| {
            apis.iter_mut().for_each(Api::kill);
            scene.ready(0).await;
            let ends = scene.load(method).await;
            for api in &mut apis {
                api.restart().await;
            }
            scene.in_service(&["a", "b", "c"]).await;
            ends.all_but(&[("503 all_down", LOAD..=LOAD)]);
            ends
        };
        Line {
            get: run(Method::Get).await,
            post: run(Method::Post).await,
        }
    })
    .await;
}
