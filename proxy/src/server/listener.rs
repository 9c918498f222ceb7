//! The accept loops. They are ours rather than Pingora's, so that a listener can come, go and change while the process
//! runs, a taken port is an error before anything starts, and the end of the process waits for what is in flight and no
//! longer.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use pingora::apps::ServerApp;
use pingora_proxy::HttpProxy;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::connection::{Bounds, Connection};
use super::front::{Front, Unwanted};
use super::gateway::Gateway;
use super::preface::begins_with_preface;
use super::socket::{Trouble, bind, left_in_queue};
use super::workers::{Worker, Workers};
use crate::observe::access_log::AccessLog;
use crate::snapshot::{ClientTimeouts, ListenerSpec, Running};

/// How long a connection that was just taken has to say something once its listener closes.
const FIRST_WORD: Duration = Duration::from_millis(500);

/// A listener that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("listener `{name}` cannot listen on {address}: {cause}")]
pub(super) struct CannotListen {
    name: String,
    address: SocketAddr,
    #[source]
    cause: io::Error,
}

/// All listeners of the process.
pub(super) struct Listeners {
    shared: Arc<Shared>,
    open: Mutex<Vec<Arc<Listener>>>,
}

/// What all connections need.
struct Shared {
    workers: Workers,
    running: Arc<Running>,
    proxy: Arc<HttpProxy<Gateway>>,
    log: Arc<AccessLog>,
    connections: TaskTracker,
    /// Cancelled when connections that wait for a request are no longer waited for.
    unwanted: Arc<Unwanted>,
}

/// Sockets that are bound but not used yet.
pub(super) struct Prepared {
    specs: Vec<ListenerSpec>,
    sockets: Vec<Bound>,
    /// Those that wait for a restart, each with the address of ours that stands in its way.
    waiting: Vec<(SocketAddr, ListenerSpec)>,
}

struct Bound {
    address: SocketAddr,
    socket: TcpListener,
    /// Who accepts.
    worker: Worker,
}

impl Prepared {
    /// What only a restart can give.
    pub(super) fn restart_required(&self) -> Vec<String> {
        let tell = |(ours, spec): &(SocketAddr, ListenerSpec)| {
            format!(
                "listeners.{}.address: {ours} -> {}",
                spec.name, spec.address
            )
        };
        self.waiting.iter().map(tell).collect()
    }
}

impl CannotListen {
    fn new(spec: &ListenerSpec, cause: io::Error) -> Self {
        Self {
            name: spec.name.clone(),
            address: spec.address,
            cause,
        }
    }
}

/// The listener of ours that has the port.
fn in_the_way(open: &[Arc<Listener>], wanted: SocketAddr, cause: &io::Error) -> Option<SocketAddr> {
    let ours = open
        .iter()
        .map(|listener| listener.address)
        .find(|ours| ours.port() == wanted.port());
    ours.filter(|_| cause.kind() == io::ErrorKind::AddrInUse)
}

/// One address that is listened on.
struct Listener {
    address: SocketAddr,
    settings: ArcSwap<Settings>,
    open: AtomicUsize,
    left: Notify,
    closing: CancellationToken,
    ending: watch::Sender<bool>,
}

/// What may change while the socket stays.
struct Settings {
    spec: ListenerSpec,
    http1: Arc<Front>,
    h2c: Arc<Front>,
}

impl Listeners {
    pub(super) fn new(
        workers: Workers,
        running: Arc<Running>,
        proxy: Arc<HttpProxy<Gateway>>,
        log: Arc<AccessLog>,
    ) -> Self {
        let shared = Shared {
            workers,
            running,
            proxy,
            log,
            connections: TaskTracker::new(),
            unwanted: Arc::default(),
        };
        Self {
            shared: Arc::new(shared),
            open: Mutex::default(),
        }
    }

    /// Binds what is new in `specs` and changes nothing yet. One that our own listener stands in the way of (`0.0.0.0` for
    /// `127.0.0.1` on the same port) has to wait for a restart: closing that one first could lose both.
    ///
    /// # Errors
    /// One of them cannot be bound; those that could are free again.
    pub(super) fn prepare(&self, specs: &[ListenerSpec]) -> Result<Prepared, CannotListen> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut prepared = Prepared {
            specs: specs.to_vec(),
            sockets: Vec::new(),
            waiting: Vec::new(),
        };
        for spec in specs {
            if open.iter().any(|listener| listener.address == spec.address) {
                continue;
            }
            let worker = self.shared.workers.next();
            match self.shared.workers.watch(worker, || bind(spec.address)) {
                Ok(socket) => prepared.sockets.push(Bound {
                    address: spec.address,
                    socket,
                    worker,
                }),
                Err(cause) => match in_the_way(&open, spec.address, &cause) {
                    Some(ours) => prepared.waiting.push((ours, spec.clone())),
                    None => return Err(CannotListen::new(spec, cause)),
                },
            }
        }
        Ok(prepared)
    }

    /// Opens what is new, closes what is gone and gives the others their new settings.
    pub(super) fn apply(&self, prepared: Prepared) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|listener| {
            let stays = prepared
                .specs
                .iter()
                .find(|spec| spec.address == listener.address);
            let is_waited_for = prepared
                .waiting
                .iter()
                .any(|(ours, _)| *ours == listener.address);
            match stays {
                Some(spec) => listener.change(spec, &self.shared),
                None if is_waited_for => {}
                None => listener.close(),
            }
            stays.is_some() || is_waited_for
        });
        for bound in prepared.sockets {
            let mut specs = prepared.specs.iter();
            if let Some(spec) = specs.find(|spec| spec.address == bound.address) {
                let listener = Arc::new(Listener::new(spec, &self.shared));
                info!(listener = %spec.name, address = %bound.address, "listening");
                let worker = self.shared.workers.handle(bound.worker);
                let accepting = Arc::clone(&listener).accept(bound, Arc::clone(&self.shared));
                // Waited for as the connections are: what it finds in its queue at the end is served, too.
                self.shared.connections.spawn_on(accepting, worker);
                open.push(listener);
            }
        }
    }

    /// Stops accepting. Every answer from now on tells its client to close.
    pub(super) fn close(&self) {
        for listener in self
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            listener.close();
        }
        self.shared.connections.close();
    }

    /// Closes the connections that wait for a next request.
    pub(super) fn close_idle(&self) {
        self.shared.unwanted.announce();
    }

    /// Waits until the last connection is gone.
    pub(super) async fn idle(&self) {
        self.shared.connections.wait().await;
    }

    /// Connections that are still there, once all is closed.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.len()
    }
}

impl Settings {
    fn new(spec: &ListenerSpec, shared: &Shared) -> Self {
        let front = |h2c| {
            Arc::new(Front::new(
                Arc::clone(&shared.running),
                Arc::clone(&shared.proxy),
                Arc::clone(&shared.log),
                spec.timeouts,
                Arc::clone(&shared.unwanted),
                h2c,
            ))
        };
        Self {
            spec: spec.clone(),
            http1: front(false),
            h2c: front(true),
        }
    }
}

impl Listener {
    fn new(spec: &ListenerSpec, shared: &Shared) -> Self {
        Self {
            address: spec.address,
            settings: ArcSwap::from_pointee(Settings::new(spec, shared)),
            open: AtomicUsize::new(0),
            left: Notify::new(),
            closing: CancellationToken::new(),
            ending: watch::Sender::new(false),
        }
    }

    fn change(&self, spec: &ListenerSpec, shared: &Shared) {
        if self.settings.load().spec != *spec {
            self.settings.store(Arc::new(Settings::new(spec, shared)));
            self.left.notify_waiters();
            info!(listener = %spec.name, address = %spec.address, "listener has new settings for new connections");
        }
    }

    fn close(&self) {
        info!(listener = %self.settings.load().spec.name, address = %self.address, "listener closes");
        self.closing.cancel();
        self.ending.send_replace(true);
    }

    async fn accept(self: Arc<Self>, bound: Bound, shared: Arc<Shared>) {
        let Bound { socket, worker, .. } = bound;
        let mut trouble = Trouble::default();
        loop {
            tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                () = self.room() => {}
            }
            tokio::select! {
                biased;
                () = self.closing.cancelled() => break,
                accepted = socket.accept() => match accepted {
                    Ok((stream, client)) => {
                        trouble.is_over();
                        self.welcome(stream, client, worker, &shared);
                    }
                    Err(error) => trouble.pause_after(&error).await,
                },
            }
        }
        for (stream, client) in left_in_queue(socket) {
            self.welcome(stream, client, worker, &shared);
        }
    }

    /// Waits while there are as many connections as allowed.
    async fn room(&self) {
        loop {
            let left = self.left.notified();
            if self.open.load(Ordering::Acquire)
                < self.settings.load().spec.max_connections as usize
            {
                return;
            }
            left.await;
        }
    }

    /// The connection goes to the worker whose turn it is, seldom the one that accepted it.
    fn welcome(
        self: &Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        here: Worker,
        shared: &Arc<Shared>,
    ) {
        self.open.fetch_add(1, Ordering::AcqRel);
        let place = Place(Arc::clone(self));
        let running = Arc::clone(&shared.running);
        let worker = shared.workers.next();
        let stream = if worker == here {
            stream
        } else {
            match shared.workers.adopt(worker, stream) {
                Ok(stream) => stream,
                Err(error) => return warn!("a connection is lost: no worker takes it: {error}"),
            }
        };
        let serving = async move { place.0.serve(stream, client, running).await };
        let handle = shared.workers.handle(worker);
        shared.connections.spawn_on(serving, handle);
    }

    async fn serve(&self, stream: TcpStream, client: SocketAddr, running: Arc<Running>) {
        // Small answers must not wait for the client's acknowledgement of earlier ones.
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let settings = self.settings.load_full();
        let front = tokio::select! {
            biased;
            front = settings.front(&stream) => front,
            // Nobody has to wait for a client that says nothing.
            () = self.closing.cancelled().then(|()| tokio::time::sleep(FIRST_WORD)) => None,
        };
        let Some((front, header)) = front else {
            return;
        };
        let is_h2c = Arc::ptr_eq(front, &settings.h2c);
        let timeouts = ClientTimeouts {
            header,
            ..settings.spec.timeouts
        };
        let bounds = Bounds { running, timeouts };
        let connection = Box::new(Connection::new(stream, client, bounds, is_h2c));
        if is_h2c {
            self.serve_h2c(connection, front.alone()).await;
        } else {
            front
                .serve_http1(connection, &self.ending.subscribe())
                .await;
        }
    }

    async fn serve_h2c(&self, connection: Box<Connection>, front: Arc<Front>) {
        let mut ending = self.ending.subscribe();
        // Pingora waits for a change, which may have come before the client's first word.
        if *ending.borrow() {
            ending.mark_changed();
        }
        tokio::select! {
            _ = front.process_new(connection, &ending) => {}
            () = self.closing.cancelled().then(|()| front.unused()) => {}
        }
    }
}

impl Settings {
    /// Which protocol the client speaks, by its first bytes, and what is left of the time for its head; none if it says
    /// nothing for too long or speaks a protocol that is not spoken here.
    async fn front(&self, stream: &TcpStream) -> Option<(&Arc<Front>, Duration)> {
        let timeouts = self.spec.timeouts;
        if !self.spec.h2c {
            return Some((&self.http1, timeouts.header));
        }
        tokio::time::timeout(timeouts.keep_alive, stream.peek(&mut [0]))
            .await
            .ok()?
            .ok()?;
        let deciding = tokio::time::timeout(timeouts.header, begins_with_preface(stream));
        match deciding.await {
            Ok(Ok(true)) => Some((&self.h2c, timeouts.header)),
            Ok(Ok(false)) => self.spec.http1.then_some((&self.http1, timeouts.header)),
            Ok(Err(_)) => None,
            // A head that is late, then: it is told so where all of them are.
            Err(_) => self.spec.http1.then_some((&self.http1, Duration::ZERO)),
        }
    }
}

/// A connection's place among those that are allowed.
struct Place(Arc<Listener>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_one();
    }
}
