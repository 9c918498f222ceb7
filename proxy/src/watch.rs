//! When files may have changed: all that the last load of the routing file read (included files, patterns, secrets, files named in
//! options), or a list that is read by itself.
//!
//! Editors rename, Kubernetes swaps a symbolic link two folders up, some mounts send no events at all. So events only say
//! when to look at once; everything is looked at every two seconds in any case, and what counts is what it holds, compared
//! with what the load saw: an edit while a load was under way is not missed.

use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use crate::config::Inputs;

/// Where the system sends no events, a change is seen after this long.
const POLL: Duration = Duration::from_secs(2);

/// A file that is still being written looks different after this long.
const SETTLE: Duration = Duration::from_millis(50);

/// Looks at everything that a load read.
pub struct FileWatch {
    inputs: Arc<Inputs>,
    /// What was there when a change was told last, so that it is told once.
    told: Option<u64>,
    sender: mpsc::Sender<()>,
    events: mpsc::Receiver<()>,
    /// Sends the events; kept alive with the watch.
    _watcher: Option<RecommendedWatcher>,
}

impl FileWatch {
    /// From what the first load read.
    pub fn new(inputs: Inputs) -> Self {
        let (sender, events) = mpsc::channel(1);
        let mut watch = Self {
            inputs: Arc::default(),
            told: None,
            sender,
            events,
            _watcher: None,
        };
        watch.follow(inputs);
        watch
    }

    /// From what a later load read, whether it was taken or refused. Folders may be others by now, also those of one name.
    pub fn follow(&mut self, inputs: Inputs) {
        self._watcher = watcher(&inputs, self.sender.clone())
            .map_err(|error| warn!("no file events ({error}); looking every {POLL:?}"))
            .ok();
        self.inputs = Arc::new(inputs);
        self.told = None;
        // What changed since the load has sent no event.
        self.look();
    }

    /// Ends when something holds something else than the load saw, and has held it for a moment: `routes/api.yaml changed`.
    pub async fn changed(&mut self) -> String {
        loop {
            tokio::select! {
                _ = self.events.recv() => {}
                () = tokio::time::sleep(POLL) => {}
            }
            // A busy neighbour in the folder must not keep us busy too.
            tokio::time::sleep(SETTLE).await;
            if self.change().await.is_none() {
                continue;
            }
            let now = self.settle().await;
            if let Some(change) = self.change().await
                && self.told != now
            {
                self.told = now;
                return change;
            }
        }
    }

    /// A full channel means that a look is due already.
    fn look(&self) {
        let _ = self.sender.try_send(());
    }

    async fn change(&self) -> Option<String> {
        let inputs = Arc::clone(&self.inputs);
        spawn_blocking(move || inputs.change()).await.ok().flatten()
    }

    /// Waits until two looks agree, and returns what they saw.
    async fn settle(&self) -> Option<u64> {
        let look = || {
            let inputs = Arc::clone(&self.inputs);
            spawn_blocking(move || inputs.look())
        };
        let mut before = look().await.ok();
        loop {
            tokio::time::sleep(SETTLE).await;
            let now = look().await.ok();
            if now == before {
                return now;
            }
            before = now;
        }
    }
}

/// Watches folders and not files: a file is another one after every rename.
fn watcher(inputs: &Inputs, sender: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if !event.is_ok_and(|event| is_a_look(event.kind)) {
            // A full channel means that a look is due already.
            let _ = sender.try_send(());
        }
    })?;
    for folder in inputs.folders() {
        if let Err(error) = watcher.watch(&folder, RecursiveMode::NonRecursive) {
            debug!("no events of {} ({error})", folder.display());
        }
    }
    Ok(watcher)
}

/// Our own reading is an event too.
fn is_a_look(kind: EventKind) -> bool {
    kind.is_access() && kind != EventKind::Access(AccessKind::Close(AccessMode::Write))
}
