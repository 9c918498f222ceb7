//! Keys of an upstream that change nothing beside the others, and states that have ended.

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use http::HeaderMap;

use super::super::Plan;
use super::super::upstream::{DNS_REFRESH, retry};
use crate::config::nearest::listed;
use crate::config::{self, Diagnostic, Host, Loaded, Span, code};
use crate::upstream::Spec;
use crate::upstream::balance::Request;
use crate::upstream::retry::Retry;

pub(super) fn check(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    retries(loaded, found);
    let upstreams = loaded.file.upstreams.iter().zip(&loaded.made.upstreams);
    for ((name, upstream), spec) in upstreams {
        for server in &upstream.servers {
            ended(server, found);
        }
        let is_fixed = upstream.discover.is_none() && upstream.servers.iter().all(has_address);
        let mut inert = |key: &str, place: Span, why: &str| {
            let message = format!("`{key}` of upstream `{name}` changes nothing: {why}");
            found.push(
                Diagnostic::warning(code::NO_EFFECT, message)
                    .at(place)
                    .label("it can be left out"),
            );
        };
        // Who writes the default, as `tidegate print` does, wants nothing by it.
        let refresh = upstream.dns_refresh.filter(|it| it.get() != DNS_REFRESH);
        if let Some(refresh) = refresh.filter(|_| is_fixed) {
            inert(
                "dns_refresh",
                refresh.span,
                "its servers have addresses, and no names",
            );
        }
        let is_watched = spec.check.is_some() || spec.outlier_ejection.is_some();
        if let Some(share) = upstream.panic_below.filter(|_| !is_watched) {
            let why = "without `health_check` and `outlier_ejection` all servers are up";
            inert("panic_below", share.span, why);
        }
        if let (Some(share), Some(bounds), None) =
            (upstream.panic_below, &spec.outlier_ejection, &spec.check)
            && is_fixed
            && upstream.servers.iter().all(is_usual)
        {
            let servers = upstream.servers.len();
            let least = servers - bounds.room(servers);
            if servers > 1 && share.of(servers) < least {
                let why = format!("`outlier_ejection` leaves {least} of its servers up");
                inert("panic_below", share.span, &why);
            }
        }
        let limits = &upstream.limits;
        if let (Some(one), Some(all)) = (limits.server.requests, limits.requests)
            && one.value >= all.value
        {
            let why = "`limits.requests` is no more, for all of its servers";
            inert("limits.server.requests", one.span, why);
        }
        let budget = spec.retry.budget;
        let has_budget = budget.min > 0 || !budget.share.is_none();
        if let Some(hedge) = upstream.hedge.as_ref().filter(|_| !has_budget) {
            let why = "`budget` of `retry` has no place, and it takes one each time";
            inert("hedge", hedge.after.span, why);
        }
        let slow_start = upstream.slow_start.filter(|it| !it.get().is_zero());
        if is_fixed && upstream.servers.len() == 1 {
            let why = "it has one server";
            if let Some(hedge) = upstream.hedge.as_ref().filter(|_| has_budget) {
                inert("hedge", hedge.after.span, why);
            }
            if let Some(span) = slow_start {
                inert("slow_start", span.span, why);
            }
            if spec.outlier_ejection.is_some() {
                inert("outlier_ejection", name.span, why);
            }
        } else if let Some(span) = slow_start.filter(|_| has_always_a_key(spec)) {
            let why = "by its `balance` every request has a server of its own";
            inert("slow_start", span.span, why);
        }
    }
}

/// Keys of `retry` where it allows one attempt. What the section above says, too, is wanted by nobody.
fn retries(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let ours = retry(&config::Retry::default(), &config::Retry::default());
    let file = &loaded.file.retry;
    let usual = retry(&config::Retry::default(), file);
    let specs = &loaded.made.upstreams;
    let is_one = |spec: &Spec| spec.retry.attempts == 1;
    if let Some(attempts) = file.attempts
        && !specs.is_empty()
        && specs.iter().all(is_one)
    {
        let is_hedged = specs.iter().any(|spec| spec.hedge.is_some());
        let keys = differing(&usual, &ours, is_hedged);
        found.extend(one_attempt(&keys, "`retry`", attempts.span));
    }
    let upstreams = loaded.file.upstreams.iter().zip(specs);
    for ((name, upstream), spec) in upstreams.filter(|(_, spec)| is_one(spec)) {
        let keys = differing(&spec.retry, &usual, spec.hedge.is_some());
        let place = upstream.retry.attempts.map_or(name.span, |it| it.span);
        found.extend(one_attempt(
            &keys,
            &format!("`retry` of upstream `{name}`"),
            place,
        ));
    }
}

/// Those that are about further attempts. A hedge asks two of them.
fn differing(retry: &Retry, other: &Retry, is_hedged: bool) -> Vec<&'static str> {
    let keys = [
        ("when", retry.when != other.when),
        ("statuses", retry.statuses != other.statuses),
        (
            "idempotency_key",
            !is_hedged && retry.idempotency_key != other.idempotency_key,
        ),
        ("backoff", retry.backoff != other.backoff),
        ("budget", !is_hedged && retry.budget != other.budget),
    ];
    let keys = keys.into_iter().filter(|(_, differs)| *differs);
    keys.map(|(key, _)| key).collect()
}

fn one_attempt(keys: &[&str], of: &str, place: Span) -> Option<Diagnostic> {
    let change = match keys {
        [] => return None,
        [_] => "changes",
        _ => "change",
    };
    let keys = listed(keys.iter().copied());
    let message = format!("{keys} of {of} {change} nothing: there is one attempt");
    let problem = Diagnostic::warning(code::NO_EFFECT, message).at(place);
    Some(problem.label("nothing is sent again"))
}

fn ended(server: &config::Server, found: &mut Vec<Diagnostic>) {
    let now = SystemTime::now();
    if let Some(until) = server.until.filter(|until| until.get() <= now) {
        let message = format!(
            "the state of server `{}` has ended: it serves",
            server.address
        );
        found.push(
            Diagnostic::warning(code::STATE_ENDED, message)
                .at(until.span)
                .label("in the past")
                .help("remove `state` and `until`"),
        );
    }
}

fn has_address(server: &config::Spanned<config::Server>) -> bool {
    matches!(server.address.host, Host::Ip(_))
}

/// In the first tier, and there.
fn is_usual(server: &config::Spanned<config::Server>) -> bool {
    let is_first = server.priority.is_none_or(|priority| priority.value == 0);
    is_first && !server.is_backup() && server.state == config::Duty::Serve
}

/// Whether a request decides on its server, whatever it is like.
fn has_always_a_key(spec: &Spec) -> bool {
    let bare = Request {
        headers: &HeaderMap::new(),
        path: "/",
        query: None,
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
    };
    spec.policy.key(&bare).is_some()
}
