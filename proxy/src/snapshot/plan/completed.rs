//! From the plan back to a file that asks for it and leaves nothing out: what is printed is what runs.
//!
//! A section that the plan has no part in goes through as it was written (`written.section.clone()`).

use std::time;

use http::header::CONTENT_TYPE;

use super::upstream::{retry, timeouts};
use super::{ClientTimeouts, EndSpec, Limits, ListenerSpec, Plan, Reload, RouteSpec, TargetSpec};
use crate::config::{
    self, Admin, Component, Duration, File, Listener, Named, Protocol, Question, Respond, Retry,
    Route, RouteLimits, Size, Span, Spanned, Switch, Test, Upstream,
};
use crate::end::Reply;
use crate::end::redirect::Redirect;
use crate::upstream::outlier::Bounds;
use crate::upstream::{self, Spec, Timeouts};

/// The components of an upstream, as they are in effect.
pub(super) struct Chosen {
    pub(super) discover: Option<Component>,
    pub(super) balance: Component,
    pub(super) health_check: Option<Component>,
}

/// The file, with what the plan made of it in every key.
pub(super) fn file(
    written: &File,
    plan: &Plan,
    chosen: &[Chosen],
    filters: Named<Component>,
) -> File {
    let listeners = written.listeners.iter().zip(&plan.listeners);
    let upstreams = written
        .upstreams
        .iter()
        .zip(plan.upstreams.iter().zip(chosen));
    let routes = written.routes.iter().zip(&plan.routes);
    File {
        listeners: listeners
            .map(|((name, _), spec)| (name.clone(), listener(spec)))
            .collect(),
        upstreams: upstreams
            .map(|((name, written), (spec, chosen))| {
                (name.clone(), upstream(written, spec, chosen))
            })
            .collect(),
        filters,
        routes: routes
            .map(|((name, written), spec)| (name.clone(), route(written, spec, &plan.limits)))
            .collect(),
        timeouts: written_timeouts(&timeouts(&config::Timeouts::default(), &written.timeouts)),
        limits: limits(&plan.limits),
        retry: written_retry(&retry(&config::Retry::default(), &written.retry)),
        admin: plan.admin.map(|address| Admin {
            address: address.into(),
        }),
        tests: written
            .tests
            .iter()
            .map(|(name, written)| (name.clone(), test(written)))
            .collect(),
        reload: reload(&plan.reload),
        include: None,
        shutdown: config::Shutdown {
            delay: Some(plan.shutdown.delay.into()),
            timeout: Some(plan.shutdown.timeout.into()),
        },
    }
}

fn test(written: &Test) -> Test {
    let mut test = written.clone();
    let client = &mut test.request.client;
    client.get_or_insert(Question::CLIENT.into());
    test
}

fn reload(spec: &Reload) -> config::Reload {
    config::Reload {
        rollback_on: spec.rollback_on.map(|bounds| config::RollbackOn {
            errors: bounds.errors.into(),
            over: span(bounds.over),
            requests: u32::try_from(bounds.requests).ok().and_then(set),
        }),
        remember: u32::try_from(spec.remember).ok().and_then(set),
    }
}

fn set<T>(value: T) -> Option<Spanned<T>> {
    Some(value.into())
}

fn span(duration: time::Duration) -> Option<Spanned<Duration>> {
    set(duration.into())
}

fn size(bytes: u64) -> Size {
    Size::from_bytes(bytes)
}

fn listener(spec: &ListenerSpec) -> Listener {
    let ClientTimeouts {
        header,
        body,
        write,
        keep_alive,
    } = spec.timeouts;
    let spoken = [(spec.http1, Protocol::Http1), (spec.h2c, Protocol::H2c)];
    let spoken = spoken.into_iter().filter(|(is_spoken, _)| *is_spoken);
    Listener {
        address: spec.address.into(),
        protocols: set(spoken.map(|(_, protocol)| protocol).collect()),
        timeouts: config::ClientTimeouts {
            header: span(header),
            body: span(body),
            write: span(write),
            keep_alive: span(keep_alive),
        },
        max_connections: set(spec.max_connections),
    }
}

fn upstream(written: &Upstream, spec: &Spec, chosen: &Chosen) -> Upstream {
    let servers = written.servers.iter().map(|written| {
        let mut server = written.clone();
        if !server.is_backup() {
            server.value.priority = set(server.priority.map_or(0, |it| it.value));
        }
        server.value.backup = set(server.is_backup());
        server
    });
    Upstream {
        servers: servers.collect(),
        discover: chosen.discover.clone(),
        balance: Some(chosen.balance.clone()),
        health_check: chosen.health_check.clone(),
        panic_below: spec.panic_below.map(Spanned::from),
        slow_start: span(spec.slow_start),
        limits: spec.limits.as_ref().map_or_else(Default::default, held),
        outlier_ejection: spec.outlier_ejection.as_ref().map(outliers),
        timeouts: written_timeouts(&spec.timeouts),
        retry: written_retry(&spec.retry),
        hedge: spec.hedge.map(|after| config::Hedge {
            after: after.into(),
        }),
        dns_refresh: span(spec.dns_refresh),
    }
}

fn outliers(spec: &Bounds) -> Switch<config::OutlierEjection> {
    let error_rate = spec.error_rate.map(|spec| {
        Switch::On(config::ErrorRate {
            above: set(spec.above),
            requests: set(spec.requests),
            over: span(spec.over),
        })
    });
    let latency = spec.latency.map(|spec| {
        Switch::On(config::SlowAnswers {
            above: set(spec.above),
            at_least: span(spec.at_least),
            requests: set(spec.requests),
            over: span(spec.over),
        })
    });
    Switch::On(config::OutlierEjection {
        consecutive_failures: set(spec.consecutive_failures),
        error_rate,
        latency,
        time: span(spec.time),
        max_time: span(spec.max_time),
        max_ejected: set(spec.max_ejected),
    })
}

/// What an upstream takes at a time.
fn held(spec: &upstream::limits::Limits) -> config::UpstreamLimits {
    let number = |most: Option<usize>| u32::try_from(most?).ok().and_then(set);
    config::UpstreamLimits {
        requests: number(spec.all.requests),
        connections: number(spec.all.connections),
        server: config::ServerLimits {
            requests: number(spec.server.requests),
            connections: number(spec.server.connections),
        },
        queue: spec.queue.and_then(|queue| {
            set(config::Queue {
                length: number(Some(queue.length)),
                timeout: span(queue.timeout),
            })
        }),
        adaptive: spec.adaptive.and_then(|bounds| {
            set(config::Adaptive {
                min: number(Some(bounds.min)),
                max: number(Some(bounds.max)),
            })
        }),
    }
}

fn written_retry(spec: &upstream::retry::Retry) -> Retry {
    let statuses = spec.statuses.iter();
    Retry {
        attempts: set(spec.attempts),
        when: Some(spec.when.clone()),
        statuses: Some(statuses.map(|status| (*status).into()).collect()),
        idempotency_key: set(spec.idempotency_key),
        backoff: config::Backoff {
            first: span(spec.backoff.first),
            max: span(spec.backoff.max),
        },
        budget: config::RetryBudget {
            share: set(spec.budget.share),
            min: set(spec.budget.min),
            reserve: set(spec.budget.reserve),
        },
    }
}

fn written_timeouts(spec: &Timeouts) -> config::Timeouts {
    config::Timeouts {
        connect: span(spec.connect),
        first_byte: span(spec.first_byte()),
        read: span(spec.read),
        write: span(spec.write),
        idle: span(spec.idle),
        tunnel: span(spec.tunnel),
        request: spec.request.and_then(span),
    }
}

fn limits(spec: &Limits) -> config::Limits {
    config::Limits {
        header_size: set(size(spec.header_size)),
        header_count: set(spec.header_count),
        body_size: spec.body_size.map(size),
    }
}

fn route(written: &Route, spec: &RouteSpec, limits: &Limits) -> Route {
    let mut route = Route {
        priority: Some(written.priority.unwrap_or_default()),
        filters: spec
            .filters
            .iter()
            .map(|filter| filter.effective.clone())
            .collect(),
        timeouts: config::Timeouts::default(),
        limits: RouteLimits {
            body_size: spec.body_size.or(limits.body_size).map(size),
        },
        ..written.clone()
    };
    match &spec.end {
        EndSpec::Upstream(target) => route.timeouts = common([target].into_iter()),
        EndSpec::Split(arms, _) => route.timeouts = common(arms.iter().map(|(target, ..)| target)),
        EndSpec::Redirect(spec) => redirect(&mut route, spec),
        EndSpec::Respond(reply) => respond(&mut route, reply),
    }
    if let (Some(mirror), Some(spec)) = (&mut route.mirror, &spec.mirror) {
        mirror.value.share = Some(spec.share);
        mirror.value.body_size = set(size(spec.body_size));
    }
    route
}

/// What all that may answer have in common; where they differ, each has that of its upstream.
fn common<'t>(mut targets: impl Iterator<Item = &'t TargetSpec>) -> config::Timeouts {
    let Some(first) = targets.next() else {
        return config::Timeouts::default();
    };
    let mut common = written_timeouts(&first.timeouts);
    for target in targets {
        let other = written_timeouts(&target.timeouts);
        let keys = [
            (&mut common.connect, other.connect),
            (&mut common.first_byte, other.first_byte),
            (&mut common.read, other.read),
            (&mut common.write, other.write),
            (&mut common.idle, other.idle),
            (&mut common.tunnel, other.tunnel),
            (&mut common.request, other.request),
        ];
        for (one, other) in keys {
            *one = one.filter(|_| *one == other);
        }
    }
    common
}

fn redirect(route: &mut Route, spec: &Redirect) {
    if let Some(redirect) = &mut route.redirect {
        redirect.value.status = set(spec.status.as_u16());
        redirect.value.keep_query = Some(spec.keep_query);
    }
}

fn respond(route: &mut Route, reply: &Reply) {
    let Some(respond) = &mut route.respond else {
        return;
    };
    let Respond {
        status, headers, ..
    } = &mut respond.value;
    *status = set(reply.status.as_u16());
    let is_written = headers.names().any(|name| CONTENT_TYPE == name);
    let kind = reply.headers.get(CONTENT_TYPE).filter(|_| !is_written);
    if let Some(kind) = kind.and_then(|kind| kind.to_str().ok()) {
        let name = Spanned::new("Content-Type".to_owned(), Span::default());
        let kind = (name, kind.to_owned().into());
        let all = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        *headers = all.chain([kind]).collect();
    }
}
