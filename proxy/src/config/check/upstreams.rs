//! Upstreams: servers that exist once, weights that mean something, and somebody who sends to them.

use std::collections::{HashMap, HashSet};

use super::Context;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::{Span, Spanned};
use crate::config::{Route, Upstream};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for (name, upstream) in context.file.upstreams.iter() {
        if upstream.servers.is_empty() && !context.broken_within("upstreams", name, "servers") {
            found.push(no_servers(context, name));
        }
        twice(name, upstream, found);
    }
    unused(context, found);
}

fn no_servers(context: &Context<'_>, name: &Spanned<String>) -> Diagnostic {
    let servers = context
        .root
        .get("upstreams")
        .and_then(|upstreams| upstreams.get(name))
        .and_then(|it| it.get("servers"));
    Diagnostic::error(
        code::NO_SERVERS,
        format!("upstream `{name}` has no servers: every request to it would be answered with 503"),
    )
    .at(servers.map_or(name.span, |servers| servers.span))
    .label("an empty list")
    .help("write at least one, such as `servers: [ \"127.0.0.1:5252\" ]`")
}

fn twice(name: &str, upstream: &Upstream, found: &mut Vec<Diagnostic>) {
    let mut seen: HashMap<_, Span> = HashMap::new();
    for server in &upstream.servers {
        let address = &server.address;
        if let Some(first) = seen.get(&address.value) {
            found.push(
                Diagnostic::error(
                    code::SERVER_TWICE,
                    format!("server `{address}` is twice in upstream `{name}`"),
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
