//! What ran is remembered, over restarts, and can run again.

use serde_json::Value;
use tidegate_tests::{Gateway, Load, PATIENCE, eventually};

use crate::{named, refusal, to, who};

/// The numbers and triggers of all generations that are kept.
async fn kept(gateway: &Gateway) -> Vec<(u64, String)> {
    let all = gateway.operator("/config/generations").await;
    let one = |one: &Value| {
        let trigger = one["trigger"].as_str().unwrap().to_owned();
        (one["generation"].as_u64().unwrap(), trigger)
    };
    all.as_array().unwrap().iter().map(one).collect()
}

#[tokio::test]
async fn an_edit_is_told_in_the_words_of_the_file_and_can_be_rolled_back() {
    let (first, second) = (named("first").await, named("second").await);
    let mut gateway = Gateway::start(&to(first.address())).await;
    let load = Load::start(&gateway.url("/"), 4);
    let edited = to(second.address()) + "timeouts: { read: 5s }\n";
    gateway.reload(&edited).await;
    let state = gateway.operator("/config").await;
    let changes: Vec<&str> = state["changes"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let (minus, plus) = (
        format!("upstream api: - {}", first.address()),
        format!("upstream api: + {}", second.address()),
    );
    for change in [minus.as_str(), plus.as_str(), "timeouts.read 60s -> 5s"] {
        let change = change.replace("60s", "1m");
        assert!(
            changes.contains(&change.as_str()),
            "{change} is not in {changes:?}"
        );
    }
    let log = gateway.process.log();
    assert!(
        log.iter()
            .any(|line| line.contains("routing file taken") && line.contains(&plus)),
        "{log:?}"
    );
    let status = gateway.ask(&["status"]).await;
    assert!(
        status.code == Some(0) && status.out.contains("the file on disk is what runs"),
        "{status:?}"
    );

    let back = gateway.ask(&["rollback"]).await;
    assert_eq!(back.code, Some(0), "{}", back.err);
    assert!(back.out.contains("the file on disk stays as it is"));
    assert_eq!(who(&gateway).await, "first");
    let status = gateway.ask(&["status"]).await;
    assert_eq!(status.code, Some(1), "{status:?}");
    assert!(
        status.out.contains("NOT what runs") && status.out.contains(&plus),
        "{}",
        status.out
    );
    assert!(
        refusal(&gateway)
            .await
            .contains("rolled back to 1 by the operator")
    );

    // By number, and what is not kept is told.
    let again = gateway.ask(&["rollback", "2"]).await;
    assert_eq!(again.code, Some(0), "{}", again.err);
    assert!(again.out.contains("the file on disk is what runs"));
    assert_eq!(who(&gateway).await, "second");
    assert!(
        gateway.ready().await.body["refused"].is_null(),
        "the file on disk is what runs"
    );
    let none = gateway.ask(&["rollback", "99"]).await;
    assert!(
        none.code == Some(1) && none.err.contains("generation 99 is not kept"),
        "{none:?}"
    );
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");

    let before = kept(&gateway).await;
    let triggers: Vec<&str> = before.iter().map(|(_, trigger)| trigger.as_str()).collect();
    assert_eq!(triggers[0], "start");
    assert!(triggers[1].contains("changed"), "{triggers:?}");
    assert_eq!(
        triggers[2..],
        [
            "rolled back to 1 by the operator",
            "rolled back to 2 by the operator"
        ]
    );
    gateway.restart_with(|_| ()).await;
    assert_eq!(
        kept(&gateway).await,
        before,
        "the same file is the same generation"
    );
    assert_eq!(gateway.ready().await.generation, 4);
    let text = gateway.operator("/config/generations/1").await;
    assert!(
        text["files"][0]["text"]
            .as_str()
            .unwrap()
            .contains(&first.address().to_string())
    );

    // Edited while nothing ran.
    gateway.terminate().await;
    gateway.edit(&to(first.address()));
    gateway.restart_with(|_| ()).await;
    let state = gateway.operator("/config").await;
    assert_eq!(
        (&state["generation"], &state["trigger"]),
        (&5.into(), &"start".into())
    );
    let changes = state["changes"].to_string();
    assert!(
        changes.contains(&minus.replace("- 127", "+ 127")),
        "{changes}"
    );
}

#[tokio::test]
async fn twenty_are_kept_and_those_that_are_broken_are_left_alone() {
    let origin = named("x").await;
    let mut gateway = Gateway::start(&to(origin.address())).await;
    for number in 1..=24 {
        let edited = format!("{}timeouts: {{ read: {number}s }}\n", to(origin.address()));
        gateway.reload(&edited).await;
    }
    // What is in effect is kept a moment later.
    let numbers = async || {
        let kept = kept(&gateway).await;
        kept.into_iter().map(|(number, _)| number)
    };
    eventually("the last one is kept", PATIENCE, async || {
        numbers().await.next_back().filter(|last| *last == 25)
    })
    .await;
    assert_eq!(
        numbers().await.collect::<Vec<_>>(),
        (6..=25).collect::<Vec<_>>()
    );
    let state = gateway.file().with_file_name("state");
    std::fs::write(state.join("00000009.json"), "{ half").unwrap();
    gateway.restart_with(|_| ()).await;
    assert_eq!(kept(&gateway).await.len(), 19);
    assert_eq!(who(&gateway).await, "x");
}

#[tokio::test]
async fn a_start_with_a_broken_file_falls_back_only_if_asked_and_loudly() {
    let (first, second) = (named("first").await, named("second").await);
    let mut gateway = Gateway::start(&to(first.address())).await;
    gateway.reload(&to(second.address())).await;
    gateway.terminate().await;
    gateway.edit("routes: {}\nrotes: {}\n");
    let said = gateway.ask(&["run"]).await;
    assert!(
        said.code == Some(1) && said.err.contains("rotes"),
        "{said:?}"
    );
    gateway
        .restart_with(|command| {
            command.arg("--last-good");
        })
        .await;
    assert_eq!(who(&gateway).await, "second");
    assert!(refusal(&gateway).await.contains("rotes"));
    assert_eq!(gateway.ready().await.generation, 2);
    let log = gateway.process.log();
    let loud =
        |line: &String| line.contains("ERROR") && line.contains("the last good one runs instead");
    assert!(log.iter().any(loud), "{log:?}");
    gateway.reload(&to(first.address())).await;
    assert_eq!(who(&gateway).await, "first");
}

#[tokio::test]
async fn an_edit_by_the_operator_is_checked_first_and_differs_from_the_disk_until_that_follows() {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = Gateway::start(&to(first.address())).await;
    let edited = gateway.whole(&to(second.address()));
    let (status, checked) = gateway.tell("/config/check", edited.clone()).await;
    assert_eq!(
        (status, &checked["ok"], &checked["generation"]),
        (200, &true.into(), &Value::Null)
    );
    assert!(
        checked["changes"]
            .to_string()
            .contains(&second.address().to_string()),
        "{checked}"
    );
    assert_eq!(who(&gateway).await, "first", "nothing was applied");

    let (status, refused) = gateway
        .tell(
            "/config/apply",
            edited.replace("upstream: api", "upstream: apo"),
        )
        .await;
    assert_eq!((status, &refused["ok"]), (422, &false.into()));
    assert!(
        refused["report"].as_str().unwrap().contains("E0403"),
        "{refused}"
    );

    let (status, applied) = gateway.tell("/config/apply", edited.clone()).await;
    assert_eq!(
        (status, &applied["generation"]),
        (200, &2.into()),
        "{applied}"
    );
    assert_eq!(who(&gateway).await, "second");
    assert_eq!(gateway.operator("/config").await["disk"]["same"], false);
    gateway.edit(&edited);
    eventually("the disk follows", PATIENCE, async || {
        gateway.operator("/config").await["disk"]["same"] == true
    })
    .await;
}

#[tokio::test]
async fn of_two_edits_in_quick_succession_the_second_one_stays() {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = Gateway::start(&to(first.address())).await;
    for round in 0..5 {
        let before = gateway.ready().await.generation;
        gateway.edit(&format!(
            "{}timeouts: {{ read: {}s }}\n",
            to(first.address()),
            10 + round
        ));
        gateway.edit(&format!(
            "{}timeouts: {{ read: {}s }}\n",
            to(second.address()),
            30 + round
        ));
        gateway.generation_after(before).await;
        eventually("the second edit stays", PATIENCE, async || {
            let state = gateway.operator("/config").await;
            state["disk"]["same"] == true && who(&gateway).await == "second"
        })
        .await;
    }
}
