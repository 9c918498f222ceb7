//! One process, from bind to exit.
//!
//! SIGTERM or SIGINT: `/health` fails, the listener closes, what is in flight finishes, for [`LONGEST_DRAIN`] at most;
//! then the process exits 0. A second SIGINT exits at once.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::cli::Cli;
use crate::contained::Root;
use crate::site::site;

/// How long downloads may take to finish once the listener is closed.
pub const LONGEST_DRAIN: Duration = Duration::from_secs(10);
/// What a shell reports for a process that SIGINT ended: 128 + 2.
const INTERRUPTED: i32 = 130;

/// Why the process could not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address is taken, or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// What was asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing to serve.
    #[error("cannot serve {path}: {source} (set --root to a directory)", path = path.display())]
    Root {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The runtime, the signal handlers or the listener failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Serves until told to stop.
pub fn run(cli: &Cli) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(serve_until_signal(cli));
    // Whatever is still running had its time.
    runtime.shutdown_background();
    result
}

async fn serve_until_signal(cli: &Cli) -> Result<(), ServeError> {
    let root = Root::open(&cli.root).map_err(|source| ServeError::Root {
        path: cli.root.clone(),
        source,
    })?;
    let bind = TcpListener::bind(cli.listen).await;
    let listener = bind.map_err(|source| ServeError::Bind {
        address: cli.listen,
        source,
    })?;
    let stopping = watch::Sender::new(false);
    tracing::info!(
        "{} is served on {}",
        root.path().display(),
        listener.local_addr()?
    );
    let site = site(&root, &cli.api_origins, stopping.subscribe());
    let signals = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let stopped = stopping.subscribe();
    tokio::spawn(stop_on_signal(stopping, signals.0, signals.1));
    serve(listener, site, stopped).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn serve(
    listener: TcpListener,
    site: Router,
    stopping: watch::Receiver<bool>,
) -> io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Small answers should leave at once. A connection that refuses the option still works.
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, site).with_graceful_shutdown(told_to_stop(stopping.clone()));
    let time_is_up = async {
        told_to_stop(stopping).await;
        tokio::time::sleep(LONGEST_DRAIN).await;
    };
    tokio::select! {
        result = server => result,
        () = time_is_up => {
            tracing::warn!("downloads were still in flight after {} s; they are cut off", LONGEST_DRAIN.as_secs());
            Ok(())
        }
    }
}

async fn told_to_stop(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, and the process with it: that is stopping as well.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn stop_on_signal(
    stopping: watch::Sender<bool>,
    mut terminate: Signal,
    mut interrupt: Signal,
) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping; once more to stop at once"),
    }
    stopping.send_replace(true);
    interrupt.recv().await;
    std::process::exit(INTERRUPTED);
}
