//! `discover: file`: a list of servers in a file of its own, which is watched: whoever writes it edits nothing else.
//!
//! ```yaml
//! discover: { file: { path: servers.yaml } }
//! ```

use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

use super::followed::Feed;
use super::names::resolver::Resolver;
use super::{Source, list};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Inputs, Spanned, code};
use crate::upstream::ServerSpec;
use crate::watch::FileWatch;

pub(super) const KIND: Kind<Arc<dyn Source>> = Kind::new::<File>(
    "file",
    "a list in a file of its own, which is watched",
    build,
);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    /// The list, in YAML or JSON, as `servers` has it. A relative one lies beside the file that names it.
    path: Spanned<String>,
}

fn build(options: &Options) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: File = options.decode()?;
    let (path, name) = options.beside(&written.path)?;
    let list = List { path, name };
    if let (_, Err(why)) = list.read() {
        let message = format!("the list of servers `{}` {why}", list.name);
        options.warn(
            Diagnostic::warning(code::LIST_UNUSABLE, message)
                .at(written.path.span)
                .label("nobody is known from it")
                .note("it is watched: its servers are taken in as soon as it can be used"),
        );
    }
    Ok(Arc::new(list))
}

/// Where it lies, and what readers know it by.
#[derive(Debug, Clone)]
struct List {
    path: PathBuf,
    name: String,
}

impl List {
    /// What is in it now, and what to watch for another.
    fn read(&self) -> (Inputs, Result<Vec<ServerSpec>, String>) {
        let (inputs, read) = Inputs::of(&self.path, &self.name, list::BYTES_MAX);
        let found = read
            .map_err(|why| format!("cannot be read: {why}"))
            .and_then(|bytes| list::read(&self.name, &bytes));
        (inputs, found)
    }

    /// The same, and `feed` is told of it. None at the end of the process.
    async fn tell(&self, feed: &Feed<ServerSpec>) -> Option<Inputs> {
        let list = self.clone();
        let (inputs, found) = spawn_blocking(move || list.read()).await.ok()?;
        match found {
            Ok(servers) => feed.servers(servers, None),
            Err(why) => feed.failed(why),
        }
        Some(inputs)
    }
}

impl Source for List {
    fn identity(&self) -> String {
        format!("{} {}", KIND.name, self.path.display())
    }

    fn label(&self) -> String {
        format!("file `{}`", self.name)
    }

    fn follow(&self, _: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let list = self.clone();
        async move {
            let Some(inputs) = list.tell(&feed).await else {
                return;
            };
            let mut watch = FileWatch::new(inputs);
            loop {
                watch.changed().await;
                let Some(inputs) = list.tell(&feed).await else {
                    return;
                };
                watch.follow(inputs);
            }
        }
        .boxed()
    }
}
