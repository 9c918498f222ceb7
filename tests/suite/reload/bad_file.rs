//! A file that is wrong changes nothing.

use tidegate_tests::{Load, PATIENCE, eventually};

use crate::{answers, count, refusal, start, to, who};

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_where_and_a_good_one_clears_it() {
    let (gateway, first, second) = start().await;
    let generation = gateway.ready().await.generation;
    let load = Load::start(&gateway.url("/"), 4);
    let bad = to(second.address()).replace("upstream: api", "upstream: apo");
    gateway.edit(&bad);
    let report = refusal(&gateway).await;
    let (line, column) = place(&bad, "apo");
    let place = format!("tidegate.yaml:{line}:{column}");
    assert!(report.contains(&place), "{place} is not in {report}");
    assert!(
        report.contains("apo") && report.contains("`api`"),
        "{report}"
    );
    let ready = gateway.ready().await;
    assert_eq!((ready.status, ready.generation), (200, generation));
    assert_eq!(who(&gateway).await, "first");

    // The same text again is not a change.
    gateway.edit(&bad);
    // Nor is a worse one a reason to stop, and it is told.
    gateway.edit("listeners: [");
    let what = "the other report";
    eventually(what, PATIENCE, async || refusal(&gateway).await != report).await;
    assert_eq!(who(&gateway).await, "first");

    gateway.edit(&to(second.address()));
    gateway.generation_after(generation).await;
    answers(&gateway, "second").await;
    assert!(gateway.ready().await.body["refused"].is_null());
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(count(&gateway, "routing file refused"), 2, "each once");
    assert!(first.accepted() > 0);
}

/// Line and column, from 1.
fn place(text: &str, part: &str) -> (usize, usize) {
    let mut lines = text.lines().enumerate();
    let found = lines.find_map(|(line, text)| Some((line + 1, text.find(part)? + 1)));
    found.unwrap()
}

/// Going back to what runs is a good edit, too.
#[tokio::test]
async fn taking_a_bad_edit_back_clears_it() {
    let (gateway, first, _second) = start().await;
    gateway.edit("routes: {}\nrotes: {}\n");
    let report = refusal(&gateway).await;
    assert!(report.contains("rotes"), "{report}");
    gateway.edit(&to(first.address()));
    eventually("the refusal is gone", PATIENCE, async || {
        gateway.ready().await.body["refused"].is_null()
    })
    .await;
    assert_eq!(who(&gateway).await, "first");
}
