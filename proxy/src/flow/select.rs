//! Second stage: picks a server and counts the request in flight to it. Comes again for every attempt.

use std::time::Duration;

use pingora::upstreams::peer::HttpPeer;

use super::{Attempt, Exchange};
use crate::error::Failure;
use crate::upstream::Unavailable;

/// The server for this attempt, and how to connect to it.
///
/// # Errors
/// Why there is none. After an attempt that failed, it is that attempt's failure: it says more than "nobody is left".
pub fn select(exchange: &mut Exchange) -> Result<Box<HttpPeer>, Failure> {
    let upstream = &exchange.route().ok_or(Failure::Internal)?.upstream;
    let picked = upstream.pool().pick(&exchange.tried).map(Attempt::with);
    match picked {
        Ok(attempt) => {
            let peer = Box::new(peer(&attempt, exchange));
            exchange.attempts = exchange.attempts.saturating_add(1);
            exchange.attempt = Some(attempt);
            exchange.head_sent = false;
            exchange.body_ended = false;
            exchange.body_received = 0;
            exchange.failure = None;
            Ok(peer)
        }
        Err(reason) => Err(exchange.failure.unwrap_or(match reason {
            Unavailable::Empty => Failure::NoServers,
            Unavailable::AllDown => Failure::AllDown,
            Unavailable::AllTried => Failure::ConnectFailed,
        })),
    }
}

/// Connections are shared within a group; those of this one are closed after use, so there is never one at hand.
const NEVER_SHARED: u64 = 1;

fn peer(attempt: &Attempt, exchange: &Exchange) -> HttpPeer {
    let mut peer = attempt.server.peer().clone();
    if exchange.went_stale {
        // Where one kept connection went stale the others likely did, and each would cost an attempt.
        peer.group_key = NEVER_SHARED;
        peer.options.idle_timeout = Some(Duration::ZERO);
    }
    peer
}
