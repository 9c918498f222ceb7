//! Upstreams: their policies and checks built, every default filled in.

use std::time::Duration;

use super::SILENCE;
use super::completed::Chosen;
use crate::component::{self, Surroundings};
use crate::config::{self, Component, Diagnostic, Factor, File, RetryWhen, Share, Spanned, Switch};
use crate::upstream::limits::{Bounds, Limits, Most, QueueLimits};
use crate::upstream::outlier;
use crate::upstream::retry::{Backoff, Budget, Retry};
use crate::upstream::{ServerSpec, Spec, Timeouts, balance, discover, health};

const CONNECT: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(60);
/// HAProxy's documentation of `timeout tunnel` suggests it.
const TUNNEL: Duration = Duration::from_secs(3600);
const ATTEMPTS: u8 = 3;
/// A server that is slow mostly has too much to do: to ask for the same once more gives it more.
const RETRIED: [RetryWhen; 3] = [
    RetryWhen::NotSent,
    RetryWhen::Refused,
    RetryWhen::PerhapsProcessed,
];
/// Envoy's, and ten times that for the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const PAUSES: u32 = 10;
/// Envoy's.
const BUDGET: Share = Share::percent(20);
const BUDGET_MIN: u16 = 3;
/// As many requests as one server may lose at once, mostly.
const BUDGET_RESERVE: u16 = 100;
const QUEUE_LENGTH: usize = 100;
const QUEUE_TIMEOUT: Duration = Duration::from_secs(1);
/// Some requests have to go through for anything to be found out.
const ADAPTIVE_MIN: usize = 3;
const ADAPTIVE_MAX: usize = 1000;
pub(super) const DNS_REFRESH: Duration = Duration::from_secs(5);

/// What an upstream asks for.
pub(super) fn spec(
    name: &str,
    upstream: &config::Upstream,
    file: &File,
    surroundings: &Surroundings,
) -> Result<(Spec, Chosen), Vec<Diagnostic>> {
    let usual = || Component::bare(balance::DEFAULT);
    let policy = upstream.balance.clone().unwrap_or_else(usual);
    let policy = component::build(balance::NOUN, balance::KINDS, &policy, surroundings);
    let check = upstream
        .health_check
        .as_ref()
        .map(|written| component::build("health check", health::KINDS, written, surroundings));
    let source = upstream
        .discover
        .as_ref()
        .map(|written| component::build(discover::NOUN, discover::KINDS, written, surroundings));
    let mut wrong = Vec::new();
    let source = source.transpose().unwrap_or_else(|problems| {
        wrong.extend(problems);
        None
    });
    let policy = policy.map_err(|problems| wrong.extend(problems)).ok();
    let check = check.transpose().unwrap_or_else(|problems| {
        wrong.extend(problems);
        None
    });
    let (Some(policy), true) = (policy, wrong.is_empty()) else {
        return Err(wrong);
    };
    let (check, health_check) = check.map(|built| (built.made, built.effective)).unzip();
    let (source, discover) = source.map(|built| (built.made, built.effective)).unzip();
    let chosen = Chosen {
        discover,
        balance: policy.effective,
        health_check,
    };
    let spec = Spec {
        name: name.to_owned(),
        servers: upstream
            .servers
            .iter()
            .map(|server| ServerSpec::from(&server.value))
            .collect(),
        source,
        policy: policy.made,
        check,
        panic_below: upstream.panic_below.map(|share| share.value),
        slow_start: upstream
            .slow_start
            .map_or(Duration::ZERO, |span| span.get()),
        limits: limits(&upstream.limits),
        outlier_ejection: upstream
            .outlier_ejection
            .as_ref()
            .and_then(Switch::keys)
            .map(outliers),
        timeouts: timeouts(&upstream.timeouts, &file.timeouts),
        retry: retry(&upstream.retry, &file.retry),
        hedge: upstream.hedge.as_ref().map(|hedge| hedge.after.value),
        dns_refresh: upstream
            .dns_refresh
            .map_or(DNS_REFRESH, |refresh| refresh.get()),
    };
    Ok((spec, chosen))
}

/// None if nothing is limited.
fn limits(written: &config::UpstreamLimits) -> Option<Limits> {
    let queue = written.queue.as_ref().map(|queue| QueueLimits {
        length: number(queue.length).unwrap_or(QUEUE_LENGTH),
        timeout: queue.timeout.map_or(QUEUE_TIMEOUT, |span| span.get()),
    });
    let adaptive = written.adaptive.as_ref().map(|adaptive| {
        let (min, max) = (number(adaptive.min), number(adaptive.max));
        // One that is left out gives way.
        let most = max.unwrap_or(ADAPTIVE_MAX.max(min.unwrap_or(0)));
        Bounds {
            min: min.unwrap_or(ADAPTIVE_MIN.min(most)),
            max: most,
        }
    });
    let limits = Limits {
        all: Most {
            requests: number(written.requests),
            connections: number(written.connections),
        },
        server: Most {
            requests: number(written.server.requests),
            connections: number(written.server.connections),
        },
        queue,
        adaptive,
    };
    (limits != Limits::default()).then_some(limits)
}

fn number(written: Option<Spanned<u32>>) -> Option<usize> {
    usize::try_from(written?.value).ok()
}

fn outliers(written: &config::OutlierEjection) -> outlier::Bounds {
    let or = |written: Option<Spanned<config::Duration>>, otherwise| {
        written.map_or(otherwise, |written| written.get())
    };
    let rate = written.error_rate.as_ref().and_then(Switch::keys);
    let latency = written.latency.as_ref().and_then(Switch::keys);
    let time = or(written.time, outlier::TIME);
    outlier::Bounds {
        consecutive_failures: written
            .consecutive_failures
            .map_or(outlier::FAILURES, |number| number.value),
        error_rate: rate.map(|written| outlier::ErrorRate {
            above: written.above.map_or(outlier::SHARE, |share| share.value),
            requests: written
                .requests
                .map_or(outlier::REQUESTS, |number| number.value),
            over: or(written.over, outlier::OVER),
        }),
        latency: latency.map(|written| outlier::Latency {
            above: written.above.map_or(Factor::TRIPLE, |factor| factor.value),
            at_least: or(written.at_least, outlier::AT_LEAST),
            requests: written
                .requests
                .map_or(outlier::REQUESTS, |number| number.value),
            over: or(written.over, outlier::OVER),
        }),
        time,
        max_time: or(written.max_time, outlier::MAX_TIME.max(time)),
        max_ejected: written
            .max_ejected
            .map_or(outlier::SHARE, |share| share.value),
    }
}

/// What the upstream says, or else the file, or else we.
pub(super) fn timeouts(upstream: &config::Timeouts, file: &config::Timeouts) -> Timeouts {
    let ours = Timeouts {
        connect: CONNECT,
        first_byte: None,
        read: SILENCE,
        write: SILENCE,
        idle: IDLE,
        tunnel: TUNNEL,
        request: None,
    };
    override_timeouts(upstream, override_timeouts(file, ours))
}

pub(super) fn override_timeouts(written: &config::Timeouts, otherwise: Timeouts) -> Timeouts {
    let or = |written: Option<Spanned<config::Duration>>, otherwise| {
        written.map_or(otherwise, |written| written.get())
    };
    Timeouts {
        connect: or(written.connect, otherwise.connect),
        first_byte: written
            .first_byte
            .map(|written| written.get())
            .or(otherwise.first_byte),
        read: or(written.read, otherwise.read),
        write: or(written.write, otherwise.write),
        idle: or(written.idle, otherwise.idle),
        tunnel: or(written.tunnel, otherwise.tunnel),
        request: written
            .request
            .map(|written| written.get())
            .or(otherwise.request),
    }
}

/// What the upstream says, or else the file, or else we.
pub(super) fn retry(upstream: &config::Retry, file: &config::Retry) -> Retry {
    let statuses = upstream.statuses.as_ref().or(file.statuses.as_ref());
    let statuses = statuses.into_iter().flatten();
    let when = upstream.when.as_ref().or(file.when.as_ref());
    let attempts = upstream.attempts.or(file.attempts);
    let key = upstream.idempotency_key.or(file.idempotency_key);
    let share = upstream.budget.share.or(file.budget.share);
    let min = upstream.budget.min.or(file.budget.min);
    let reserve = upstream.budget.reserve.or(file.budget.reserve);
    Retry {
        attempts: attempts.map_or(ATTEMPTS, |attempts| attempts.value),
        when: when.cloned().unwrap_or_else(|| RETRIED.to_vec()),
        statuses: statuses.map(|status| status.value).collect(),
        idempotency_key: key.is_none_or(|key| key.value),
        backoff: backoff(&upstream.backoff, &file.backoff),
        budget: Budget {
            share: share.map_or(BUDGET, |share| share.value),
            min: min.map_or(BUDGET_MIN, |min| min.value),
            reserve: reserve.map_or(BUDGET_RESERVE, |reserve| reserve.value),
        },
    }
}

fn backoff(upstream: &config::Backoff, file: &config::Backoff) -> Backoff {
    let first = upstream.first.or(file.first);
    let first = first.map_or(FIRST_PAUSE, |first| first.get());
    let max = upstream.max.or(file.max).map(|max| max.get());
    let longest = Duration::from_millis(config::PAUSE_MAX);
    let usual = || first.saturating_mul(PAUSES).min(longest);
    Backoff {
        first,
        max: max.unwrap_or_else(usual),
    }
}
