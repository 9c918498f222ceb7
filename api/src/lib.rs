//! The demo API that stands behind Tidegate: it says hello, it says who answered, and it offers bounded endpoints
//! that make a proxy's work visible (slow answers, any status, streams both ways, server-sent events, WebSocket).
//!
//! | endpoint | answer |
//! |---|---|
//! | `GET /api/hello` | `Hello, World!`, `text/plain; charset=utf-8` |
//! | `GET /api/whoami` | JSON: which instance this is and what of the request reached it ([`whoami`]) |
//! | `GET /api/health` | 200, or 503 once the process drains ([`health`]) |
//! | `ANY /api/echo` | the request's body, streamed back ([`echo`]) |
//! | `GET /api/slow?ms=` | the same as any answer, later ([`slow`]) |
//! | `ANY /api/status/{code}` | that status ([`status`]) |
//! | `GET /api/stream?events=&ms=` | server-sent events ([`stream`]) |
//! | `GET /api/ws` | WebSocket echo ([`ws`]) |
//! | `GET /api/bytes?size=` | that many bytes, streamed ([`bytes`]) |
//! | `POST /api/sink` | how many bytes the body had ([`sink`]) |
//!
//! Every answer carries `X-Instance: <name>`, so that a test can tell who answered whatever it asked for. Everything
//! that goes wrong is JSON: `{"error": {"status": 404, "message": "..."}}`. `HEAD` works wherever `GET` does. Any
//! origin may call, without credentials.
//!
//! In reading order: [`cli`] (the flags), [`server`] (one process, from bind to exit), [`app`] (the routes and what
//! every answer has), the endpoints, then what they share: [`drain`], [`error`], [`query`], [`state`].

pub mod app;
pub mod cli;
pub mod server;

pub mod bytes;
pub mod echo;
pub mod health;
pub mod hello;
pub mod sink;
pub mod slow;
pub mod status;
pub mod stream;
pub mod whoami;
pub mod ws;

pub mod drain;
pub mod error;
pub mod query;
pub mod state;
