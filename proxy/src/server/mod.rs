//! The process: where Pingora's traits are implemented, sockets are opened and signals are heard.
//!
//! | file | holds |
//! |---|---|
//! | `gateway` | `ProxyHttp`, as a table of contents of `flow/` |
//! | `handshake` | a connection to a server for the handshake of a WebSocket |
//! | `listener` | the accept loops; which can come and go while the process runs |
//! | `connection` | one client's connection, with a deadline for the head of a request |
//! | `front` | from a connection to requests |
//! | `reload` | from a changed file to the next snapshot |
//! | `watch` | when the file may have changed |
//! | `signals` | SIGTERM, SIGINT, SIGHUP |
//! | `lifecycle` | start, run, drain, end |

mod connection;
mod front;
mod gateway;
mod handshake;
mod lifecycle;
mod listener;
mod reload;
mod signals;
mod watch;

pub use self::lifecycle::{CannotStart, Settings, run};
