//! What happened to servers lately: one place to look when somebody asks why a server got no requests at three at night.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Of all upstreams together, so many are remembered.
const KEPT: usize = 1000;

/// Something that changed who may be picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// The upstream's name.
    pub upstream: String,
    /// The server, unless it is about all of them.
    pub server: Option<SocketAddr>,
    /// What: `up`, `down`, `came`, `left`, `draining`.
    pub what: &'static str,
    /// Why, in words.
    pub reason: Option<String>,
}

/// The latest of them.
#[derive(Debug, Default)]
pub struct Events(Mutex<VecDeque<Event>>);

impl Events {
    /// One more.
    pub fn note(&self, event: Event) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if events.len() == KEPT {
            events.pop_front();
        }
        events.push_back(event);
    }

    /// Those of an upstream, the latest last.
    pub fn of(&self, upstream: &str) -> Vec<Event> {
        let events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of = events.iter().filter(|event| event.upstream == upstream);
        of.cloned().collect()
    }
}
