//! Requests that are only asked about. One goes through the same stages as a request of a client's, up to where a server
//! would be asked; nothing is sent, counted or drawn on its way ([`Purpose::Ask`]).
//!
//! | file | holds |
//! |---|---|
//! | `question` | a request that nobody sends |
//! | `course` | what becomes of it |
//! | `explain` | why: `tidegate explain` |
//! | `words` | the same for people |
//! | `proof` | the file's own tests |
//! | `replay` | what an edit would do to requests that came |
//!
//! [`Purpose::Ask`]: crate::turns::Purpose::Ask

mod course;
mod explain;
mod proof;
mod question;
mod replay;
mod words;

pub use self::explain::{Explanation, explain};
pub use self::proof::{load, prove};
pub use self::question::{NoQuestion, Question};
pub use self::replay::{Came, Moved, Place, came, moved};
