//! What was taken when, and what it changed. A generation is a routing file, with those that it includes, that came into
//! effect; it keeps its number over restarts.
//!
//! | file | holds |
//! |---|---|
//! | `history` | the last twenty of them, on disk |
//! | `difference` | what changed from one to the next, in the words of the file |
//! | `judge` | whether a new one fails where the one before did not |

pub mod difference;
pub mod history;
pub mod judge;

pub use self::history::{Generation, History, Text};
