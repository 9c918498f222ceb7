//! What happened to servers lately: one place to look when somebody asks why a server got no requests at three at night.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// Of an upstream, so many are remembered: one whose servers come and go all the time forgets only its own.
const KEPT: usize = 100;

/// Something that changed who may be picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// The server, unless it is about all of them.
    pub server: Option<SocketAddr>,
    /// What: `up`, `down`, `came`, `left`, `draining`.
    pub what: &'static str,
    /// Why, in words.
    pub reason: Option<String>,
}

/// The latest of them, by upstream.
#[derive(Debug, Default)]
pub struct Events(Mutex<HashMap<String, VecDeque<Event>>>);

impl Events {
    /// One more.
    pub fn note(&self, upstream: &str, event: Event) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.entry(upstream.to_owned()).or_default();
        if own.len() == KEPT {
            own.pop_front();
        }
        own.push_back(event);
    }

    /// Those of an upstream, the latest last.
    pub fn of(&self, upstream: &str) -> Vec<Event> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.get(upstream).into_iter().flatten();
        own.cloned().collect()
    }

    /// Forgets upstreams of which nothing else is known any more.
    pub fn keep(&self, is_known: impl Fn(&str) -> bool) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|upstream, _| is_known(upstream));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_restless_forgets_only_its_own() {
        let events = Events::default();
        let event = |what| Event {
            time: SystemTime::UNIX_EPOCH,
            server: None,
            what,
            reason: None,
        };
        events.note("calm", event("panic"));
        for _ in 0..KEPT {
            events.note("restless", event("up"));
        }
        events.note("restless", event("down"));
        let all = events.of("restless");
        assert_eq!(
            (all.len(), all.last().map(|event| event.what)),
            (KEPT, Some("down"))
        );
        assert_eq!(events.of("calm"), [event("panic")]);
        events.keep(|upstream| upstream == "calm");
        assert_eq!(events.of("restless"), []);
    }
}
