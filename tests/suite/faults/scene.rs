//! A proxy before servers of which one is about to fail, and its clients.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use futures_util::{StreamExt, stream};
use tidegate_tests::{Gateway, PATIENCE, eventually};
use tokio::sync::{Notify, Semaphore};

use crate::seen::{Clients, Ends, Method};
use crate::{Edits, Line};

/// Requests of a load.
pub(crate) const LOAD: usize = 60;

/// So many of them at a time.
pub(crate) const AT_ONCE: usize = 12;

/// So few at a time that all of them could be sent again at the same time.
pub(crate) const FEW: usize = 3;

/// Says who answers.
const WHOAMI: &str = "/api/whoami";

/// Takes POSTs.
const SINK: &str = "/api/sink";

/// A check that finds out soon, for servers that stand still as for those that are gone.
pub(crate) const CHECK: &str = "health_check: { http: { path: /api/health, interval: 100ms, timeout: 1s, \
                                healthy_after: 1, unhealthy_after: 2 } }";

/// A proxy with one upstream, its servers and its clients.
pub(crate) struct Scene {
    pub(crate) gateway: Gateway,
    clients: Clients,
    servers: Vec<String>,
    options: String,
    edits: Edits,
    /// Of every server: each edit changes it.
    weight: AtomicU16,
    /// What GETs ask for.
    get: &'static str,
    at_once: usize,
}

impl Scene {
    /// With these servers and these further keys of their upstream.
    pub(crate) async fn start<S: ToString>(servers: &[S], options: &[&str], edits: Edits) -> Self {
        let start = async |routing: String| Gateway::start(&routing).await;
        Self::start_by(start, servers, options, edits).await
    }

    /// The same, where the proxy has to be started in a way of its own.
    pub(crate) async fn start_by<S: ToString>(
        start: impl AsyncFnOnce(String) -> Gateway,
        servers: &[S],
        options: &[&str],
        edits: Edits,
    ) -> Self {
        let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
        let options = options.iter().map(|it| format!("    {it}\n")).collect();
        let routing = routing(&servers, 1, &options);
        Self {
            gateway: start(routing).await,
            clients: Clients::new(),
            servers,
            options,
            edits,
            weight: AtomicU16::new(1),
            get: WHOAMI,
            at_once: AT_ONCE,
        }
    }

    /// With GETs of this path.
    pub(crate) fn asking(mut self, path: &'static str) -> Self {
        self.get = path;
        self
    }

    /// With so many requests at a time.
    pub(crate) fn with_at_once(mut self, count: usize) -> Self {
        self.at_once = count;
        self
    }

    /// With one request at a time, and `told` when the first piece of an answer has come that will break off.
    pub(crate) fn in_single_file(mut self, told: Arc<Notify>) -> Self {
        self.clients.first_piece = told;
        self.with_at_once(1)
    }

    /// An edit that makes the upstream anew and changes nobody's share: all weigh one more.
    pub(crate) async fn edit(&self) {
        let weight = self.weight.fetch_add(1, Ordering::Relaxed) + 1;
        let routing = routing(&self.servers, weight, &self.options);
        self.gateway.reload(&routing).await;
    }

    /// A load of GETs, and one of POSTs.
    pub(crate) async fn both(&self) -> Line {
        Line {
            get: self.load(Method::Get).await,
            post: self.load(Method::Post).await,
        }
    }

    /// A load of [`LOAD`] requests.
    pub(crate) async fn load(&self, method: Method) -> Ends {
        self.load_while(method, LOAD, async || ()).await
    }

    /// So many requests; `during` begins when a quarter of them has ended, then the file is edited if this run is one with
    /// edits, and only after that the last quarter is sent.
    pub(crate) async fn load_while(
        &self,
        method: Method,
        count: usize,
        during: impl AsyncFnOnce(),
    ) -> Ends {
        let path = match method {
            Method::Get => self.get,
            Method::Post => SINK,
        };
        let change = async || {
            during().await;
            if self.edits == Edits::Under {
                self.edit().await;
            }
        };
        self.send(method, path, count, change).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        count: usize,
        change: impl AsyncFnOnce(),
    ) -> Ends {
        let (quarter, changed) = (Notify::new(), Semaphore::new(0));
        let change = async {
            quarter.notified().await;
            change().await;
            changed.close();
        };
        let url = self.gateway.url(path);
        let ask = async |number: usize| {
            if number >= count - count / 4 {
                // Closed, that is: all has happened.
                let _ = changed.acquire().await;
            }
            self.clients.ask(method, &url, number).await
        };
        let load = async {
            let mut ends = Ends::default();
            let mut answers = stream::iter(0..count)
                .map(ask)
                .buffer_unordered(self.at_once);
            while let Some((kind, instance)) = answers.next().await {
                ends.count(kind, instance);
                if ends.total() == count / 4 {
                    quarter.notify_one();
                }
            }
            ends
        };
        tokio::join!(load, change).0
    }

    /// Waits until so many servers may be picked.
    pub(crate) async fn ready(&self, count: usize) {
        eventually(&format!("{count} are ready"), PATIENCE, async || {
            let body = self.gateway.ready().await.body;
            let ready = &body["upstreams"][0]["ready"];
            (*ready == count).then_some(()).ok_or(body)
        })
        .await;
    }

    /// Everything is as before, and nobody had to see to it: all of them answer, and no request fails.
    pub(crate) async fn in_service(&self, instances: &[&str]) {
        self.ready(instances.len()).await;
        let nothing = async || ();
        let get = self.send(Method::Get, WHOAMI, LOAD / 2, nothing).await;
        get.all_ok();
        assert!(get.instances.iter().eq(instances), "{:?}", get.instances);
        let post = self.send(Method::Post, SINK, LOAD / 2, nothing).await;
        post.all_ok();
    }
}

fn routing(servers: &[String], weight: u16, options: &String) -> String {
    let servers: Vec<String> = servers
        .iter()
        .map(|at| format!("{{ address: \"{at}\", weight: {weight} }}"))
        .collect();
    format!(
        "routes: {{ all: {{ upstream: api }} }}\nupstreams:\n  api:\n    servers: [ {} ]\n{options}",
        servers.join(", ")
    )
}
