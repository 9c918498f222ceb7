//! Who is there: one file per source of servers, all named in [`KINDS`].
//!
//! A [`Source`] is what the file asks for; its task says who is there, at once and whenever that changes. Equal sources share
//! one task, and what it knows outlives a reload.
//!
//! | file | holds |
//! |---|---|
//! | `followed` | what is found out again and again, what of it outlives trouble and edits, and how much is said of it |
//! | `names` | the addresses and the servers behind a name, and who knows them |
//! | `service` | who is asked over HTTP, and who tells what changes |
//! | `list` | servers as lists write them |

mod dns;
mod docker;
mod etcd;
mod file;
pub mod followed;
mod http;
mod list;
pub mod names;
mod service;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use self::followed::{Feed, Followed};
use self::names::resolver::Resolver;
use super::ServerSpec;
use crate::component::Kind;

/// Every source there is, in the order in which the documentation shows them.
pub const KINDS: &[Kind<Arc<dyn Source>>] =
    &[dns::KIND, file::KIND, http::KIND, docker::KIND, etcd::KIND];

/// What one of them is called in messages.
pub const NOUN: &str = "source of servers";

/// The servers of a source.
pub type Servers = Followed<ServerSpec>;

/// Where servers come from.
pub trait Source: Send + Sync {
    /// Equal identities mean the same source with the same options.
    fn identity(&self) -> String;

    /// Who is asked for what, whatever else the options say: what is known of it outlives an edit of those.
    fn asks(&self) -> String {
        self.identity()
    }

    /// What the log and the operator's side call it, such as ``file `servers.yaml` ``.
    fn label(&self) -> String;

    /// The task that tells `feed` who is there, until it is dropped.
    fn follow(&self, resolver: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()>;
}
