//! A server whose health the test decides, and that counts its probes: a check that never runs is seen.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::{Connection, Origin, PATIENCE};

/// What it is probed at. Every other path is a request like any other and is answered with 200.
pub const HEALTH: &str = "/health";

/// The status that stands for "each probe waits for the test's answer".
const HELD: u16 = 0;

/// A running server.
#[derive(Debug)]
pub struct Patient {
    origin: Origin,
    shared: Arc<Shared>,
    held: Mutex<mpsc::UnboundedReceiver<Probe>>,
}

/// A probe that waits for its answer.
#[derive(Debug)]
pub struct Probe {
    /// Request line and headers.
    pub head: String,
    answer: oneshot::Sender<u16>,
}

#[derive(Debug)]
struct Shared {
    status: AtomicU16,
    probes: AtomicUsize,
    requests: AtomicUsize,
    hold: mpsc::UnboundedSender<Probe>,
}

impl Patient {
    /// Answers every probe with `status`, at once.
    pub async fn start(status: u16) -> Self {
        let (hold, held) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            status: status.into(),
            probes: 0.into(),
            requests: 0.into(),
            hold,
        });
        let script = {
            let shared = Arc::clone(&shared);
            move |connection| serve(connection, Arc::clone(&shared))
        };
        Self {
            origin: Origin::start(script).await,
            shared,
            held: Mutex::new(held),
        }
    }

    /// Lets every probe wait until the test takes it with [`Patient::probe`] and answers it.
    pub async fn held() -> Self {
        Self::start(HELD).await
    }

    /// From now on probes are answered so, at once.
    pub fn answers(&self, status: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
    }

    /// The next probe that waits.
    pub async fn probe(&self) -> Probe {
        let mut held = self.held.lock().await;
        let probe = timeout(PATIENCE, held.recv()).await;
        probe.expect("a probe comes").unwrap()
    }

    /// Probes so far.
    pub fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// Requests so far that were not probes.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

impl Probe {
    /// Answers with this status.
    pub fn answer(self, status: u16) {
        // The prober may have given up.
        let _ = self.answer.send(status);
    }
}

async fn serve(mut connection: Connection, shared: Arc<Shared>) {
    while let Some(head) = connection.read_head().await {
        let status = if head.split(' ').nth(1) == Some(HEALTH) {
            shared.probes.fetch_add(1, Ordering::SeqCst);
            shared.verdict(head).await
        } else {
            shared.requests.fetch_add(1, Ordering::SeqCst);
            200
        };
        let answer = format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n");
        if !connection.write(answer.as_bytes()).await {
            return;
        }
    }
}

impl Shared {
    async fn verdict(&self, head: String) -> u16 {
        match self.status.load(Ordering::SeqCst) {
            HELD => {
                let (answer, verdict) = oneshot::channel();
                let _ = self.hold.send(Probe { head, answer });
                // Nobody answers any more: the test is over.
                verdict.await.unwrap_or(500)
            }
            status => status,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_probes_as_told_and_counts_them_apart() {
        let patient = Patient::start(503).await;
        let status = async |path: &str| {
            let url = format!("http://{}{path}", patient.address());
            crate::client().get(url).send().await.unwrap().status()
        };
        assert_eq!(status(HEALTH).await, 503);
        assert_eq!(status("/").await, 200);
        patient.answers(200);
        assert_eq!(status(HEALTH).await, 200);
        assert_eq!((patient.probes(), patient.requests()), (2, 1));
    }

    #[tokio::test]
    async fn holds_a_probe_until_it_is_answered() {
        let patient = Patient::held().await;
        let url = format!("http://{}{HEALTH}", patient.address());
        let asked = tokio::spawn(crate::client().get(url).send());
        let probe = patient.probe().await;
        assert!(probe.head.starts_with("GET /health HTTP/1.1\r\n"));
        assert!(!asked.is_finished());
        probe.answer(418);
        assert_eq!(asked.await.unwrap().unwrap().status(), 418);
    }
}
