//! What of these faults the file can save its clients from, by keys that are not on unless it says so.

use tidegate_tests::Api;

use crate::scene::{AT_ONCE, CHECK, FEW, LOAD, Scene};
use crate::seen::{Ends, Method};
use crate::sockets::{beside_two, erring};
use crate::{Line, twice};

/// All that are sent at a time may be sent again.
const BUDGET: &str = "budget: { share: 100%, min: 100 }";

/// One of three stands still until its check finds it.
async fn stopped(fault: &str, options: &[&str]) {
    twice(fault, async |edits| {
        let apis = [
            Api::start("a").await,
            Api::start("b").await,
            Api::start("c").await,
        ];
        let servers = apis.each_ref().map(Api::address);
        let scene = Scene::start(&servers, options, edits).await;
        scene.ready(3).await;
        let run = async |method| {
            apis[0].process.stop();
            let ends = scene.load(method).await;
            scene.ready(2).await;
            apis[0].process.cont();
            scene.in_service(&["a", "b", "c"]).await;
            ends
        };
        let (get, post) = (run(Method::Get).await, run(Method::Post).await);
        get.all_ok();
        post.all_but(&[("504 upstream_timeout", 0..=LOAD / 3 + 2)]);
        Line { get, post }
    })
    .await;
}

/// A GET that got no answer in time is answered by another server; what a POST did is not known.
#[tokio::test]
async fn stopped_and_sent_again() {
    let again = format!("retry: {{ when: [ not_sent, refused, timeout ], {BUDGET} }}");
    let options = [CHECK, "timeouts: { first_byte: 500ms }", again.as_str()];
    stopped("SIGSTOPped, and `timeout` is sent again", &options).await;
}

/// Nobody waits for the timeout: a second server is asked beside the first.
#[tokio::test]
async fn stopped_and_hedged() {
    let budget = format!("retry: {{ {BUDGET} }}");
    let options = [
        CHECK,
        "timeouts: { read: 1s }",
        "hedge: { after: 50ms }",
        budget.as_str(),
    ];
    stopped("SIGSTOPped, and hedged", &options).await;
}

/// After a few failures nobody is sent there, and it comes back by itself.
#[tokio::test]
async fn answering_500_and_ejected() {
    let ejection = "outlier_ejection: { consecutive_failures: 3, time: 500ms }";
    // The failures that it takes, and those under way meanwhile; when it comes back too early, one is enough.
    let few = |ends: &Ends| ends.all_but(&[("500 of the server's", 0..=3 + 2 * FEW)]);
    let fault = "answering 500, and ejected";
    beside_two(fault, &[ejection], FEW, erring, |line| {
        few(&line.get);
        few(&line.post);
    })
    .await;
}

/// Its answers are dropped, and the requests sent to another server.
#[tokio::test]
async fn answering_500_and_sent_again() {
    let again = format!("retry: {{ statuses: [ 500 ], {BUDGET} }}");
    let fault = "answering 500, and sent again by status";
    beside_two(fault, &[again.as_str()], AT_ONCE, erring, |line| {
        line.get.all_ok();
        let share = LOAD / 3 - 2..=LOAD / 3 + 2;
        line.post.all_but(&[("500 of the server's", share)]);
    })
    .await;
}
