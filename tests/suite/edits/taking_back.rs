//! An edit that makes things worse is taken back by itself, and noise is not worse.

use tidegate_tests::{Gateway, Load, PATIENCE, eventually};

use crate::{failing, named, refusal, to, who};

const GUARDED: &str = "reload: { rollback_on: { errors: 20%, over: 10s, requests: 20 } }\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_fails_is_taken_back_and_the_file_refused_until_it_changes() {
    let (good, bad) = (named("good").await, failing().await);
    let gateway = Gateway::start(&(to(good.address()) + GUARDED)).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(100).await;
    let edited = to(bad.address()) + GUARDED;
    gateway.reload(&edited).await;
    gateway.generation_after(2).await;
    load.more(100).await;
    load.stop().await;
    assert_eq!(who(&gateway).await, "good");
    let report = refusal(&gateway).await;
    for part in [
        "generation 2 was taken back",
        "route all:",
        "(100.0 %)",
        "(0.0 %)",
    ] {
        assert!(report.contains(part), "{part} is not in {report}");
    }
    let generations = gateway.operator("/config/generations").await;
    assert!(
        generations[1]["refused"]
            .as_str()
            .unwrap()
            .contains("route all"),
        "{generations}"
    );
    assert_eq!(generations[2]["trigger"], "generation 2 taken back, to 1");

    // The same file again is refused, also by a signal; `force` takes it.
    gateway.process.hang_up();
    eventually("it is refused again", PATIENCE, async || {
        refusal(&gateway)
            .await
            .contains("edit it, or apply it with `force`")
    })
    .await;
    assert_eq!(who(&gateway).await, "good");
    let (status, _) = gateway.tell("/config/apply", gateway.whole(&edited)).await;
    assert_eq!(status, 422);
    let (status, forced) = gateway
        .tell("/config/apply?force=true", gateway.whole(&edited))
        .await;
    assert_eq!(status, 200, "{forced}");
    // What somebody insists on is not taken back.
    let load = Load::start(&gateway.url("/"), 2);
    let watched = std::time::Instant::now() + std::time::Duration::from_secs(2);
    eventually("it was looked at a few times", PATIENCE, async || {
        load.more(20).await;
        std::time::Instant::now() > watched
    })
    .await;
    load.stop().await;
    assert_eq!(gateway.get("/").await.status(), 500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_before_and_a_handful_of_requests_are_no_reason() {
    let (bad, worse) = (failing().await, failing().await);
    let gateway = Gateway::start(&(to(bad.address()) + &GUARDED.replace("10s", "2s"))).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(100).await;
    gateway
        .reload(&(to(worse.address()) + &GUARDED.replace("10s", "2s")))
        .await;
    // Watched for two seconds: longer than that, and with many requests, nothing happens.
    let watched = std::time::Instant::now() + std::time::Duration::from_secs(4);
    eventually("the time of probation is over", PATIENCE, async || {
        load.more(50).await;
        std::time::Instant::now() > watched
    })
    .await;
    load.stop().await;
    assert_eq!(gateway.ready().await.generation, 2);

    let good = named("good").await;
    let gateway = Gateway::start(&(to(good.address()) + &GUARDED.replace("10s", "2s"))).await;
    assert_eq!(who(&gateway).await, "good");
    gateway
        .reload(&(to(bad.address()) + &GUARDED.replace("10s", "2s")))
        .await;
    for _ in 0..15 {
        assert_eq!(gateway.get("/").await.status(), 500);
    }
    let watched = std::time::Instant::now() + std::time::Duration::from_secs(4);
    eventually("the time of probation is over", PATIENCE, async || {
        std::time::Instant::now() > watched
    })
    .await;
    assert_eq!(gateway.ready().await.generation, 2, "fifteen are a handful");
}

/// The bad edit, a comment more in a hurry, a hang-up for good measure: what was before all of it returns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_bad_edit_in_a_hurry_does_not_hide_it() {
    let (good, bad) = (named("good").await, failing().await);
    let gateway = Gateway::start(&(to(good.address()) + GUARDED)).await;
    let load = Load::start(&gateway.url("/"), 1);
    load.more(100).await;
    let edited = to(bad.address()) + GUARDED;
    gateway.reload(&edited).await;
    gateway.edit(&(edited + "# in a hurry\n"));
    gateway.process.hang_up();
    eventually("it is taken back", PATIENCE, async || {
        let state = gateway.operator("/config").await;
        let is_told = state["disk"]["refused"].is_string();
        is_told && who(&gateway).await == "good"
    })
    .await;
    load.stop().await;
    // Whichever of them it was that ran: none that leads to the bad server is left as good.
    let generations = gateway.operator("/config/generations").await;
    for one in generations.as_array().unwrap() {
        let number = &one["generation"];
        let whole = gateway
            .operator(&format!("/config/generations/{number}"))
            .await;
        let is_bad = whole["files"]
            .to_string()
            .contains(&bad.address().to_string());
        assert_eq!(is_bad, one["refused"].is_string(), "{generations}");
    }
}
