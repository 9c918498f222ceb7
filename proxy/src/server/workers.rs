//! The threads that serve requests. Each has a runtime of its own and keeps a connection from its first byte to its last,
//! so no request wakes another thread, and those that wait are served in the order in which they came. What is not a
//! request (an edit, probes, names, the operator's side) runs on the process's first thread and holds none up.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Handle};

/// All of them. They end with the process.
pub(super) struct Workers {
    handles: Vec<Handle>,
    turn: AtomicUsize,
}

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Worker(usize);

impl Workers {
    /// Starts as many.
    pub(super) fn start(threads: usize) -> io::Result<Self> {
        let handles = (0..threads).map(start).collect::<io::Result<_>>()?;
        Ok(Self {
            handles,
            turn: AtomicUsize::new(0),
        })
    }

    /// Each in turn: whoever keeps a connection keeps it for long, so the count is what has to be even.
    pub(super) fn next(&self) -> Worker {
        Worker(self.turn.fetch_add(1, Ordering::Relaxed) % self.handles.len())
    }

    /// Where its tasks are spawned.
    #[expect(clippy::indexing_slicing, reason = "`next` alone makes them")]
    pub(super) fn handle(&self, worker: Worker) -> &Handle {
        &self.handles[worker.0]
    }

    /// A socket that is made so is watched by this one.
    pub(super) fn watch<T>(
        &self,
        worker: Worker,
        make: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let _inside = self.handle(worker).enter();
        make()
    }

    /// From now on the connection is watched by this one.
    pub(super) fn adopt(&self, worker: Worker, stream: TcpStream) -> io::Result<TcpStream> {
        let stream = stream.into_std()?;
        self.watch(worker, || TcpStream::from_std(stream))
    }
}

fn start(number: usize) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name(format!("tidegate-{number}"))
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
