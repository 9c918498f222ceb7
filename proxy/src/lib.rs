//! Tidegate, a programmable load balancer on Pingora: one YAML file says who listens, who answers and which request goes
//! where. It is checked before it runs and swapped in whole while traffic flows.
//!
//! # The life of a request
//!
//! A client connects to a [`server`] listener. When the head of its request is complete, [`flow`] takes over: the
//! [`snapshot`] of this moment is pinned, [`route`] says which route takes the request, its [`filter`]s
//! have their say, its [`upstream`] says which server answers; what is sent to either side is put in order on the way; and
//! whatever became of it, [`observe`] gets a line.
//!
//! The modules in reading order: [`config`] (what was written), [`component`] (how anything pluggable is named), then
//! [`route`], [`filter`], [`end`], [`upstream`], [`snapshot`], [`flow`], [`server`], and beside them [`admin`], [`observe`],
//! [`error`] and [`cli`]; [`patience`] is how anybody is waited for, [`watch`] how files are.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "a test that fails may panic"
    )
)]

pub mod admin;
pub mod cli;
pub mod component;
pub mod config;
pub mod end;
pub mod error;
pub mod filter;
pub mod flow;
pub mod generation;
pub mod hash;
pub mod observe;
pub mod patience;
pub mod route;
pub mod server;
pub mod snapshot;
pub mod trial;
pub mod turns;
pub mod upstream;
pub mod watch;
