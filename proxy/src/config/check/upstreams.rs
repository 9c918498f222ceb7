//! Upstreams: servers that exist once, weights that mean something, and somebody who sends to them.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use super::{Context, outliers};
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::{Span, Spanned};
use crate::config::upstream::SLOW_START_MAX;
use crate::config::{Duration, Duty, Route, Server, Upstream};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for (name, upstream) in context.file.upstreams.iter() {
        one_source(context, name, upstream, found);
        twice(&format!("upstream `{name}`"), &upstream.servers, found);
        nowhere(&upstream.servers, found);
        tiers(&upstream.servers, found);
        ends(&upstream.servers, found);
        bounds(upstream, found);
        outliers::check(upstream, found);
        none_serves(name, upstream, found);
    }
    unused(context, found);
}

/// Servers of a list that stands by itself.
pub(in crate::config) fn listed(servers: &[Spanned<Server>], found: &mut Vec<Diagnostic>) {
    twice("the list", servers, found);
    tiers(servers, found);
    ends(servers, found);
}

/// Its servers are named, or somebody knows them.
fn one_source(
    context: &Context<'_>,
    name: &Spanned<String>,
    upstream: &Upstream,
    found: &mut Vec<Diagnostic>,
) {
    let list = context
        .root
        .get("upstreams")
        .and_then(|upstreams| upstreams.get(name))
        .and_then(|it| it.get("servers"));
    match (list, &upstream.discover) {
        (Some(list), Some(source)) => found.push(
            Diagnostic::error(
                code::ONE_OF_TWO,
                format!("upstream `{name}` has both `servers` and `discover`"),
            )
            .at(source.name.span.max(list.span))
            .label("one of them is enough")
            .related(source.name.span.min(list.span), "the other one"),
        ),
        (_, None)
            if upstream.servers.is_empty()
                && list.is_none_or(|_| !context.broken_within("upstreams", name, "servers"))
                && (list.is_some() || !context.is_wrong_within("upstreams", name)) =>
        {
            found.push(no_servers(name, list.map(|list| list.span)));
        }
        _ => {}
    }
}

fn no_servers(name: &Spanned<String>, list: Option<Span>) -> Diagnostic {
    Diagnostic::error(
        code::NO_SERVERS,
        format!("upstream `{name}` has no servers: every request to it would be answered with 503"),
    )
    .at(list.unwrap_or(name.span))
    .label(match list {
        Some(_) => "an empty list",
        None => "expected `servers` or `discover`",
    })
    .help("write at least one, such as `servers: [ \"127.0.0.1:5252\" ]`")
}

fn twice(place: &str, servers: &[Spanned<Server>], found: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<_, Span> = HashMap::new();
    for server in servers {
        let address = &server.address;
        if let Some(first) = seen.get(&address.value) {
            found.push(
                Diagnostic::error(
                    code::SERVER_TWICE,
                    format!("server `{address}` is twice in {place}"),
                )
                .at(address.span)
                .label("again here")
                .related(*first, "first here")
                .help("give it a `weight` to send it a larger share"),
            );
        } else {
            seen.insert(&address.value, address.span);
        }
    }
}

/// A list that is found out later may name such an address: it is left out there, and spoils no other.
fn nowhere(servers: &[Spanned<Server>], found: &mut Vec<Diagnostic>) {
    for address in servers.iter().map(|server| &server.address) {
        if let Err(complaint) = address.value.clone().somewhere() {
            found.push(complaint.into_diagnostic().at(address.span));
        }
    }
}

/// A backup has its tier.
fn tiers(servers: &[Spanned<Server>], found: &mut Vec<Diagnostic>) {
    for server in servers {
        let Some(priority) = server.priority.filter(|_| server.is_backup()) else {
            continue;
        };
        let backup = server.backup.map_or(server.span, |backup| backup.span);
        let message = format!(
            "server `{}` has a `priority` and is a backup",
            server.address
        );
        found.push(
            Diagnostic::error(code::ONE_OF_TWO, message)
                .at(priority.span)
                .label("one of the two")
                .related(backup, "backups come behind every `priority`"),
        );
    }
}

/// What ends has to be there.
fn ends(servers: &[Spanned<Server>], found: &mut Vec<Diagnostic>) {
    for server in servers {
        if let Some(until) = server.until.filter(|_| server.state == Duty::Serve) {
            let message = format!(
                "server `{}` has an `until` and no `state` that ends",
                server.address
            );
            found.push(
                Diagnostic::error(code::MISSING_KEY, message)
                    .at(until.span)
                    .label("the end of what?")
                    .help("add `state: drain` or `state: disable`"),
            );
        }
    }
}

fn bounds(upstream: &Upstream, found: &mut Vec<Diagnostic>) {
    if let Some(share) = upstream.panic_below.filter(|share| share.is_none()) {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, "`panic_below` is `0%`: that is never")
                .at(share.span)
                .label("expected more than nothing")
                .help("leave the key out"),
        );
    }
    let most = Duration::from_millis(SLOW_START_MAX);
    if let Some(span) = upstream.slow_start.filter(|span| span.value > most) {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                format!("`slow_start` is `{}`", span.value),
            )
            .at(span.span)
            .label(format!("expected at most `{most}`")),
        );
    }
}

fn none_serves(name: &Spanned<String>, upstream: &Upstream, found: &mut Vec<Diagnostic>) {
    let mut servers = upstream.servers.iter();
    let now = SystemTime::now();
    let has_ended = |server: &Server| server.until.is_some_and(|until| until.get() <= now);
    let serves = |server: &Spanned<Server>| server.state == Duty::Serve || has_ended(server);
    if upstream.servers.is_empty() || servers.any(serves) {
        return;
    }
    found.push(
        Diagnostic::warning(
            code::NONE_SERVES,
            format!("no server of upstream `{name}` gets requests: each is answered with 503"),
        )
        .at(name.span)
        .label("all of them drain or are disabled"),
    );
}

/// Nothing is said as long as routes are missing because of an error, or lead nowhere: one of them may be meant.
fn unused(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let routes = &context.file.routes;
    let leads_nowhere = |route: &Route| {
        route.upstreams().next().is_none() && route.redirect.is_none() && route.respond.is_none()
    };
    if routes.iter().any(|(_, route)| leads_nowhere(route)) {
        return;
    }
    if context.incomplete || routes.written().count() != routes.len() || routes.is_empty() {
        return;
    }
    let used: HashSet<&str> = routes
        .iter()
        .flat_map(|(_, route)| route.upstreams())
        .map(|name| name.value.as_str())
        .collect();
    let known: HashSet<&str> = context
        .file
        .upstreams
        .written()
        .map(|name| name.value.as_str())
        .collect();
    if !used.is_subset(&known) {
        return;
    }
    for name in context
        .file
        .upstreams
        .written()
        .filter(|name| !used.contains(name.value.as_str()))
    {
        found.push(
            Diagnostic::warning(
                code::UPSTREAM_UNUSED,
                format!("no route leads to upstream `{name}`"),
            )
            .at(name.span)
            .label("nobody sends to it"),
        );
    }
}
