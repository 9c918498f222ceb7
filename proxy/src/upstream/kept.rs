//! Connections to one server that wait for their next request. They belong to the server's address and outlive reloads.
//!
//! Each thread that serves requests has its own: a connection is watched by the thread that made it, and waking that one
//! for a request of another's costs more than a new connection. The one that was used last is taken first: it is warm, and
//! those that are not needed grow old at the other end. Nobody watches each of them: whether the server has hung up is asked
//! when one is taken, which costs no system call, and once a second of all.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use thread_local::ThreadLocal;
use tokio::net::TcpStream;

use super::limits::Open;
use crate::patience::Patience;

/// How often connections are looked for that nobody wants any more.
pub const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How many a thread keeps for one server; one more takes the place of the oldest.
const KEPT_MAX: usize = 4096;

/// As many may turn out to be closed, one after the other, before the rest is given up.
const TRIES: usize = 8;

/// A connection to a server.
#[derive(Debug)]
pub struct Wire {
    /// The connection.
    pub socket: TcpStream,
    /// How long the server is waited for: its timer is kept with the connection.
    pub patience: Patience,
    /// Counts it, where connections are limited.
    pub open: Option<Open>,
    /// How long it may wait for its next request.
    idle: Duration,
    /// Until when; not known before a sweep has seen it. Most are taken again before that and cost no look at the clock.
    until: Option<Instant>,
}

impl Wire {
    /// One that was just made.
    pub fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            patience: Patience::default(),
            open: None,
            idle: Duration::ZERO,
            until: None,
        }
    }

    fn is_old(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether the server has neither hung up nor said anything. Asks tokio, which asks the kernel only if it knows of news.
    pub fn is_silent(&self) -> bool {
        let read = self.socket.try_read(&mut [0]);
        read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

/// What waits for one server. The newest is in front.
#[derive(Debug, Default)]
pub struct Kept {
    by_thread: ThreadLocal<Shelf>,
}

type Shelf = Mutex<VecDeque<Box<Wire>>>;

fn open(shelf: &Shelf) -> MutexGuard<'_, VecDeque<Box<Wire>>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// Those of this thread. Nobody else takes the lock but the sweep.
    fn idle(&self) -> MutexGuard<'_, VecDeque<Box<Wire>>> {
        open(self.by_thread.get_or_default())
    }

    /// One that can be used at once.
    pub fn take(&self, now: Instant) -> Option<Box<Wire>> {
        for _ in 0..TRIES {
            let wire = self.idle().pop_front()?;
            if !wire.is_old(now) && wire.is_silent() {
                return Some(wire);
            }
        }
        // The server has closed them all, it seems: no request waits until each of thousands is asked.
        let all = std::mem::take(&mut *self.idle());
        drop(all);
        None
    }

    /// Keeps one for a while, `idle` and up to the time between two sweeps.
    pub fn put(&self, mut wire: Box<Wire>, idle: Duration) {
        wire.idle = idle;
        wire.until = None;
        wire.patience.renew();
        let mut all = self.idle();
        all.push_front(wire);
        let surplus = (all.len() > KEPT_MAX).then(|| all.pop_back());
        drop(all);
        // Closed with the lock free.
        drop(surplus);
    }

    /// One of those that wait longest, whoever watches it.
    pub fn oldest(&self) -> Option<Box<Wire>> {
        let mut shelves = self.by_thread.iter();
        shelves.find_map(|shelf| open(shelf).pop_back())
    }

    /// Closes all of them.
    pub fn close(&self) {
        for shelf in &self.by_thread {
            let all = std::mem::take(&mut *open(shelf));
            // Closed with the lock free.
            drop(all);
        }
    }

    /// Closes those whose time is over and those that the server has closed.
    pub fn sweep(&self, now: Instant) {
        for shelf in &self.by_thread {
            Self::sweep_one(shelf, now);
        }
    }

    fn sweep_one(shelf: &Shelf, now: Instant) {
        let mut over = Vec::new();
        let mut all = open(shelf);
        let mut left = VecDeque::with_capacity(all.len());
        for mut wire in all.drain(..) {
            if wire.until.is_none() {
                wire.until = now.checked_add(wire.idle);
            }
            if !wire.is_old(now) && wire.is_silent() {
                left.push_back(wire);
            } else {
                over.push(wire);
            }
        }
        *all = left;
        drop(all);
        // Closed with the lock free.
        drop(over);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    async fn wire(listener: &TcpListener) -> (Box<Wire>, TcpStream) {
        let address = listener.local_addr().unwrap();
        let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
        (Box::new(Wire::new(near.unwrap())), far.unwrap().0)
    }

    fn port(wire: &Wire) -> u16 {
        wire.socket.local_addr().unwrap().port()
    }

    fn count(kept: &Kept) -> usize {
        kept.by_thread.iter().map(|shelf| open(shelf).len()).sum()
    }

    async fn eventually(holds: impl Fn() -> bool) {
        let waiting = async {
            while !holds() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(MINUTE, waiting).await.unwrap();
    }

    #[tokio::test]
    async fn the_newest_is_taken_first_and_never_an_old_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (first, _far_1) = wire(&listener).await;
        let (second, _far_2) = wire(&listener).await;
        let ports = [port(&first), port(&second)];
        kept.put(first, MINUTE);
        kept.put(second, MINUTE);
        kept.sweep(Instant::now());
        assert_eq!(port(&kept.take(Instant::now()).unwrap()), ports[1]);
        assert!(kept.take(Instant::now() + 2 * MINUTE).is_none());
        assert_eq!(count(&kept), 0);
    }

    #[tokio::test]
    async fn no_thread_takes_what_another_watches_and_a_sweep_finds_all() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (here, _far_1) = wire(&listener).await;
        let (there, _far_2) = wire(&listener).await;
        kept.put(here, MINUTE);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                assert!(kept.take(Instant::now()).is_none());
                kept.put(there, MINUTE);
            });
        });
        assert_eq!(count(&kept), 2);
        kept.sweep(Instant::now());
        kept.sweep(Instant::now() + 2 * MINUTE);
        assert_eq!(count(&kept), 0);
    }

    #[tokio::test]
    async fn all_can_be_closed_whoever_watches_them() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (here, _far_1) = wire(&listener).await;
        let (there, _far_2) = wire(&listener).await;
        kept.put(here, MINUTE);
        std::thread::scope(|scope| {
            scope.spawn(|| kept.put(there, MINUTE));
        });
        kept.close();
        assert_eq!(count(&kept), 0);
    }

    #[tokio::test]
    async fn one_that_the_server_closed_or_spoke_on_is_not_used_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (closed, far) = wire(&listener).await;
        let (spoken, mut talker) = wire(&listener).await;
        drop(far);
        talker.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        eventually(|| !closed.is_silent() && !spoken.is_silent()).await;
        kept.put(closed, MINUTE);
        kept.put(spoken, MINUTE);
        assert!(kept.take(Instant::now()).is_none());
    }

    #[tokio::test]
    async fn a_sweep_closes_what_is_old_or_closed_and_leaves_the_rest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Kept::default();
        let (old, _far_1) = wire(&listener).await;
        let (closed, far_2) = wire(&listener).await;
        let (fresh, _far_3) = wire(&listener).await;
        let left = port(&fresh);
        drop(far_2);
        eventually(|| !closed.is_silent()).await;
        for (wire, idle) in [(old, MINUTE), (closed, 9 * MINUTE), (fresh, 9 * MINUTE)] {
            kept.put(wire, idle);
        }
        kept.sweep(Instant::now());
        assert_eq!(count(&kept), 2);
        kept.sweep(Instant::now() + 2 * MINUTE);
        assert_eq!(count(&kept), 1);
        assert_eq!(port(&kept.take(Instant::now()).unwrap()), left);
    }
}
