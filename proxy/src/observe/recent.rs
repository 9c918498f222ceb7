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

/// All of them together take no more memory than this, whatever clients send.
const BYTES_MAX: usize = 64 << 20;

/// The latest ones, the latest last.
#[derive(Debug, Default)]
pub struct Recent(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    heads: VecDeque<Head>,
    bytes: usize,
}

impl Head {
    /// What it takes, nearly.
    fn size(&self) -> usize {
        let fields = self.headers.iter();
        let fields = fields.map(|(name, value)| name.len() + value.len() + FIELD);
        size_of::<Self>() + self.method.len() + self.target.len() + fields.sum::<usize>()
    }
}

/// A field beside its texts.
const FIELD: usize = size_of::<(String, String)>();

impl Recent {
    /// One more; of more than `most`, the oldest go.
    pub fn note(&self, head: Head, most: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.bytes += head.size();
        kept.heads.push_back(head);
        while kept.heads.len() > most || kept.bytes > BYTES_MAX {
            let Some(oldest) = kept.heads.pop_front() else {
                break;
            };
            kept.bytes -= oldest.size();
        }
    }

    /// All of them.
    pub fn all(&self) -> Vec<Head> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.heads.iter().cloned().collect()
    }

    /// Forgets them.
    pub fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
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
        // Two of these are too large together.
        for target in ["/4", "/5"] {
            let head = Head {
                method: "GET".to_owned(),
                target: target.to_owned(),
                headers: vec![("x".to_owned(), "x".repeat(BYTES_MAX / 2))],
                client: None,
            };
            recent.note(head, 2);
        }
        assert_eq!(recent.all().len(), 1);
    }
}
