//! Start, run, drain, end.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pingora::apps::HttpServerApp;
use pingora::server::configuration::ServerConf;
use pingora_proxy::{HttpProxy, http_proxy};
use tokio::net::TcpListener;
use tracing::{info, warn};

use super::gateway::Gateway;
use super::listener::Listeners;
use super::reload::{self, First, Reloader};
use super::signals::{Signals, Wish};
use super::workers::Workers;
use crate::admin::{self, Edits};
use crate::filter::Catalogue;
use crate::observe::access_log::AccessLog;
use crate::snapshot::{Phase, Running, Shutdown, Snapshot};
use crate::upstream::Live;
use crate::upstream::kept::SWEEP_EVERY;
use crate::watch::FileWatch;

/// Pingora counts attempts; ours are counted per upstream and end earlier.
const ATTEMPTS_BOUND: usize = 32;

/// How long a client that asks again at once has to do so and be told to close, before idle connections are closed.
const LINGER: Duration = Duration::from_millis(500);

/// What the command line says.
pub struct Settings {
    /// The routing file.
    pub path: PathBuf,
    /// Where its generations are kept, if anywhere.
    pub state: Option<PathBuf>,
    /// Whether the last good generation will do if the file is wrong.
    pub last_good: bool,
    /// The filters that it may name.
    pub filters: Arc<Catalogue>,
    /// Where requests are logged.
    pub access_log: AccessLog,
    /// Threads that serve requests.
    pub threads: usize,
}

/// Why the process could not start.
#[derive(Debug, thiserror::Error)]
pub enum CannotStart {
    /// The file is wrong; the text says where.
    #[error("{0}")]
    File(String),
    /// A port is taken, or may not be used.
    #[error("{0}")]
    Listen(String),
    /// The system refuses something that it never should.
    #[error("the system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Serves until told to end. Requests are served by threads of their own; the runtime that this runs on needs one.
///
/// # Errors
/// Why it could not start. Once it runs, it ends well.
pub async fn run(settings: Settings) -> Result<(), CannotStart> {
    let mut signals = Signals::new()?;
    let first = reload::first(
        &settings.path,
        settings.state.as_ref(),
        settings.last_good,
        &settings.filters,
    );
    let mut first = first.map_err(CannotStart::File)?;
    let watch = FileWatch::new(std::mem::take(&mut first.inputs));
    let process = Process::start(settings, first).await?;
    process.serve(&mut signals, watch).await;
    process.drain(&mut signals).await;
    Ok(())
}

/// Everything that runs.
struct Process {
    running: Arc<Running>,
    listeners: Arc<Listeners>,
    proxy: Arc<HttpProxy<Gateway>>,
    reloader: Arc<Reloader>,
    log: Arc<AccessLog>,
}

impl Process {
    async fn start(settings: Settings, first: First) -> Result<Self, CannotStart> {
        let plan = first.candidate.plan();
        let live = Arc::new(Live::default());
        let running = Arc::new(Running::new(
            settings.path.clone(),
            Snapshot::start(plan, first.number, &live, None),
        ));
        let log = Arc::new(settings.access_log);
        let proxy = Arc::new(http_proxy(
            &Arc::new(pingora_settings(settings.threads)),
            Gateway::new(Arc::clone(&running), Arc::clone(&log)),
        ));
        let listeners = Arc::new(Listeners::new(
            Workers::start(settings.threads)?,
            Arc::clone(&running),
            Arc::clone(&proxy),
            Arc::clone(&log),
        ));
        let prepared = listeners
            .prepare(&plan.listeners)
            .map_err(|error| CannotStart::Listen(error.to_string()))?;
        let reloader = Arc::new(Reloader {
            path: settings.path,
            filters: settings.filters,
            running: Arc::clone(&running),
            live,
            listeners: Arc::clone(&listeners),
            admin: plan.admin,
            turn: tokio::sync::Mutex::default(),
            history: Mutex::new(first.history),
            current: Mutex::new(Arc::new(first.candidate)),
        });
        running.note_refusal(first.refusal);
        serve_admin(reloader.admin, &reloader).await?;
        running.snapshot().settle(reload::SETTLE).await;
        listeners.apply(prepared);
        tokio::spawn(sweep(Arc::clone(&reloader.live)));
        tokio::spawn(reload::watch(Arc::clone(&reloader)));
        running.enter(Phase::Ready);
        Ok(Self {
            running,
            listeners,
            proxy,
            reloader,
            log,
        })
    }

    /// Until a signal says to end.
    async fn serve(&self, signals: &mut Signals, mut watch: FileWatch) {
        let reloader = Arc::clone(&self.reloader);
        let watching = tokio::spawn(async move {
            loop {
                let cause = watch.changed().await;
                if let Some(inputs) = reloader.notice(&cause).await {
                    watch.follow(inputs);
                }
            }
        });
        while signals.next().await == Wish::Reload {
            self.reloader.reload("SIGHUP").await;
        }
        watching.abort();
    }

    /// `/ready` says 503; after the delay nobody is accepted any more; what is in flight may finish, and the process ends
    /// as soon as it has. A second SIGINT ends it at once.
    async fn drain(&self, signals: &mut Signals) {
        let shutdown = self.running.snapshot().shutdown.clone();
        self.running.enter(Phase::Draining);
        info!(delay = ?shutdown.delay, timeout = ?shutdown.timeout, "ending");
        tokio::select! {
            () = self.finish(&shutdown) => {}
            () = interrupted(signals) => warn!(connections = self.listeners.connections(), "interrupted again, ending at once"),
        }
        if self.log.dropped() > 0 {
            warn!(
                lines = self.log.dropped(),
                "lines of the access log were dropped: whoever reads it is too slow"
            );
        }
    }

    async fn finish(&self, shutdown: &Shutdown) {
        tokio::time::sleep(shutdown.delay).await;
        self.listeners.close();
        let finishing = async {
            tokio::select! {
                () = self.listeners.idle() => return,
                () = tokio::time::sleep(LINGER) => {}
            }
            self.listeners.close_idle();
            // Pingora waits for some of them.
            self.proxy.http_cleanup().await;
            self.listeners.idle().await;
        };
        match tokio::time::timeout(shutdown.timeout, finishing).await {
            Ok(()) => info!("ended, nothing was in flight any more"),
            Err(_) => warn!(
                connections = self.listeners.connections(),
                "ended with connections still open after {:?}", shutdown.timeout
            ),
        }
    }
}

/// Closes connections to servers that nobody wants any more, for as long as the process runs.
async fn sweep(live: Arc<Live>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        live.sweep();
    }
}

async fn interrupted(signals: &mut Signals) {
    while signals.next().await != Wish::Interrupt {}
}

fn pingora_settings(threads: usize) -> ServerConf {
    ServerConf {
        threads,
        max_retries: ATTEMPTS_BOUND,
        ..ServerConf::default()
    }
}

async fn serve_admin(
    address: Option<SocketAddr>,
    reloader: &Arc<Reloader>,
) -> Result<(), CannotStart> {
    let Some(address) = address else {
        return Ok(());
    };
    let listener = TcpListener::bind(address).await.map_err(|error| {
        CannotStart::Listen(format!("admin cannot listen on {address}: {error}"))
    })?;
    info!(%address, "admin listening");
    let edits: Arc<dyn Edits> = Arc::clone(reloader) as _;
    tokio::spawn(admin::serve(listener, Arc::clone(&reloader.running), edits));
    Ok(())
}
