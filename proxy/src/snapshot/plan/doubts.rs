//! What a file can be used with and its author probably does not want. Only a file without errors is looked at: what seems
//! doubtful in another one may be a consequence of what is wrong there.

mod inert;
mod secrets;

use std::collections::HashSet;

use super::Plan;
use crate::config::{Diagnostic, Loaded, Match, Route, Spanned, code, counted};
use crate::route::cover::Hidden;
use crate::route::simpler::simpler;

/// Of routes that can never match, so many are shown: mostly one route hides them all.
const HIDDEN_MAX: usize = 20;

/// Of the routes that hide another one, so many are shown.
const HIDING_MAX: usize = 3;

/// All of it, in no order.
pub(super) fn doubts(loaded: &Loaded<Plan>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    hidden(loaded, &mut found);
    for (_, route) in loaded.file.routes.iter() {
        expressions(&route.matches, &mut found);
    }
    unchecked(loaded, &mut found);
    inert::check(loaded, &mut found);
    unused(loaded, &mut found);
    secrets::check(loaded, &mut found);
    found
}

/// Routes that are never asked. Of two that match the same requests, the file's check has said so.
fn hidden(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let plan = &loaded.made;
    let names: Vec<&str> = plan
        .routes
        .iter()
        .map(|route| route.name.as_str())
        .collect();
    let hidden = plan.table.hidden(&names);
    if hidden.is_empty() {
        return;
    }
    let written: Vec<&Spanned<String>> = loaded.file.routes.iter().map(|(name, _)| name).collect();
    let routes = loaded.file.routes.iter();
    let priority = |route: &Route| route.priority.map_or(0, |priority| priority.value);
    let priorities: Vec<i32> = routes.map(|(_, route)| priority(route)).collect();
    let mut all: Vec<Diagnostic> = hidden
        .iter()
        .filter_map(|hidden| never(hidden, &written, &priorities))
        .filter(|one| !is_known(one, &loaded.warnings))
        .collect();
    let more = all.len().saturating_sub(HIDDEN_MAX);
    all.sort_by_key(|one| one.span);
    all.truncate(HIDDEN_MAX);
    found.append(&mut all);
    if more > 0 {
        found.push(Diagnostic::warning(
            code::ROUTE_HIDDEN,
            format!("{} more can never match", counted(more, "route")),
        ));
    }
}

/// None if a position leads nowhere, which cannot be.
fn never(hidden: &Hidden, names: &[&Spanned<String>], priorities: &[i32]) -> Option<Diagnostic> {
    let name = names.get(hidden.route)?;
    let by: Vec<&Spanned<String>> = hidden
        .by
        .iter()
        .filter_map(|by| names.get(by.route).copied())
        .collect();
    let listed = match by.as_slice() {
        [one] => format!("`{one}`"),
        [one, other] => format!("`{one}` and `{other}`"),
        [one, others @ ..] => format!("`{one}` and {}", counted(others.len(), "other")),
        [] => return None,
    };
    let verb = if by.len() == 1 { "takes" } else { "take" };
    let mut diagnostic = Diagnostic::warning(
        code::ROUTE_HIDDEN,
        format!("route `{name}` can never match"),
    )
    .at(name.span)
    .label(format!("{listed} {verb} all its requests first"));
    for (name, by) in by.iter().zip(&hidden.by).take(HIDING_MAX) {
        diagnostic = diagnostic.related(name.span, by.why.clone());
    }
    let highest = hidden.by.iter().filter_map(|by| priorities.get(by.route));
    let highest = highest.max().copied().unwrap_or_default();
    let above = highest.checked_add(1);
    let above = above.map(|_| format!(" give `{name}` a `priority` above {highest},"));
    Some(diagnostic.help(format!(
        "narrow {listed},{} or remove `{name}`",
        above.unwrap_or_default()
    )))
}

/// Whether the same is said already: two routes match the same requests.
fn is_known(never: &Diagnostic, warnings: &[Diagnostic]) -> bool {
    let known = warnings
        .iter()
        .filter(|one| one.code == code::SAME_MATCH && one.span == never.span);
    let winners: HashSet<_> = known
        .flat_map(|one| &one.related)
        .map(|(at, _)| at)
        .collect();
    never.related.iter().all(|(at, _)| winners.contains(at))
}

fn expressions(written: &Match, found: &mut Vec<Diagnostic>) {
    found.extend(written.path_regex.as_ref().and_then(needless));
    let not = written.not.iter().flatten();
    for inner in not.chain(written.any.iter().flatten()) {
        expressions(inner, found);
    }
}

fn needless(written: &Spanned<String>) -> Option<Diagnostic> {
    let simpler = simpler(written)?;
    let (key, path) = (simpler.key, &simpler.path);
    // What ends a word of YAML wants quotes.
    let suggested = if path.contains([',', ':']) {
        format!("{key}: \"{path}\"")
    } else {
        format!("{key}: {path}")
    };
    let label = match key {
        "path" => "one path, and nothing else".to_owned(),
        _ if path == "/" => "every path".to_owned(),
        _ => format!("`{path}` and what follows"),
    };
    let diagnostic = Diagnostic::warning(
        code::REGEX_NEEDLESS,
        format!("a `path_regex` where `{key}` would do"),
    )
    .at(written.span)
    .label(label)
    .help(format!("write `{suggested}`"));
    let diagnostic = match simpler.differs {
        Some(differs) => diagnostic.note(differs),
        None => diagnostic,
    };
    Some(if key == "path_prefix" {
        diagnostic.note("an expression is asked before every prefix, a prefix after the longer ones: `tidegate explain` shows who takes a request")
    } else {
        diagnostic
    })
}

/// Upstreams of several servers of which nobody asks whether they are well. Of one that nobody sends to, that is said.
fn unchecked(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let routes = loaded.file.routes.iter();
    let used: HashSet<&str> = routes
        .flat_map(|(_, route)| route.upstreams())
        .map(|name| name.value.as_str())
        .collect();
    let upstreams = loaded.file.upstreams.iter().zip(&loaded.made.upstreams);
    for ((name, upstream), spec) in upstreams {
        // Who fails is out for a while also without being probed.
        let is_watched = upstream.health_check.is_some() || spec.outlier_ejection.is_some();
        let is_one = upstream.servers.len() < 2 && upstream.discover.is_none();
        let is_sound = is_watched || is_one;
        if is_sound || !used.contains(name.value.as_str()) {
            continue;
        }
        let price = match spec.retry.attempts {
            1 => "each request to it fails: `retry` allows one attempt",
            _ => "each request to it costs a retry",
        };
        found.push(
            Diagnostic::warning(
                code::NO_HEALTH_CHECK,
                format!("upstream `{name}` has several servers and no health check"),
            )
            .at(name.span)
            .label("a server that is down keeps getting its share")
            .help("write `health_check: { http: { path: /health } }` with a path that they answer, or `health_check: tcp`")
            .note(price),
        );
    }
}

/// Filters that have a name and are in no route.
fn unused(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let routes = loaded.file.routes.iter();
    let used: HashSet<&str> = routes
        .flat_map(|(_, route)| &route.filters)
        .map(|filter| filter.name.value.as_str())
        .collect();
    for (name, _) in loaded.file.filters.iter() {
        if !used.contains(name.value.as_str()) {
            found.push(
                Diagnostic::warning(
                    code::FILTER_UNUSED,
                    format!("no route uses the filter `{name}`"),
                )
                .at(name.span)
                .label("it never runs")
                .help(format!("add it to a route: `filters: [ {name} ]`")),
            );
        }
    }
}
