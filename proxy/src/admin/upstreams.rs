//! `/upstreams`: upstreams and their servers, how each is and why, what happened to them lately; and what an operator wants of a
//! server for a while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Operator, Problem};
use crate::config::Duration as Span;
use crate::upstream::events::Event;
use crate::upstream::standing::{Duty, Order};
use crate::upstream::{Endpoint, Seat, Upstream};

/// The longest time that an order may hold; without `for` it holds until it is taken back.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

pub(super) async fn all(State(operator): State<Operator>) -> impl IntoResponse {
    let snapshot = operator.running.snapshot();
    let states = snapshot.upstreams.iter().map(|one| UpstreamState::of(one));
    Json(states.collect::<Vec<_>>())
}

/// One of the answer of `/upstreams`.
#[derive(Debug, Serialize)]
struct UpstreamState {
    name: String,
    /// Servers that may be picked.
    ready: usize,
    /// Fewer are up than `panic_below`: all are asked.
    panic: bool,
    servers: Vec<ServerState>,
    /// The latest last.
    events: Vec<EventState>,
}

#[derive(Debug, Serialize)]
struct ServerState {
    address: String,
    weight: u16,
    /// Its tier; none for a backup.
    priority: Option<u8>,
    backup: bool,
    /// Whether it may be picked now.
    ready: bool,
    state: &'static str,
    health: &'static str,
    /// Why it is down.
    reason: Option<String>,
    in_flight: usize,
    /// What an operator wants of it.
    order: Option<OrderState>,
}

#[derive(Debug, Serialize)]
struct OrderState {
    state: Option<&'static str>,
    weight: Option<u16>,
    /// When it ends by itself.
    until: Option<String>,
}

#[derive(Debug, Serialize)]
struct EventState {
    time: String,
    server: Option<String>,
    what: &'static str,
    reason: Option<String>,
}

impl UpstreamState {
    fn of(upstream: &Upstream) -> Self {
        let pool = upstream.pool();
        let now = Instant::now();
        let ready = pool.ready();
        let is_ready = |server: &Arc<Endpoint>| ready.iter().any(|one| Arc::ptr_eq(one, server));
        let servers = pool.all().iter();
        Self {
            name: upstream.name().to_owned(),
            ready: ready.len(),
            panic: pool.in_panic(),
            servers: servers
                .map(|server| ServerState::of(server, is_ready(server), now))
                .collect(),
            events: upstream.events().into_iter().map(EventState::of).collect(),
        }
    }
}

impl ServerState {
    fn of(server: &Endpoint, ready: bool, now: Instant) -> Self {
        let priority = server.priority();
        let order = server.standing().order(now);
        Self {
            address: server.address().to_string(),
            weight: server.weight_at(now),
            priority: Some(priority).filter(|priority| *priority != Seat::BACKUP),
            backup: priority == Seat::BACKUP,
            ready,
            state: server.duty(now).as_str(),
            health: server.health().as_str(),
            reason: server.reason(),
            in_flight: server.in_flight(),
            order: order.map(|order| OrderState::of(order, now)),
        }
    }
}

impl OrderState {
    fn of(order: Order, now: Instant) -> Self {
        let until = order.until.map(|until| {
            let left = until.saturating_duration_since(now);
            humantime::format_rfc3339_seconds(SystemTime::now() + left).to_string()
        });
        Self {
            state: order.duty.map(Duty::as_str),
            weight: order.weight,
            until,
        }
    }
}

impl EventState {
    fn of(event: Event) -> Self {
        Self {
            time: humantime::format_rfc3339_millis(event.time).to_string(),
            server: event.server.map(|server| server.to_string()),
            what: event.what,
            reason: event.reason,
        }
    }
}

/// What is wanted of a server.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    state: Option<Wish>,
    weight: Option<u16>,
    /// For how long.
    r#for: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Wish {
    Serve,
    Drain,
    Disable,
}

impl Wanted {
    fn order(&self, now: Instant) -> Result<Order, String> {
        if self.state.is_none() && self.weight.is_none() {
            return Err("nothing is wanted: say `state=drain`, `state=disable`, `state=serve` or `weight=N`".to_owned());
        }
        if self
            .weight
            .is_some_and(|weight| !(1..=1000).contains(&weight))
        {
            return Err(
                "a weight is a whole number from 1 to 1000; `state=drain` sends no more".to_owned(),
            );
        }
        let span: Option<Span> = self
            .r#for
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|_| "`for` is no duration such as `10m`".to_owned())?;
        let span = span.map(Span::get);
        if span.is_some_and(|span| span.is_zero() || span > LONGEST) {
            return Err("`for` is from `1ms` to 30 days".to_owned());
        }
        let until = span.and_then(|span| now.checked_add(span));
        Ok(Order {
            duty: self.state.map(|wish| match wish {
                Wish::Serve => Duty::Serving,
                Wish::Drain => Duty::Draining,
                Wish::Disable => Duty::Disabled,
            }),
            weight: self.weight,
            until,
        })
    }
}

pub(super) async fn order(
    State(operator): State<Operator>,
    Path(server): Path<(String, SocketAddr)>,
    Query(wanted): Query<Wanted>,
) -> Response {
    match wanted.order(Instant::now()) {
        Ok(order) => give(&operator, &server, Some(order)),
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

pub(super) async fn take_back(
    State(operator): State<Operator>,
    Path(server): Path<(String, SocketAddr)>,
) -> Response {
    give(&operator, &server, None)
}

fn give(operator: &Operator, server: &(String, SocketAddr), order: Option<Order>) -> Response {
    let (name, address) = server;
    let snapshot = operator.running.snapshot();
    let upstream = snapshot.upstreams.iter().find(|one| one.name() == name);
    let Some(upstream) = upstream else {
        let why = format!("there is no upstream `{name}`");
        return Problem::new(why).with(StatusCode::NOT_FOUND);
    };
    if upstream.order(*address, order) {
        return Json(UpstreamState::of(upstream)).into_response();
    }
    let known = upstream.pool();
    let known: Vec<String> = known
        .all()
        .iter()
        .map(|server| server.address().to_string())
        .collect();
    let known = known.join(", ");
    Problem::new(format!(
        "upstream `{name}` has no server `{address}`; known are {known}"
    ))
    .with(StatusCode::NOT_FOUND)
}
