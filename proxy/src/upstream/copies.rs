//! Copies of requests: sent, counted and forgotten. They run where no request of a client does, and there are so many at a
//! time and no more, so whoever gets them can be as slow as it likes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Parts, Scheme};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::balance::{Asked, End, Outcome, Tried};
use super::{Timeouts, Upstream};
use crate::turns::Purpose;

/// At a time, over all routes, from the first byte of their body that is kept. With the largest body each they take 4 GiB.
const AT_A_TIME: usize = 256;

/// So much of an answer is read, so that the connection can be kept.
const ANSWER_MAX: usize = 1 << 20;

/// Sends them.
pub struct Copies {
    runtime: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
    places: Arc<Semaphore>,
}

/// Where one goes.
pub struct To {
    /// Who gets it.
    pub upstream: Arc<Upstream>,
    /// How long to wait for it.
    pub timeouts: Timeouts,
    /// What of it decides on the server.
    pub key: Option<u64>,
}

/// What became of a route's copies.
#[derive(Debug, Default)]
pub struct Outcomes {
    /// By the first digit of the status, from 1.
    answered: [AtomicU64; 5],
    failed: AtomicU64,
    too_large: AtomicU64,
    busy: AtomicU64,
}

impl Outcomes {
    /// Answers by the first digit of their status, from 1.
    pub fn answered(&self) -> [u64; 5] {
        self.answered
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed))
    }

    /// Nobody answered, or not in time.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Not sent: the body was larger than the file says.
    pub fn too_large(&self) -> u64 {
        self.too_large.load(Ordering::Relaxed)
    }

    /// Not sent: too many others were under way.
    pub fn busy(&self) -> u64 {
        self.busy.load(Ordering::Relaxed)
    }

    /// One was not sent because of its size.
    pub fn note_too_large(&self) {
        self.too_large.fetch_add(1, Ordering::Relaxed);
    }

    fn note(&self, status: Option<StatusCode>) {
        let class = status.map(|status| usize::from(status.as_u16() / 100));
        let count = class.and_then(|class| self.answered.get(class.checked_sub(1)?));
        count
            .unwrap_or(&self.failed)
            .fetch_add(1, Ordering::Relaxed);
    }
}

impl Copies {
    /// They run here.
    pub fn new(runtime: Handle) -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(AT_A_TIME)
            .build(HttpConnector::new());
        Self {
            runtime,
            client,
            places: Arc::new(Semaphore::new(AT_A_TIME)),
        }
    }

    /// A place for one more; none, which is noted, if there are too many.
    pub fn place(&self, outcomes: &Outcomes) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            outcomes.busy.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// Sends one in its place, and notes what becomes of it.
    pub fn send(
        &self,
        place: OwnedSemaphorePermit,
        mut request: Request<Full<Bytes>>,
        to: To,
        outcomes: Arc<Outcomes>,
    ) {
        let client = self.client.clone();
        // Whole: nobody waits for a piece of it.
        let patience: Duration = to.timeouts.connect + to.timeouts.read;
        self.runtime.spawn(async move {
            let pool = to.upstream.pool();
            let asked = Asked {
                tried: Tried::NONE,
                purpose: Purpose::Serve,
                key: to.key,
                now: Instant::now(),
            };
            let server = pool.pick(&asked).ok().map(Arc::clone);
            drop(pool);
            let status = async {
                let server = server?;
                let _in_flight = server.enter();
                let authority: Authority = server.address().to_string().parse().ok()?;
                let mut parts = Parts::default();
                parts.scheme = Some(Scheme::HTTP);
                parts.authority = Some(authority);
                parts.path_and_query = request.uri().path_and_query().cloned();
                *request.uri_mut() = Uri::from_parts(parts).ok()?;
                let answered = async {
                    let answer = client.request(request).await.ok()?;
                    let status = answer.status();
                    // What is larger costs a connection and nothing else.
                    let _ = Limited::new(answer.into_body(), ANSWER_MAX).collect().await;
                    Some(status)
                };
                let status = tokio::time::timeout(patience, answered).await;
                let status = status.ok().flatten();
                let outcome = |end| move || Some(outcome(end, asked.now));
                match status {
                    Some(status) if !status.is_server_error() => {
                        to.upstream.note(&server, outcome(End::Answered));
                        to.upstream.note(&server, outcome(End::Complete));
                    }
                    _ => to.upstream.note(&server, outcome(End::Failed)),
                }
                status
            };
            outcomes.note(status.await);
            drop(place);
        });
    }
}

/// The whole of the answer, which is read at once, and of the way there: all copies are measured alike.
fn outcome(end: End, since: Instant) -> Outcome {
    let at = Instant::now();
    Outcome {
        end,
        took: Some(at.saturating_duration_since(since)),
        picked: since,
        at,
    }
}
