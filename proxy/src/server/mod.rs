//! The process: where Pingora's traits are implemented, sockets are opened and signals are heard.
//!
//! | file | holds |
//! |---|---|
//! | `gateway` | `ProxyHttp`, as a table of contents of `flow/` |
//! | `link` | a request's connection to its server |
//! | `workers` | the threads that serve requests |
//! | `listener` | the accept loops; which can come and go while the process runs |
//! | `socket`, `preface` | the listening socket; what a client's first bytes say |
//! | `connection` | one client's connection, with a deadline for the head of a request |
//! | `outgoing` | what waits to be written, in as few system calls as may be |
//! | `front` | from a connection to requests |
//! | `reload` | from a changed file to the next snapshot |
//! | `signals` | SIGTERM, SIGINT, SIGHUP |
//! | `lifecycle` | start, run, drain, end |

mod connection;
mod front;
mod gateway;
mod lifecycle;
mod link;
mod listener;
mod outgoing;
mod preface;
mod race;
mod reload;
mod signals;
mod socket;
mod workers;

pub use self::lifecycle::{CannotStart, Settings, run};
