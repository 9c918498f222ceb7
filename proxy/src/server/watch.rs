//! When the file may have changed.
//!
//! Editors rename, Kubernetes swaps a symbolic link two folders up, some mounts send no events at all. So events only say
//! when to look at once; the file is looked at every two seconds in any case, and what counts is what it holds.

use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tracing::warn;

/// Where the system sends no events, a change is seen after this long.
const POLL: Duration = Duration::from_secs(2);

/// A file that is still being written looks different after this long.
const SETTLE: Duration = Duration::from_millis(50);

/// Looks at one file.
pub(super) struct FileWatch {
    path: PathBuf,
    seen: Option<Vec<u8>>,
    events: mpsc::Receiver<()>,
    /// Sends the events; kept alive with the watch.
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// What the file holds now is known already.
    pub(super) fn new(path: &Path) -> Self {
        let (sender, events) = mpsc::channel(1);
        let watcher = watcher(path, sender)
            .map_err(|error| warn!("no file events ({error}); looking every {POLL:?}"))
            .ok();
        Self {
            path: path.to_owned(),
            seen: std::fs::read(path).ok(),
            events,
            _watcher: watcher,
        }
    }

    /// Ends when the file holds something else than last time, and has held it for a moment.
    pub(super) async fn changed(&mut self) {
        loop {
            tokio::select! {
                event = self.events.recv() => if event.is_none() { tokio::time::sleep(POLL).await },
                () = tokio::time::sleep(POLL) => {}
            }
            // A busy neighbour in the folder must not keep us busy too.
            tokio::time::sleep(SETTLE).await;
            if tokio::fs::read(&self.path).await.ok() != self.seen && self.settle().await {
                return;
            }
        }
    }

    /// Waits until two looks agree; whether they agree on something new.
    async fn settle(&mut self) -> bool {
        let mut before = tokio::fs::read(&self.path).await.ok();
        loop {
            tokio::time::sleep(SETTLE).await;
            let now = tokio::fs::read(&self.path).await.ok();
            if now == before {
                let is_new = now != self.seen;
                self.seen = now;
                return is_new;
            }
            before = now;
        }
    }
}

/// Watches the folder that holds the name and, behind a symbolic link, the one that holds the file: the file itself is
/// another one after every rename.
fn watcher(path: &Path, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if !event.is_ok_and(|event| is_a_look(event.kind)) {
            // A full channel means that a look is due already.
            let _ = sender.try_send(());
        }
    })?;
    watcher.watch(folder(path), RecursiveMode::NonRecursive)?;
    if let Ok(real) = path.canonicalize()
        && real.parent() != folder(path).canonicalize().ok().as_deref()
    {
        watcher.watch(folder(&real), RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

/// Our own reading is an event too.
fn is_a_look(kind: EventKind) -> bool {
    kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
