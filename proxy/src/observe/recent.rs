//! The heads of the latest requests, in memory only, for whoever wants to know what an edit would do to them.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

/// A head without what nobody else may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// What was asked.
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    /// The fields, `Host` among them.
    pub headers: Vec<(String, String)>,
    /// Who asked.
    pub client: Option<IpAddr>,
}

/// The latest ones, the latest last.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<Head>>);

impl Recent {
    /// One more; of more than `most`, the oldest go.
    pub fn note(&self, head: Head, most: usize) {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.push_back(head);
        let more = heads.len().saturating_sub(most);
        heads.drain(..more);
    }

    /// All of them; none are kept from before the file said that none are.
    pub fn all(&self) -> Vec<Head> {
        let heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heads.iter().cloned().collect()
    }

    /// Forgets them.
    pub fn clear(&self) {
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *heads = VecDeque::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go() {
        let recent = Recent::default();
        for target in ["/1", "/2", "/3"] {
            let head = Head {
                method: "GET".to_owned(),
                target: target.to_owned(),
                headers: Vec::new(),
                client: None,
            };
            recent.note(head, 2);
        }
        let targets: Vec<String> = recent.all().into_iter().map(|head| head.target).collect();
        assert_eq!(targets, ["/2", "/3"]);
        recent.clear();
        assert!(recent.all().is_empty());
    }
}
