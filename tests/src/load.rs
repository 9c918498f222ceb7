//! Clients that keep asking, on connections that they keep.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::{PATIENCE, client, eventually};

/// No answer by then is an error.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Nobody stopped it: it ends by itself.
const LONGEST: Duration = Duration::from_secs(120);

/// Load on one URL. Runs until [`Load::stop`], two minutes at the longest.
#[derive(Debug)]
pub struct Load {
    workers: JoinSet<Report>,
    shared: Arc<Shared>,
}

/// What the clients saw.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Report {
    /// Answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without a whole answer, by what was wrong.
    pub errors: BTreeMap<String, u64>,
    /// Answers by the `instance` that they name, for `/api/whoami`.
    pub instances: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// Requests that may still be sent.
    left: AtomicU64,
    ended: AtomicU64,
}

impl Load {
    /// Starts `concurrency` clients, each of which sends its next GET when the last one is answered.
    pub fn start(url: &str, concurrency: usize) -> Self {
        Self::bounded(url, concurrency, u64::MAX)
    }

    /// Sends `count` GETs in all and reports.
    pub async fn run(url: &str, concurrency: usize, count: u64) -> Report {
        Self::bounded(url, concurrency, count).finish().await
    }

    fn bounded(url: &str, concurrency: usize, count: u64) -> Self {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            left: AtomicU64::new(count),
            ended: AtomicU64::new(0),
        });
        let client = client();
        let mut workers = JoinSet::new();
        for _ in 0..concurrency {
            workers.spawn(work(client.clone(), url.to_owned(), Arc::clone(&shared)));
        }
        Self { workers, shared }
    }

    /// Waits until `count` more requests have ended: load has been on for what comes next.
    pub async fn more(&self, count: u64) {
        let goal = self.shared.ended.load(Ordering::Relaxed) + count;
        let what = format!("{count} more requests end");
        eventually(&what, PATIENCE, async || {
            self.shared.ended.load(Ordering::Relaxed) >= goal
        })
        .await;
    }

    /// Sends no more requests, waits for the answers that are due, and reports.
    pub async fn stop(self) -> Report {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.finish().await
    }

    async fn finish(mut self) -> Report {
        let mut report = Report::default();
        while let Some(part) = self.workers.join_next().await {
            report.add(part.unwrap());
        }
        report
    }
}

impl Report {
    /// All requests.
    pub fn total(&self) -> u64 {
        self.statuses.values().chain(self.errors.values()).sum()
    }

    /// Requests that did not end with a whole 2xx answer.
    pub fn failures(&self) -> u64 {
        self.total()
            - self
                .statuses
                .range(200..300)
                .map(|(_, count)| count)
                .sum::<u64>()
    }

    fn add(&mut self, other: Self) {
        merge(&mut self.statuses, other.statuses);
        merge(&mut self.errors, other.errors);
        merge(&mut self.instances, other.instances);
    }
}

impl Shared {
    /// Whether one more request may be sent, and counts it.
    fn take(&self) -> bool {
        let one_less = |left: u64| left.checked_sub(1);
        !self.stop.load(Ordering::Relaxed)
            && self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
    }
}

async fn work(client: reqwest::Client, url: String, shared: Arc<Shared>) -> Report {
    let end = Instant::now() + LONGEST;
    let mut report = Report::default();
    while Instant::now() < end && shared.take() {
        match ask(&client, &url).await {
            Ok((status, instance)) => {
                *report.statuses.entry(status).or_default() += 1;
                if let Some(instance) = instance {
                    *report.instances.entry(instance).or_default() += 1;
                }
            }
            Err(error) => *report.errors.entry(whole(&error)).or_default() += 1,
        }
        shared.ended.fetch_add(1, Ordering::Relaxed);
    }
    report
}

async fn ask(client: &reqwest::Client, url: &str) -> reqwest::Result<(u16, Option<String>)> {
    let response = client.get(url).timeout(ANSWER_WITHIN).send().await?;
    let status = response.status().as_u16();
    let body = response.bytes().await?;
    let instance = Some(&body)
        .filter(|body| body.starts_with(b"{"))
        .and_then(|body| {
            let answer: Value = serde_json::from_slice(body).ok()?;
            Some(answer.get("instance")?.as_str()?.to_owned())
        });
    Ok((status, instance))
}

/// The error and its causes, in one line.
fn whole(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", whole(source)),
        None => error.to_string(),
    }
}

fn merge<K: Ord>(into: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *into.entry(key).or_default() += count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Origin, refusing_address};

    const WHOAMI: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n{\"instance\":\"one\"}";

    #[tokio::test]
    async fn counts_answers_on_few_connections() {
        let origin = Origin::answering(WHOAMI).await;
        let report = Load::run(&format!("http://{}/", origin.address()), 4, 100).await;
        assert_eq!(report.statuses, BTreeMap::from([(200, 100)]));
        assert_eq!(report.instances, BTreeMap::from([("one".to_owned(), 100)]));
        assert_eq!((report.total(), report.failures()), (100, 0));
        assert!(origin.accepted() <= 8, "{} connections", origin.accepted());
    }

    #[tokio::test]
    async fn counts_errors_and_other_statuses_as_failures() {
        let report = Load::run(&format!("http://{}/", refusing_address()), 2, 6).await;
        assert_eq!((report.total(), report.failures()), (6, 6));
        let origin = Origin::answering(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").await;
        let load = Load::start(&format!("http://{}/", origin.address()), 2);
        load.more(10).await;
        let report = load.stop().await;
        assert_eq!(report.statuses.keys().collect::<Vec<_>>(), [&503]);
        assert_eq!(report.failures(), report.total());
    }
}
