//! The harness of the end-to-end tests: real processes on real sockets, one noun per file.
//!
//! ```ignore
//! let (one, two) = (Api::start("one").await, Api::start("two").await);
//! let gateway = Gateway::start(&format!(
//!     r#"
//! upstreams: {{ api: {{ servers: [ "{}", "{}" ] }} }}
//! routes: {{ all: {{ match: {{ path_prefix: / }}, upstream: api }} }}
//! "#,
//!     one.address(), two.address()
//! ))
//! .await;
//! let report = Load::run(&gateway.url("/api/whoami"), 1, 10).await;
//! assert_eq!(report.instances["one"], 5);
//! ```
//!
//! - What a test starts ends with it, by `Drop`, also when it panics; then the logs of every process are printed.
//! - Nothing sleeps to let something happen: [`eventually`] asks until it has happened, with a deadline.
//! - Every test has ports of its own ([`free_port`]), so tests run beside each other.
//! - A part that the machine lacks is [`skip`]ped by name, and is a failure where `TIDEGATE_REQUIRE_ALL=1`.

mod api;
mod blackhole;
mod client;
mod eventually;
mod frontend;
mod gateway;
mod grpc;
mod load;
mod name_server;
mod named;
mod origin;
mod patient;
mod port;
mod process;
mod recorder;
mod routing;
mod skip;
mod websocket;
mod wire;

pub use api::Api;
pub use blackhole::Blackhole;
pub use client::{client, h2c_client};
pub use eventually::{Outcome, PATIENCE, eventually};
pub use frontend::Frontend;
pub use gateway::{Gateway, Readiness, Said};
pub use grpc::{Asked, GrpcHealth, Says};
pub use load::{Load, Report};
pub use name_server::{NameServer, Record, Service};
pub use named::{Named, examples};
pub use origin::{Connection, Origin, refusing_address};
pub use patient::{HEALTH, Patient, Probe};
pub use port::{free_address, free_port};
pub use process::{Process, program, repository};
pub use recorder::Recorder;
pub use routing::{all_to, all_to_with};
pub use skip::skip;
pub use websocket::{upgraded, websocket};
pub use wire::{Message, Wire};
