//! Second stage: picks a server and counts the request in flight to it. Comes again for every attempt.

use std::time::Instant;

use super::{Attempt, Exchange};
use crate::error::Failure;
use crate::upstream::Unavailable;
use crate::upstream::kept::Wire;

/// Picks the server for this attempt. Returns a connection to it if one is at hand, unless `new` says to make one.
///
/// # Errors
/// Why there is no server. After an attempt that failed, it is that attempt's failure: it says more than "nobody is left".
pub fn select(exchange: &mut Exchange, new: bool) -> Result<Option<Box<Wire>>, Failure> {
    let upstream = &exchange.target().ok_or(Failure::Internal)?.upstream;
    // The first one follows the head at once.
    let now = match exchange.attempts {
        0 => exchange.started,
        _ => Instant::now(),
    };
    let pool = upstream.pool();
    let picked = pool.pick(&exchange.tried, exchange.purpose);
    match picked.map(|server| Attempt::new(server, now)) {
        Ok(mut attempt) => {
            // Where one kept connection went stale the others likely did, and each would cost an attempt.
            let at_hand = (!new && !exchange.went_stale)
                .then(|| attempt.server.kept().take(attempt.picked))
                .flatten();
            attempt.reused = at_hand.is_some();
            exchange.attempts = exchange.attempts.saturating_add(1);
            exchange.attempt = Some(attempt);
            exchange.head_sent = false;
            exchange.body_ended = false;
            exchange.body_received = 0;
            exchange.failure = None;
            Ok(at_hand)
        }
        Err(reason) => Err(exchange.failure.unwrap_or(reason.into())),
    }
}

impl From<Unavailable> for Failure {
    fn from(reason: Unavailable) -> Self {
        match reason {
            Unavailable::Empty => Self::NoServers,
            Unavailable::AllDown => Self::AllDown,
            Unavailable::AllTried => Self::ConnectFailed,
        }
    }
}
