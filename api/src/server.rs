//! One process, from bind to exit.
//!
//! SIGTERM or SIGINT drains: the health check fails at once; after the drain delay the listener closes; what is in
//! flight finishes, for [`LONGEST_DRAIN`] at most; then the process exits 0. A second SIGINT exits at once.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::app;
use crate::cli::Cli;
use crate::drain::Drain;
use crate::state::Instance;

/// How long requests may take to finish once the listener is closed.
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
    // Before anybody hears of it: who stops it at once would otherwise kill it.
    let signals = (
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
    );
    let listener = bind(cli.listen).await?;
    let drain = Drain::new();
    let instance = Instance::new(cli.name.clone(), drain.clone());
    tracing::info!("{} listens on {}", instance.name(), listener.local_addr()?);
    tokio::spawn(leave_on_signal(
        drain,
        cli.drain_delay,
        signals.0,
        signals.1,
    ));
    serve(listener, instance).await?;
    tracing::info!("stopped");
    Ok(())
}

async fn bind(address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Bind { address, source })
}

/// Serves on `listener` until the instance's drain is over.
pub async fn serve(listener: TcpListener, instance: Instance) -> io::Result<()> {
    let drain = instance.drain().clone();
    let service = app(instance).into_make_service_with_connect_info::<SocketAddr>();
    let listener = listener.tap_io(|stream| {
        // Small answers should leave at once. A connection that refuses the option still works.
        let _ = stream.set_nodelay(true);
    });
    let server = axum::serve(listener, service).with_graceful_shutdown(drain.closing());
    let time_is_up = async {
        drain.closing().await;
        tokio::time::sleep(LONGEST_DRAIN).await;
    };
    tokio::select! {
        result = async { server.await?; drain.idle().await; Ok(()) } => result,
        () = time_is_up => {
            tracing::warn!("requests were still in flight after {} s; they are cut off", LONGEST_DRAIN.as_secs());
            Ok(())
        }
    }
}

async fn leave_on_signal(
    drain: Drain,
    delay: Duration,
    mut terminate: Signal,
    mut interrupt: Signal,
) {
    tokio::select! {
        _ = terminate.recv() => tracing::info!("SIGTERM: draining"),
        _ = interrupt.recv() => tracing::info!("SIGINT: draining; once more to stop at once"),
    }
    tokio::join!(drain.leave(delay), async {
        interrupt.recv().await;
        std::process::exit(INTERRUPTED);
    });
}
