//! SIGTERM and SIGINT end the process, SIGHUP reads the file again. They are ours: Pingora would stop listening at the
//! first one, swallow the second and die of a SIGHUP.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that the process hears.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// SIGTERM: finish what is in flight, then end.
    Terminate,
    /// SIGINT: the same, and at once when it comes again.
    Interrupt,
    /// SIGHUP: read the file again.
    Reload,
}

impl Signals {
    /// From now on they are heard.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(super) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Terminate,
            _ = self.interrupt.recv() => Wish::Interrupt,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}
