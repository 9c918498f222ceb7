//! From a connection to requests: sets the client's timeouts on each, hands it to Pingora's proxy, and tells the log of
//! those that never became one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use pingora::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora::server::ShutdownWatch;
use pingora_proxy::HttpProxy;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Progress, Stage};
use super::gateway::Gateway;
use crate::flow::Client;
use crate::observe::access_log::{AccessLog, Durations, Entry};
use crate::snapshot::{ClientTimeouts, Running};

/// What is left of a body that nobody wants is read for this long, so that the client gets to read the answer
/// (nginx's `lingering_timeout`).
const LINGER: Duration = Duration::from_secs(5);

/// Above the limit of the file by this much, the head of an HTTP/2 request is not even kept until it is complete: its answer
/// is a bare 431. Below, it is refused as any other, with a page and a line in the log.
const H2_HEAD_SLACK: u64 = 16 * 1024;

/// Requests on one connection. Closing it now and then frees what its buffers grew to.
const REQUESTS_PER_CONNECTION: u32 = 100_000;

/// Serves the connections of one listener that speak one protocol.
pub(super) struct Front {
    running: Arc<Running>,
    proxy: Arc<HttpProxy<Gateway>>,
    log: Arc<AccessLog>,
    timeouts: ClientTimeouts,
    options: HttpServerOptions,
    /// Cancelled when a connection that waits for a request is no longer waited for.
    unwanted: Arc<Unwanted>,
    /// HTTP/2 requests that are being served.
    streams: watch::Sender<usize>,
}

/// Whether connections that wait for a request are still waited for. Each of them asks between any two requests, and no
/// lock that all share is worth that.
#[derive(Default)]
pub(super) struct Unwanted {
    flag: AtomicBool,
    token: CancellationToken,
}

impl Unwanted {
    /// From now on nobody waits.
    pub(super) fn announce(&self) {
        self.flag.store(true, Ordering::Release);
        self.token.cancel();
    }

    fn poll(&self) -> Poll<()> {
        if self.flag.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    async fn wait(&self) {
        self.token.cancelled().await;
    }
}

/// An HTTP/2 request that is being served.
struct Serving<'a>(&'a Front);

impl Drop for Serving<'_> {
    fn drop(&mut self) {
        self.0.streams.send_modify(|streams| *streams -= 1);
    }
}

impl Front {
    pub(super) fn new(
        running: Arc<Running>,
        proxy: Arc<HttpProxy<Gateway>>,
        log: Arc<AccessLog>,
        timeouts: ClientTimeouts,
        unwanted: Arc<Unwanted>,
        h2c: bool,
    ) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = h2c;
        options.h2_idle_timeout = Some(timeouts.keep_alive);
        Self {
            running,
            proxy,
            log,
            timeouts,
            options,
            unwanted,
            streams: watch::Sender::new(0),
        }
    }

    /// The same for one connection alone, so that its requests can be told from those of others.
    pub(super) fn alone(&self) -> Arc<Self> {
        Arc::new(Self {
            running: Arc::clone(&self.running),
            proxy: Arc::clone(&self.proxy),
            log: Arc::clone(&self.log),
            timeouts: self.timeouts,
            options: self.options.clone(),
            unwanted: Arc::clone(&self.unwanted),
            streams: watch::Sender::new(0),
        })
    }

    fn serving(&self) -> Serving<'_> {
        self.streams.send_modify(|streams| *streams += 1);
        Serving(self)
    }

    /// Waits until an HTTP/2 connection had no request for as long as it may be kept. Pingora does that itself, but no more
    /// once it has told the client to go: one that does not would stay for ever.
    pub(super) async fn unused(&self) {
        let mut streams = self.streams.subscribe();
        loop {
            if streams.wait_for(|streams| *streams == 0).await.is_err() {
                return;
            }
            let next = tokio::time::timeout(self.timeouts.keep_alive, streams.changed());
            if next.await.is_err() {
                return;
            }
        }
    }

    fn prepare(&self, session: &mut ServerSession, is_ending: bool) {
        // For as long as the connection itself allows: it keeps its own time, and cheaper.
        session.set_keepalive((!is_ending).then_some(0));
        session.set_read_timeout(Some(self.timeouts.body));
        session.set_write_timeout(Some(self.timeouts.write));
        session.set_total_drain_timeout(Some(LINGER));
        if let ServerSession::H1(http1) = session {
            // Otherwise a request that comes while another is served ends the connection under the answer to that one.
            http1.set_pipelining_enabled(true);
        }
    }

    fn tell_refusal(&self, progress: &Progress) {
        let Some(refusal) = progress.refusal() else {
            return;
        };
        self.log.write(&Entry {
            time: SystemTime::now(),
            request_id: refusal.id.to_str().unwrap_or("-"),
            client: Some(progress.client().ip),
            method: "-",
            host: None,
            path: "-",
            status: refusal.failure.status(),
            bytes: 0,
            route: None,
            upstream: None,
            server: None,
            attempts: 0,
            durations: Durations {
                total: refusal.took,
                connect: None,
                first_byte: None,
            },
            failure: Some(refusal.failure.label()),
        });
    }
}

/// HTTP/1 only: an HTTP/2 session has no stream of its own.
fn connection(session: &ServerSession) -> Option<&Connection> {
    let stream = session.stream()?;
    (**stream).as_any().downcast_ref()
}

impl Front {
    /// Serves a connection that speaks HTTP/1, request after request. Between two of them there is nothing but the
    /// connection: all that a request takes is made when it comes.
    pub(super) async fn serve_http1(
        &self,
        mut connection: Box<Connection>,
        ending: &ShutdownWatch,
    ) {
        let mut settings: Option<HttpPersistentSettings> = None;
        let mut unwanted = std::pin::pin!(self.unwanted.wait());
        let mut is_announced = false;
        loop {
            // What was read ahead lies with Pingora: then it is the one to wait.
            if connection.is_between_requests() {
                let is_there = std::future::poll_fn(|cx| {
                    if let Poll::Ready(is_there) = connection.poll_next_request(cx) {
                        return Poll::Ready(is_there);
                    }
                    if !std::mem::replace(&mut is_announced, true) {
                        // Once for all requests: it is this task that is woken, whatever it waits for by then.
                        return unwanted.as_mut().poll(cx).map(|()| false);
                    }
                    self.unwanted.poll().map(|()| false)
                });
                if !is_there.await {
                    return;
                }
            }
            let mut session = ServerSession::new_http1(connection);
            match settings.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                None => session.set_keepalive_reuses_remaining(Some(REQUESTS_PER_CONNECTION)),
            }
            let Some(reused) = self.serve(session, ending).await else {
                return;
            };
            let (stream, next) = reused.consume();
            let Ok(same) = stream.into_any().downcast() else {
                return;
            };
            connection = same;
            settings = next;
        }
    }

    async fn serve(
        &self,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _serving = session.is_http2().then(|| self.serving());
        self.prepare(&mut session, *shutdown.borrow());
        let progress = connection(&session).map(|connection| Arc::clone(connection.progress()));
        if let Some(progress) = &progress {
            progress.set(Stage::Waiting);
        }
        let reused = self.proxy.process_new_http(session, shutdown).await;
        if let Some(progress) = progress.filter(|_| reused.is_none()) {
            self.tell_refusal(&progress);
        }
        reused
    }
}

#[async_trait]
impl HttpServerApp for Front {
    async fn process_new_http(
        self: &Arc<Self>,
        session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        self.serve(session, shutdown).await
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }

    /// For every connection anew, so that it has the limits of the file as it is by then.
    fn h2_options(&self) -> Option<H2Options> {
        let allowed = self.running.snapshot().limits.header_size;
        let mut options = default_h2_options();
        options.max_header_list_size(u32::try_from(allowed + H2_HEAD_SLACK).unwrap_or(u32::MAX));
        Some(options)
    }
}

/// Who is at the other end.
pub(super) fn client(session: &ServerSession) -> Option<Client> {
    let known = connection(session).map(|connection| connection.progress().client().clone());
    known.or_else(|| Some(Client::new(session.client_addr()?.as_inet()?.ip())))
}

/// Ends when the client has given up, without taking anything of what it sent.
pub(super) async fn client_leaves(session: &mut ServerSession) {
    if let Some(connection) = connection(session) {
        connection.is_left().await;
    } else if let Some(closed) = session.watch_h2_stream_close() {
        // With whatever reason.
        let _ = closed.await;
    } else {
        std::future::pending::<()>().await;
    }
}

/// What follows a request for an upgrade is not another request.
pub(super) fn expect_no_other(session: &mut ServerSession) {
    if let ServerSession::H1(http1) = session {
        http1.set_pipelining_enabled(false);
    }
}

/// Tells the connection that the head is complete: from here on silence is bounded by the body's timeout.
pub(super) fn head_is_complete(session: &mut ServerSession) {
    let is_empty = session.is_body_empty();
    let Some(connection) = connection(session) else {
        return;
    };
    let length = |name| session.get_header(name)?.to_str().ok()?.parse::<u64>().ok();
    let body = if is_empty {
        Some(0)
    } else {
        length(CONTENT_LENGTH).filter(|_| session.get_header(TRANSFER_ENCODING).is_none())
    };
    if let Some(http1) = session.as_http1() {
        connection.begin_request(http1.get_headers_raw_bytes().len() as u64, body);
    }
}
