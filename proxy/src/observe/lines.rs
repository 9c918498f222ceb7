//! Lines that a thread of its own writes. Whoever has a line leaves it and goes on; what has gathered in a moment is
//! written in one system call. When whoever reads is too slow and the room is full, lines are dropped and counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes that may wait to be written.
const ROOM: usize = 16 * 1024 * 1024;

/// What comes within this time of a first line is written with it.
const MOMENT: Duration = Duration::from_millis(10);

/// Capacity that is kept from one moment to the next.
const KEEP: usize = 256 * 1024;

/// Where lines are left.
#[derive(Debug)]
pub(super) struct Lines(Arc<Shared>);

/// The writer. Ends, with every line written, when it is dropped.
#[derive(Debug)]
pub struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    something: Condvar,
    dropped: AtomicUsize,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    is_over: bool,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next lines, in place of those in `written`; false once there are no more.
    fn take(&self, written: &mut Vec<u8>) -> bool {
        written.clear();
        written.shrink_to(KEEP);
        let mut waiting = self.waiting();
        while waiting.text.is_empty() && !waiting.is_over {
            waiting = self
                .something
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if !waiting.is_over {
            drop(waiting);
            std::thread::sleep(MOMENT);
            waiting = self.waiting();
        }
        std::mem::swap(&mut waiting.text, written);
        !written.is_empty()
    }
}

impl Lines {
    /// Writes to standard output.
    ///
    /// # Errors
    /// The system has no thread or no file descriptor left.
    pub(super) fn to_stdout() -> io::Result<(Self, Writing)> {
        // A descriptor of its own: the one of the standard library writes line by line.
        let stdout = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        Self::to(stdout)
    }

    fn to(mut file: impl Write + Send + 'static) -> io::Result<(Self, Writing)> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let write = move || {
            let mut lines = Vec::new();
            while of_thread.take(&mut lines) {
                // Nobody is left to be told that nobody reads.
                let _ = file.write_all(&lines).and_then(|()| file.flush());
            }
        };
        let thread = std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(write)?;
        let writing = Writing {
            shared: Arc::clone(&shared),
            thread: Some(thread),
        };
        Ok((Self(shared), writing))
    }

    /// Leaves a line, its end included, or drops it.
    pub(super) fn leave(&self, line: &[u8]) {
        let mut waiting = self.0.waiting();
        if waiting.text.len() + line.len() > ROOM {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let is_first = waiting.text.is_empty();
        waiting.text.extend_from_slice(line);
        drop(waiting);
        if is_first {
            self.0.something.notify_one();
        }
    }

    /// Lines that found no room.
    pub(super) fn dropped(&self) -> usize {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.waiting().is_over = true;
        self.shared.something.notify_one();
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Passes on what it is given, a piece at a time, once it may.
    struct Gated(mpsc::Receiver<()>, mpsc::Sender<Vec<u8>>);

    impl Write for Gated {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            let _ = self.1.send(text.to_vec());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_is_written_in_order_and_many_at_a_time() {
        let (open, gate) = mpsc::channel();
        let (sender, pieces) = mpsc::channel();
        let (lines, writing) = Lines::to(Gated(gate, sender)).unwrap();
        let all: Vec<String> = (0..1000).map(|number| format!("{number}\n")).collect();
        for line in &all {
            lines.leave(line.as_bytes());
        }
        drop(open);
        drop(writing);
        let pieces: Vec<Vec<u8>> = pieces.try_iter().collect();
        assert_eq!(pieces.concat(), all.concat().into_bytes());
        assert!(pieces.len() < 100, "{} writes", pieces.len());
        assert_eq!(lines.dropped(), 0);
    }

    #[test]
    fn what_nobody_reads_is_bounded_and_counted() {
        let (open, gate) = mpsc::channel();
        let (sender, pieces) = mpsc::channel();
        let (lines, writing) = Lines::to(Gated(gate, sender)).unwrap();
        let line = vec![b'x'; ROOM / 4];
        // The writer may have taken as many as there is room for, before it got stuck.
        for _ in 0..9 {
            lines.leave(&line);
        }
        assert!((1..=5).contains(&lines.dropped()), "{}", lines.dropped());
        drop(open);
        drop(writing);
        let written: usize = pieces.try_iter().map(|piece| piece.len()).sum();
        assert_eq!(written + lines.dropped() * line.len(), 9 * line.len());
    }
}
