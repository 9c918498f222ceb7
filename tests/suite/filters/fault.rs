//! `fault`: requests that are late or fail because the file says so.

use std::time::{Duration, Instant};

use tidegate_tests::Gateway;

use crate::Way;

#[tokio::test]
async fn requests_fail_or_are_late_until_the_moment_has_come() {
    let until = "until: 2099-01-01";
    let way = Way::start(
        &format!("[ {{ fault: {{ {until}, abort: 503, when: {{ header: {{ X-Fault: abort }} }} }} }}, \
                    {{ fault: {{ {until}, delay: 400ms, when: {{ header: {{ X-Fault: late }} }} }} }} ]"),
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.status("").await, 200);
    assert_eq!(way.status("|X-Fault: abort").await, 503);
    assert_eq!(way.server.seen().len(), 1);
    let since = Instant::now();
    assert_eq!(way.status("|X-Fault: late").await, 200);
    assert!(since.elapsed() >= Duration::from_millis(400));
    let way = Way::start(
        "[ { fault: { until: \"2020-01-01T00:00:00Z\", abort: 503 } } ]",
        "path_prefix: /",
    )
    .await;
    assert_eq!(way.status("").await, 200, "it is over");
}

#[tokio::test]
async fn a_share_of_the_requests_fails() {
    let gateway = Gateway::start(
        "routes:\n  some: { filters: [ { fault: { until: 2099-01-01, abort: 500, share: 50% } } ], respond: { text: fine } }\n",
    )
    .await;
    let mut failed = 0;
    for _ in 0..400 {
        failed += u32::from(gateway.get("/").await.status() == 500);
    }
    // Six standard deviations to either side.
    assert!((140..=260).contains(&failed), "{failed}");
}

/// A request that is held up does not hold up others.
#[tokio::test]
async fn a_delay_is_not_a_busy_thread() {
    let gateway = Gateway::start_with(
        "routes:\n  late: { match: { path: /late }, filters: [ { fault: { until: 2099-01-01, delay: 2s } } ], respond: { text: late } }\n  \
         now: { match: { path: /now }, respond: { text: now } }\n",
        |command| {
            command.env("TIDEGATE_THREADS", "1");
        },
    )
    .await;
    let since = Instant::now();
    let late = gateway.get("/late");
    let quick = async {
        for _ in 0..10 {
            assert_eq!(gateway.get("/now").await.status(), 200);
        }
        since.elapsed()
    };
    let (late, quick) = tokio::join!(late, quick);
    assert_eq!(late.status(), 200);
    assert!(since.elapsed() >= Duration::from_secs(2));
    assert!(quick < Duration::from_secs(2), "{quick:?}");
}
