//! What was written: the routing file as plain serde types, one file per section, and the diagnostics about it.
//!
//! Nothing here knows the runtime: decoding opens no socket, resolves no name and compiles no expression.
//! `document` turns text into a tree in which every node knows its place, `decode` turns that tree into the types
//! below and collects every mistake on the way, `diagnostic` says what is wrong in the reader's words.

mod admin;
mod file;
mod limits;
mod listener;
mod named;
mod retry;
mod route;
mod shutdown;
mod spanned;
mod timeouts;
mod units;
mod upstream;

pub use admin::Admin;
pub use file::File;
pub use limits::Limits;
pub use listener::{ClientTimeouts, Listener, Protocol};
pub use named::Named;
pub use retry::Retry;
pub use route::{Match, OneOrMany, Route};
pub use shutdown::Shutdown;
pub use spanned::{Span, Spanned};
pub use timeouts::Timeouts;
pub use units::{Duration, Size};
pub use upstream::{Server, Upstream};
