//! What the operator sees: the access log on standard output, the process's own log on standard error.

pub mod access_log;
mod lines;
mod process_log;
pub mod recent;

pub use self::lines::Writing;
pub use self::process_log::{Format, start};
