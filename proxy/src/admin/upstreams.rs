//! `/upstreams`: upstreams and their servers, how each is and why, what happened to them lately; and what an operator wants of a
//! server for a while.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{Operator, Problem};
use crate::config::Duration as Span;
use crate::upstream::discover::followed::Report;
use crate::upstream::events::Event;
use crate::upstream::health::Findings;
use crate::upstream::outlier::Ejected;
use crate::upstream::standing::{Duty, Held, Order};
use crate::upstream::tally::{Attempts, Tally};
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
    requests: RequestsState,
    /// Who knows its servers, if the file does not name their addresses.
    sources: Vec<SourceState>,
    /// What it takes at a time, if that is limited.
    limits: Option<LimitsState>,
    servers: Vec<ServerState>,
    /// The latest last.
    events: Vec<EventState>,
}

#[derive(Debug, Serialize)]
struct SourceState {
    source: String,
    /// How many addresses or servers it knows.
    found: usize,
    /// Since when it cannot be asked; what it found stays.
    failing_since: Option<String>,
    reason: Option<String>,
}

/// Since the process began, or the upstream came to the file.
#[derive(Debug, Serialize)]
struct RequestsState {
    under_way: usize,
    all: u64,
    /// Attempts after the first one.
    retries: u64,
    /// Requests that are sent again, as far as the budget counts them.
    retries_under_way: usize,
    /// Requests that were answered, and not with 500 or above, after more than one attempt.
    retries_succeeded: u64,
    /// Times that the budget was used up.
    retries_denied: u64,
    /// Attempts that ended because a server was waited for too long.
    timeouts: u64,
    /// Requests that were sent to a second server beside the first, and those that it answered.
    hedges: u64,
    hedges_won: u64,
    /// Times that so few servers were up that all were asked.
    panics: u64,
    /// Times that a server was put out for what became of its requests.
    ejections: u64,
    /// Times that one was not because too many were out already.
    ejections_spared: u64,
}

#[derive(Debug, Serialize)]
struct LimitsState {
    /// Requests that have a place.
    requests: usize,
    /// So many may; where it is found out from latency, what it is now.
    requests_max: Option<usize>,
    /// Connections that are open, with those that wait for their next request; 0 if they are not limited.
    connections: usize,
    connections_max: Option<usize>,
    /// Requests that wait for a place.
    waiting: usize,
    /// The most that ever did at once.
    longest: usize,
    /// Requests that were turned away at once, and those that waited in vain.
    shed: u64,
    queue_timeouts: u64,
}

/// What a server has of its upstream, if that is limited.
#[derive(Debug, Serialize)]
struct ServerLimitsState {
    requests: usize,
    requests_max: Option<usize>,
    connections: usize,
    connections_max: Option<usize>,
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
    /// What its probes found, if it is probed.
    probes: Option<ProbesState>,
    /// Whether it is out for what became of its requests.
    ejected: Option<EjectedState>,
    in_flight: usize,
    limits: Option<ServerLimitsState>,
    attempts: AttemptsState,
    /// Where the policy goes by latency: the average, in milliseconds.
    latency_ms: Option<f64>,
    /// What an operator wants of it.
    order: Option<OrderState>,
}

#[derive(Debug, Serialize)]
struct AttemptsState {
    all: u64,
    /// By the server's fault: no answer, or one of 500 and above.
    failed: u64,
}

#[derive(Debug, Serialize)]
struct ProbesState {
    /// Since when it is what it is.
    since: Option<String>,
    good: u64,
    bad: u64,
    /// How long the latest took.
    last_ms: Option<f64>,
}

#[derive(Debug, Serialize)]
struct EjectedState {
    reason: String,
    /// When it comes back by itself.
    until: String,
    /// How often it was out, as far as that is not forgotten.
    times: u32,
}

#[derive(Debug, Serialize)]
struct OrderState {
    state: Option<HeldState<&'static str>>,
    weight: Option<HeldState<u16>>,
}

#[derive(Debug, Serialize)]
struct HeldState<T> {
    value: T,
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
            requests: RequestsState::of(upstream.tally()),
            sources: upstream
                .sources()
                .into_iter()
                .map(SourceState::of)
                .collect(),
            limits: LimitsState::of(upstream),
            servers: servers
                .map(|server| ServerState::of(server, upstream, is_ready(server), now))
                .collect(),
            events: upstream.events().into_iter().map(EventState::of).collect(),
        }
    }
}

impl SourceState {
    fn of(report: Report) -> Self {
        let since = report.trouble.as_ref().map(|trouble| trouble.since);
        Self {
            source: report.label,
            found: report.found,
            failing_since: since.map(|since| humantime::format_rfc3339_millis(since).to_string()),
            reason: report.trouble.map(|trouble| trouble.what),
        }
    }
}

impl RequestsState {
    fn of(tally: &Tally) -> Self {
        Self {
            under_way: tally.under_way(),
            all: tally.requests.get(),
            retries: tally.retries.get(),
            retries_under_way: tally.retrying(),
            retries_succeeded: tally.retries_succeeded.get(),
            retries_denied: tally.retries_denied.get(),
            timeouts: tally.timeouts.get(),
            hedges: tally.hedges.get(),
            hedges_won: tally.hedges_won.get(),
            panics: tally.panics.get(),
            ejections: tally.ejections.get(),
            ejections_spared: tally.ejections_spared.get(),
        }
    }
}

impl LimitsState {
    fn of(upstream: &Upstream) -> Option<Self> {
        let limits = upstream.spec().limits?;
        let stand = upstream.gate()?.stand();
        Some(Self {
            requests: stand.requests,
            requests_max: stand.most,
            connections: stand.connections,
            connections_max: limits.all.connections,
            waiting: stand.waiting,
            longest: stand.longest,
            shed: upstream.tally().shed.get(),
            queue_timeouts: upstream.tally().queue_timeouts.get(),
        })
    }
}

impl ServerLimitsState {
    fn of(server: &Endpoint, upstream: &Upstream) -> Option<Self> {
        let limits = upstream.spec().limits?;
        let taken = server.standing().taken();
        Some(Self {
            requests: taken.requests(),
            requests_max: limits.server.requests,
            connections: taken.open(),
            connections_max: limits.server.connections,
        })
    }
}

impl ServerState {
    fn of(server: &Endpoint, upstream: &Upstream, ready: bool, now: Instant) -> Self {
        let priority = server.priority();
        let order = server.standing().order(now);
        Self {
            address: server.address().to_string(),
            weight: server.weight(),
            priority: Some(priority).filter(|priority| *priority != Seat::BACKUP),
            backup: priority == Seat::BACKUP,
            ready,
            state: server.duty(now).as_str(),
            health: server.health().as_str(),
            reason: server.reason(),
            probes: server.findings().map(ProbesState::of),
            ejected: upstream
                .ejected(server, now)
                .map(|ejected| EjectedState::of(ejected, now)),
            in_flight: server.in_flight(),
            limits: ServerLimitsState::of(server, upstream),
            attempts: AttemptsState::of(server.standing().attempts()),
            latency_ms: server
                .latency()
                .noted(now)
                .map(|(average, _)| milliseconds(average)),
            order: (!order.is_none()).then(|| OrderState::of(order, now)),
        }
    }
}

impl AttemptsState {
    fn of(attempts: &Attempts) -> Self {
        Self {
            all: attempts.all.get(),
            failed: attempts.failed.get(),
        }
    }
}

impl ProbesState {
    fn of(findings: Findings) -> Self {
        let since = findings.since;
        Self {
            since: since.map(|since| humantime::format_rfc3339_millis(since).to_string()),
            good: findings.good,
            bad: findings.bad,
            last_ms: findings.last_duration.map(milliseconds),
        }
    }
}

impl EjectedState {
    fn of(ejected: Ejected, now: Instant) -> Self {
        Self {
            reason: ejected.reason.to_string(),
            until: moment(ejected.until, now),
            times: ejected.times,
        }
    }
}

/// On the clock of the wall.
fn moment(until: Instant, now: Instant) -> String {
    let left = until.saturating_duration_since(now);
    humantime::format_rfc3339_seconds(SystemTime::now() + left).to_string()
}

fn milliseconds(span: Duration) -> f64 {
    span.as_secs_f64() * 1000.0
}

impl OrderState {
    fn of(order: Order, now: Instant) -> Self {
        Self {
            state: order
                .duty
                .map(|held| HeldState::of(held.value.as_str(), held.until, now)),
            weight: order
                .weight
                .map(|held| HeldState::of(held.value, held.until, now)),
        }
    }
}

impl<T> HeldState<T> {
    fn of(value: T, until: Option<Instant>, now: Instant) -> Self {
        let until = until.map(|until| moment(until, now));
        Self { value, until }
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
            .map_err(|_| "`for` is no duration such as `10m` or `48h`".to_owned())?;
        let span = span.map(Span::get);
        if span.is_some_and(|span| span.is_zero() || span > LONGEST) {
            return Err("`for` is from `1ms` to 30 days".to_owned());
        }
        let until = span.and_then(|span| now.checked_add(span));
        let duty = self.state.map(|wish| match wish {
            Wish::Serve => Duty::Serving,
            Wish::Drain => Duty::Draining,
            Wish::Disable => Duty::Disabled,
        });
        Ok(Order {
            duty: duty.map(|value| Held { value, until }),
            weight: self.weight.map(|value| Held { value, until }),
        })
    }
}

pub(super) async fn order(
    State(operator): State<Operator>,
    Path((name, address)): Path<(String, SocketAddr)>,
    wanted: Result<Query<Wanted>, QueryRejection>,
) -> Response {
    let order = wanted
        .map_err(|rejection| rejection.body_text())
        .and_then(|Query(wanted)| wanted.order(Instant::now()));
    match order {
        Ok(order) => give(&operator, &name, address, |upstream| {
            upstream.order(address, order)
        }),
        Err(why) => Problem::new(why).with(StatusCode::BAD_REQUEST),
    }
}

pub(super) async fn take_back(
    State(operator): State<Operator>,
    Path((name, address)): Path<(String, SocketAddr)>,
) -> Response {
    give(&operator, &name, address, |upstream| {
        upstream.take_back(address)
    })
}

/// Until no edit has taken the place of what it was said to: the order is for what runs then.
fn give(
    operator: &Operator,
    name: &str,
    address: SocketAddr,
    give: impl Fn(&Arc<Upstream>) -> bool,
) -> Response {
    loop {
        let snapshot = operator.running.snapshot();
        let upstream = snapshot.upstreams.iter().find(|one| one.name() == name);
        let Some(upstream) = upstream else {
            let why = format!("there is no upstream `{name}`");
            return Problem::new(why).with(StatusCode::NOT_FOUND);
        };
        let is_known = give(upstream);
        if !Arc::ptr_eq(&snapshot, &operator.running.snapshot()) {
            continue;
        }
        if is_known {
            return Json(UpstreamState::of(upstream)).into_response();
        }
        let pool = upstream.pool();
        let known = pool.all().iter().map(|server| server.address().to_string());
        let known = known.collect::<Vec<_>>().join(", ");
        let why = format!("upstream `{name}` has no server `{address}`; known are {known}");
        return Problem::new(why).with(StatusCode::NOT_FOUND);
    }
}
