//! `GET /api/stream?events=&ms=`: server-sent events, one every `ms` milliseconds (10 events, 500 ms, unless told).
//!
//! Each event is `{"event": 1, "of": 10, "instance": "api-1"}` with its number as id. The last one has the type `end`
//! and says why: `{"reason": "done"}`, or `{"reason": "draining"}` when the process stops first.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::query::{Query, at_most};
use crate::state::Instance;

/// Enough for a test that counts, little enough to be harmless.
const MOST_EVENTS: u64 = 10_000;
/// A stream ends within ten minutes, however it is cut into events.
const LONGEST_MS: u64 = 600_000;

/// What may follow the `?`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    events: u64,
    ms: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            events: 10,
            ms: 500,
        }
    }
}

/// Starts the events.
pub async fn events(
    State(instance): State<Instance>,
    Query(params): Query<Params>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let events = at_most("events", params.events, MOST_EVENTS)?;
    at_most(
        "events` times `ms",
        events.saturating_mul(params.ms),
        LONGEST_MS,
    )?;
    Ok(Sse::new(ticks(
        instance,
        events,
        Duration::from_millis(params.ms),
    )))
}

/// What comes next on the stream.
#[derive(Clone, Copy)]
enum Next {
    Tick(u64),
    Nothing,
}

fn ticks(
    instance: Instance,
    of: u64,
    every: Duration,
) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(
        (instance, Next::Tick(1)),
        move |(instance, next)| async move {
            let Next::Tick(number) = next else {
                return None;
            };
            if number > of {
                return Some((Ok(end("done")), (instance, Next::Nothing)));
            }
            let draining = tokio::select! {
                biased;
                () = instance.drain().closing() => true,
                () = tokio::time::sleep(every) => false,
            };
            if draining {
                return Some((Ok(end("draining")), (instance, Next::Nothing)));
            }
            let data = json!({ "event": number, "of": of, "instance": instance.name() });
            Some((
                Ok(event(&data).id(number.to_string())),
                (instance, Next::Tick(number + 1)),
            ))
        },
    )
}

fn end(reason: &str) -> Event {
    event(&json!({ "reason": reason })).event("end")
}

fn event(data: &Value) -> Event {
    Event::default().data(data.to_string())
}
