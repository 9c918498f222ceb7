//! Servers on sockets of the test's own: one that is well, and one that fails in a way of its own until it is healed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidegate_tests::{Connection, Origin, free_address};
use tokio::io::AsyncReadExt;

/// Two that are always well, called `b` and `c`: the one that fails is `a`.
pub(crate) async fn two_well() -> [Origin; 2] {
    [well("b").await, well("c").await]
}

async fn well(instance: &'static str) -> Origin {
    well_at(free_address(), instance).await
}

/// Answers every request with its name.
pub(crate) async fn well_at(address: SocketAddr, instance: &'static str) -> Origin {
    Origin::start_at(address, move |mut connection| async move {
        while read_request(&mut connection).await && answer(&mut connection, instance).await {}
    })
    .await
}

/// A server `a` that does to each request what the script does, until it is healed.
pub(crate) struct Failing {
    pub(crate) origin: Origin,
    fails: Arc<AtomicBool>,
}

impl Failing {
    /// The script gets the connection after a whole request, and the number of that request. It returns what is left of the
    /// connection.
    pub(crate) async fn start<S, F>(script: S) -> Self
    where
        S: Fn(Connection, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Option<Connection>> + Send + 'static,
    {
        let fails = Arc::new(AtomicBool::new(true));
        let (still, count) = (
            Arc::clone(&fails),
            Arc::<std::sync::atomic::AtomicUsize>::default(),
        );
        let origin = Origin::start(move |mut connection| {
            let (still, count, script) = (Arc::clone(&still), Arc::clone(&count), script.clone());
            async move {
                while read_request(&mut connection).await {
                    if still.load(Ordering::SeqCst) {
                        let number = count.fetch_add(1, Ordering::SeqCst);
                        let Some(left) = script(connection, number).await else {
                            return;
                        };
                        connection = left;
                    } else if !answer(&mut connection, "a").await {
                        return;
                    }
                }
            }
        })
        .await;
        Self { origin, fails }
    }

    pub(crate) fn heal(&self) {
        self.fails.store(false, Ordering::SeqCst);
    }
}

/// A whole request, its body forgotten.
pub(crate) async fn read_request(connection: &mut Connection) -> bool {
    let Some(head) = connection.read_head().await else {
        return false;
    };
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut lengths = fields.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = lengths
        .next()
        .and_then(|(_, value)| value.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    connection.stream.read_exact(&mut body).await.is_ok()
}

/// As `whoami` does.
pub(crate) async fn answer(connection: &mut Connection, instance: &str) -> bool {
    let body = body(instance);
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
    connection.write(answer.as_bytes()).await
}

pub(crate) fn body(instance: &str) -> String {
    format!("{{\"instance\":\"{instance}\"}}")
}
