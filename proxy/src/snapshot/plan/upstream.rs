//! Upstreams: their policies and checks built, every default filled in.

use std::time::Duration;

use super::SILENCE;
use super::completed::Chosen;
use crate::component::{self, Surroundings};
use crate::config::{self, Component, Diagnostic, Factor, File, Spanned, Switch};
use crate::upstream::outlier::{self, Bounds};
use crate::upstream::standing::Duty;
use crate::upstream::{Host, Seat, ServerSpec, Spec, Timeouts, balance, health};

const CONNECT: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(60);
/// HAProxy's documentation of `timeout tunnel` suggests it.
const TUNNEL: Duration = Duration::from_secs(3600);
pub(super) const ATTEMPTS: u8 = 3;
const DNS_REFRESH: Duration = Duration::from_secs(5);

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
    let mut wrong = Vec::new();
    let policy = policy.map_err(|problems| wrong.extend(problems)).ok();
    let check = check.transpose().unwrap_or_else(|problems| {
        wrong.extend(problems);
        None
    });
    let (Some(policy), true) = (policy, wrong.is_empty()) else {
        return Err(wrong);
    };
    let (check, health_check) = check.map(|built| (built.made, built.effective)).unzip();
    let chosen = Chosen {
        balance: policy.effective,
        health_check,
    };
    let spec = Spec {
        name: name.to_owned(),
        servers: upstream
            .servers
            .iter()
            .map(|server| server_spec(server))
            .collect(),
        policy: policy.made,
        check,
        panic_below: upstream.panic_below.map(|share| share.value),
        slow_start: upstream
            .slow_start
            .map_or(Duration::ZERO, |span| span.get()),
        outlier_ejection: upstream
            .outlier_ejection
            .as_ref()
            .and_then(Switch::keys)
            .map(outliers),
        timeouts: timeouts(&upstream.timeouts, &file.timeouts),
        attempts: upstream
            .retry
            .attempts
            .or(file.retry.attempts)
            .map_or(ATTEMPTS, |attempts| attempts.value),
        dns_refresh: upstream
            .dns_refresh
            .map_or(DNS_REFRESH, |refresh| refresh.get()),
    };
    Ok((spec, chosen))
}

fn server_spec(server: &config::Server) -> ServerSpec {
    let host = match &server.address.host {
        config::Host::Ip(ip) => Host::Ip(*ip),
        config::Host::Name(name) => Host::Name(name.clone()),
    };
    ServerSpec {
        host,
        port: server.address.port,
        seat: Seat {
            weight: server.weight.value,
            priority: match server.is_backup() {
                true => Seat::BACKUP,
                false => server.priority.map_or(0, |priority| priority.value),
            },
            duty: match server.state {
                config::Duty::Serve => Duty::Serving,
                config::Duty::Drain => Duty::Draining,
                config::Duty::Disable => Duty::Disabled,
            },
        },
    }
}

fn outliers(written: &config::OutlierEjection) -> Bounds {
    let or = |written: Option<Spanned<config::Duration>>, otherwise| {
        written.map_or(otherwise, |written| written.get())
    };
    let rate = written.error_rate.as_ref().and_then(Switch::keys);
    let latency = written.latency.as_ref().and_then(Switch::keys);
    let time = or(written.time, outlier::TIME);
    Bounds {
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
        read: SILENCE,
        write: SILENCE,
        idle: IDLE,
        tunnel: TUNNEL,
    };
    override_timeouts(upstream, override_timeouts(file, ours))
}

pub(super) fn override_timeouts(written: &config::Timeouts, otherwise: Timeouts) -> Timeouts {
    let or = |written: Option<Spanned<config::Duration>>, otherwise| {
        written.map_or(otherwise, |written| written.get())
    };
    Timeouts {
        connect: or(written.connect, otherwise.connect),
        read: or(written.read, otherwise.read),
        write: or(written.write, otherwise.write),
        idle: or(written.idle, otherwise.idle),
        tunnel: or(written.tunnel, otherwise.tunnel),
    }
}
