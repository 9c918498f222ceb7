//! Upstreams: their policies and checks built, every default filled in.

use std::time::Duration;

use super::SILENCE;
use super::completed::Chosen;
use crate::component::{self, Surroundings};
use crate::config::{self, Component, Diagnostic, File, Spanned};
use crate::upstream::{ServerSpec, Spec, Timeouts, balance, discover, health};

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
