//! `/upstreams`: upstreams and their servers, how each is and why, what is counted, and what happened to them lately.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;

use super::Operator;
use crate::upstream::discover::followed::Report;
use crate::upstream::events::Event;
use crate::upstream::health::Findings;
use crate::upstream::outlier::{Ejected, Figures};
use crate::upstream::standing::Order;
use crate::upstream::tally::{Attempts, Failures, Retries};
use crate::upstream::{Endpoint, Seat, Upstream};

pub(super) async fn all(State(operator): State<Operator>) -> impl IntoResponse {
    let snapshot = operator.running.snapshot();
    let states = snapshot.upstreams.iter().map(|one| UpstreamState::of(one));
    Json(states.collect::<Vec<_>>())
}

/// One of the answer of `/upstreams`.
#[derive(Debug, Serialize)]
pub(super) struct UpstreamState {
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
    /// How often that was found out, and how often it could not be, or not all of it.
    answers: u64,
    failures: u64,
    /// Since when it cannot be asked; what it found stays.
    failing_since: Option<String>,
    reason: Option<String>,
}

/// Since the process began, or the upstream came to the file.
#[derive(Debug, Serialize)]
struct RequestsState {
    under_way: usize,
    all: u64,
    /// Requests for which no server could be picked: all are down, or none is known.
    all_down: u64,
    no_servers: u64,
    /// Attempts that failed.
    failures: FailuresState,
    /// Attempts after the first one.
    retries: u64,
    /// What they came after.
    retries_after: RetriesState,
    /// Requests that are sent again, as far as the budget counts them, and as many as may be now.
    retries_under_way: usize,
    retries_allowed: usize,
    /// Retries beyond that, which were saved for what breaks at once.
    retries_reserve: usize,
    /// Requests that were answered after more than one attempt, and neither with 500 or above nor with what would be sent
    /// again.
    retries_succeeded: u64,
    /// Times that the budget was used up.
    retries_denied: u64,
    /// Requests that were sent to a second server beside the first, and those that it answered.
    hedges: u64,
    hedges_won: u64,
    /// How long a request waits for its first server now, if that is known.
    hedge_after_ms: Option<f64>,
    /// Times that so few servers were up that all were asked.
    panics: u64,
    /// Times that a server was put out for what became of its requests.
    ejections: u64,
    /// Times that one was not because too many were out already.
    ejections_spared: u64,
}

/// By the label that the log has for them; `status_5xx` are answers of 500 and above.
#[derive(Debug, Serialize)]
struct FailuresState {
    connect_failed: u64,
    connect_timeout: u64,
    upstream_timeout: u64,
    request_timeout: u64,
    upstream_closed: u64,
    bad_answer: u64,
    status_5xx: u64,
}

/// By the words of `retry.when`, and `statuses`.
#[derive(Debug, Serialize)]
struct RetriesState {
    not_sent: u64,
    refused: u64,
    perhaps_processed: u64,
    timeout: u64,
    statuses: u64,
}

#[derive(Debug, Serialize)]
struct LimitsState {
    /// Requests that have a place.
    requests: usize,
    /// Those whose answer has not begun.
    awaiting: usize,
    /// So many may have one; where it is found out from latency, so many may be `awaiting` now.
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
    /// Requests that waited, and for how long in all.
    queued: u64,
    queued_ms: f64,
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
    /// When the state ends, if it is the file that gives it one for a while.
    until: Option<String>,
    health: &'static str,
    /// Why it is down.
    reason: Option<String>,
    /// What its probes found, if it is probed.
    probes: Option<ProbesState>,
    /// Whether it is out for what became of its requests.
    ejected: Option<EjectedState>,
    /// What decides on that, if the file asks for it.
    outlier: Option<OutlierState>,
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
struct OutlierState {
    failures_in_a_row: u32,
    /// The share of its requests that failed, if that is asked for and known.
    error_rate: Option<f64>,
    /// How long its answers take on average, if that is asked for and known.
    latency_ms: Option<f64>,
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
    pub(super) fn of(upstream: &Upstream) -> Self {
        let pool = upstream.pool();
        let now = Instant::now();
        let ready = pool.ready();
        let is_ready = |server: &Arc<Endpoint>| ready.iter().any(|one| Arc::ptr_eq(one, server));
        let servers = pool.all().iter();
        Self {
            name: upstream.name().to_owned(),
            ready: ready.len(),
            panic: pool.in_panic(),
            requests: RequestsState::of(upstream),
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
            answers: report.answers,
            failures: report.failures,
            failing_since: since.map(|since| humantime::format_rfc3339_millis(since).to_string()),
            reason: report.trouble.map(|trouble| trouble.what),
        }
    }
}

impl RequestsState {
    fn of(upstream: &Upstream) -> Self {
        let (tally, spec) = (upstream.tally(), upstream.spec());
        let after = spec.hedge.and_then(|after| tally.latencies.delay(after));
        Self {
            under_way: tally.under_way(),
            all: tally.requests.get(),
            all_down: tally.all_down.get(),
            no_servers: tally.no_servers.get(),
            failures: FailuresState::of(&tally.failures),
            retries: tally.retries.get(),
            retries_after: RetriesState::of(&tally.retries_after),
            retries_under_way: tally.retrying(),
            retries_allowed: tally.allows(spec.retry.budget),
            retries_reserve: tally.reserve(spec.retry.budget),
            retries_succeeded: tally.retries_succeeded.get(),
            retries_denied: tally.retries_denied.get(),
            hedges: tally.hedges.get(),
            hedges_won: tally.hedges_won.get(),
            hedge_after_ms: after.map(milliseconds),
            panics: tally.panics.get(),
            ejections: tally.ejections.get(),
            ejections_spared: tally.ejections_spared.get(),
        }
    }
}

impl FailuresState {
    fn of(failures: &Failures) -> Self {
        Self {
            connect_failed: failures.connect_failed.get(),
            connect_timeout: failures.connect_timeout.get(),
            upstream_timeout: failures.upstream_timeout.get(),
            request_timeout: failures.request_timeout.get(),
            upstream_closed: failures.upstream_closed.get(),
            bad_answer: failures.bad_answer.get(),
            status_5xx: failures.status_5xx.get(),
        }
    }
}

impl RetriesState {
    fn of(retries: &Retries) -> Self {
        Self {
            not_sent: retries.not_sent.get(),
            refused: retries.refused.get(),
            perhaps_processed: retries.perhaps_processed.get(),
            timeout: retries.timeout.get(),
            statuses: retries.statuses.get(),
        }
    }
}

impl LimitsState {
    fn of(upstream: &Upstream) -> Option<Self> {
        let limits = upstream.spec().limits?;
        let stand = upstream.gate()?.stand();
        Some(Self {
            requests: stand.requests,
            awaiting: stand.awaiting,
            requests_max: stand.most,
            connections: stand.connections,
            connections_max: limits.all.connections,
            waiting: stand.waiting,
            longest: stand.longest,
            shed: upstream.tally().shed.get(),
            queue_timeouts: upstream.tally().queue_timeouts.get(),
            queued: upstream.tally().queued.get(),
            queued_ms: milliseconds(Duration::from_micros(upstream.tally().queued_micros.get())),
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
        let seat = server.seat();
        let is_decided = order.duty.is_some() || seat.has_ended();
        let until = seat.until.filter(|_| !is_decided);
        Self {
            address: server.address().to_string(),
            weight: server.weight(),
            priority: Some(priority).filter(|priority| *priority != Seat::BACKUP),
            backup: priority == Seat::BACKUP,
            ready,
            state: server.duty(now).as_str(),
            until: until.map(|until| humantime::format_rfc3339(until).to_string()),
            health: server.health().as_str(),
            reason: server.reason(),
            probes: server.findings().map(ProbesState::of),
            ejected: upstream
                .ejected(server, now)
                .map(|ejected| EjectedState::of(ejected, now)),
            outlier: OutlierState::of(server, upstream, now),
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

impl OutlierState {
    fn of(server: &Endpoint, upstream: &Upstream, now: Instant) -> Option<Self> {
        let bounds = upstream.spec().outlier_ejection.as_ref()?;
        let Figures {
            failures_in_a_row,
            failed,
            takes,
        } = server.standing().outlier().figures(now, bounds);
        Some(Self {
            failures_in_a_row,
            error_rate: failed,
            latency_ms: takes.map(|seconds| seconds * 1000.0),
        })
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
