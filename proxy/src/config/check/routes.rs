//! Routes: they lead somewhere, their conditions can hold, and no two are the same.

mod ends;

use std::collections::HashMap;
use std::rc::Rc;

use super::Context;
use crate::config::address::check_name;
use crate::config::code::{self, Code};
use crate::config::diagnostic::Diagnostic;
use crate::config::nearest::{listed, nearest};
use crate::config::spanned::Spanned;
use crate::config::{Match, OneOrMany, PATH_MAX, Route};

/// Longer lists of names are cut: nobody reads them.
const NAMES_MAX: usize = 12;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let routes = &context.file.routes;
    if routes.written().next().is_none() && !context.incomplete {
        found.push(none(context));
    }
    for (name, route) in routes.iter() {
        ends::check(context, name, route, found);
        for written in route.upstreams() {
            upstream(context, written, found);
        }
        matches(context, name, &route.matches, found);
    }
    same(context, found);
}

fn none(context: &Context<'_>) -> Diagnostic {
    let diagnostic = Diagnostic::warning(
        code::NO_ROUTES,
        "no routes: every request is answered with 404",
    )
    .help("add one, such as `site: { match: { path_prefix: / }, upstream: api }`");
    match context.section("routes") {
        Some(span) => diagnostic.at(span).label("nothing in here"),
        None => diagnostic,
    }
}

fn upstream(context: &Context<'_>, written: &Spanned<String>, found: &mut Vec<Diagnostic>) {
    let known = || {
        context
            .file
            .upstreams
            .written()
            .map(|name| name.value.as_str())
            .filter(|name| !name.is_empty())
    };
    let wanted = written.value.as_str();
    let unreadable = context.is_partial || (context.incomplete && known().next().is_none());
    if unreadable || known().any(|name| name == wanted) {
        return;
    }
    let diagnostic = Diagnostic::error(
        code::UNKNOWN_UPSTREAM,
        format!("there is no upstream `{wanted}`"),
    )
    .at(written.span)
    .label("leads nowhere")
    .did_you_mean(nearest(wanted, known()));
    let diagnostic = if wanted.contains([':', '/']) {
        diagnostic
            .help("a route names one of `upstreams`: addresses are written there, as `servers`")
    } else {
        diagnostic
    };
    let count = known().count();
    found.push(match count {
        0 => diagnostic.note("the file has no upstreams"),
        1 => diagnostic.note(format!("the only upstream is {}", listed(known()))),
        2..=NAMES_MAX => diagnostic.note(format!("known upstreams are {}", listed(known()))),
        _ => diagnostic.note(format!(
            "known upstreams are {} and {} more",
            names(known()),
            count - NAMES_MAX
        )),
    });
}

fn names<'n>(known: impl Iterator<Item = &'n str>) -> String {
    known
        .take(NAMES_MAX)
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// What was written, and all that is written within.
fn matches(
    context: &Context<'_>,
    name: &Spanned<String>,
    written: &Match,
    found: &mut Vec<Diagnostic>,
) {
    path(&format!("route `{name}`"), written, found);
    hosts(context, name, written, found);
    let is_empty = written.client.as_ref().is_some_and(OneOrMany::is_empty);
    if is_empty && !context.is_wrong_within("routes", name) {
        found.push(
            Diagnostic::error(
                code::NEVER_MATCHES,
                format!("route `{name}` can never match"),
            )
            .at(name.span)
            .label("an empty list: nothing is one of none"),
        );
    }
    let not = written.not.iter().flatten();
    for inner in not.chain(written.any.iter().flatten()) {
        matches(context, name, inner, found);
    }
}

/// What is wrong with its paths and hosts, wherever it stands.
pub(crate) fn syntax(subject: &str, written: &Match, found: &mut Vec<Diagnostic>) {
    path(subject, written, found);
    found.extend(written.host.iter().flatten().filter_map(host_syntax));
    let not = written.not.iter().flatten();
    for inner in not.chain(written.any.iter().flatten()) {
        syntax(subject, inner, found);
    }
}

fn path(subject: &str, matches: &Match, found: &mut Vec<Diagnostic>) {
    let paths = [
        ("path", &matches.path),
        ("path_prefix", &matches.path_prefix),
        ("path_regex", &matches.path_regex),
    ];
    let mut written: Vec<(&str, &Spanned<String>)> = paths
        .iter()
        .filter_map(|(key, path)| path.as_ref().map(|path| (*key, path)))
        .collect();
    for (key, path) in &written {
        if *key != "path_regex" {
            let problem = path_syntax(key, path);
            found.extend(problem.map(|problem| match without_query(key, path) {
                Some(help) => problem.help(help),
                None => problem,
            }));
        }
    }
    written.sort_by_key(|(_, path)| path.span);
    if let [(first, place), (second, other), ..] = written.as_slice() {
        found.push(
            Diagnostic::error(code::ONE_OF_TWO, format!("{subject} has both `{first}` and `{second}`"))
                .at(other.span)
                .label("one of them is enough")
                .related(place.span, "the other one")
                .help(
                    "`path` takes exactly this path, `path_prefix` takes it and everything below, `path_regex` is for the rest",
                ),
        );
    }
}

/// Where the rest of a URL goes that a match has after its path.
fn without_query(key: &str, path: &str) -> Option<String> {
    let at = path.find(['?', '#']).filter(|_| path.starts_with('/'))?;
    let (only, rest) = path.split_at(at);
    let query = rest.strip_prefix('?');
    let single = query.and_then(|query| query.split_once('='));
    Some(match single {
        Some((name, value)) if !value.contains(['&', '=', '#']) => {
            format!("write `{key}: {only}` and `query: {{ {name}: {value} }}`")
        }
        _ if query.is_some() => format!("write `{key}: {only}`; parameters go into `query`"),
        _ => format!("write `{key}: {only}`: clients keep the fragment to themselves"),
    })
}

fn path_syntax(key: &str, path: &Spanned<String>) -> Option<Diagnostic> {
    let coded = |code: Code, message: String, label: &str| {
        Some(Diagnostic::error(code, message).at(path.span).label(label))
    };
    let error = |message: String, label: &str| coded(code::PATH, message, label);
    if let Some((_, rest)) = path.split_once("://") {
        let only = rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/");
        let help = format!("write `{only}`; the host goes into `host`");
        return coded(
            code::URL,
            format!("`{key}` is a URL"),
            "expected only the path",
        )
        .map(|diagnostic| diagnostic.help(help));
    }
    if !path.starts_with('/') {
        let expression = path.trim_start_matches(['~', '*', ' ']);
        let help = match expression.starts_with('^') {
            true => format!("an expression is a `path_regex`: write `path_regex: {expression}`"),
            false => format!("write `/{}`", path.value),
        };
        return error(
            format!("`{key}` does not begin with `/`"),
            "a path begins with `/`",
        )
        .map(|diagnostic| diagnostic.help(help));
    }
    if let Some(c) = path.chars().find(|c| matches!(c, '?' | '#')) {
        let what = if c == '?' { "a query" } else { "a fragment" };
        return error(
            format!("`{key}` contains {what}"),
            "only the path is compared here",
        );
    }
    if path.ends_with("/*") || path.ends_with("/**") {
        let help = format!(
            "write `path_prefix: {}`",
            path.trim_end_matches('*').trim_end_matches('/')
        );
        return coded(
            code::PATH_WILDCARD,
            format!("`{key}` has no wildcards"),
            "`*` would be taken literally",
        )
        .map(|diagnostic| {
            diagnostic.help(if help.ends_with(' ') {
                format!("{help}/")
            } else {
                help
            })
        });
    }
    if path.len() > PATH_MAX {
        return error(
            format!("`{key}` is longer than {PATH_MAX} bytes"),
            "no request has such a path",
        );
    }
    match path.chars().find(|c| c.is_whitespace() || c.is_control()) {
        Some(_) => error(
            format!("`{key}` contains a space"),
            "a request's path never does; write `%20`",
        ),
        None => None,
    }
}

fn hosts(
    context: &Context<'_>,
    route: &Spanned<String>,
    matches: &Match,
    found: &mut Vec<Diagnostic>,
) {
    let Some(hosts) = &matches.host else { return };
    if hosts.is_empty() && !broken_hosts(context, route) {
        found.push(
            Diagnostic::error(
                code::NEVER_MATCHES,
                format!("route `{route}` has an empty list of hosts"),
            )
            .at(route.span)
            .label("it could never match")
            .help("remove `host` to take every host"),
        );
    }
    for host in hosts {
        found.extend(host_syntax(host));
    }
}

fn broken_hosts(context: &Context<'_>, route: &str) -> bool {
    context.broken_within("routes", route, "match")
}

fn host_syntax(host: &Spanned<String>) -> Option<Diagnostic> {
    let coded = |code: Code, message: String, label: &str| {
        Diagnostic::error(code, message).at(host.span).label(label)
    };
    let error = |message: String, label: &str| coded(code::HOST, message, label);
    let written = host.value.as_str();
    if let Some((_, rest)) = written.split_once("://") {
        let bare = rest.split(['/', ':']).next().unwrap_or_default();
        return Some(
            coded(
                code::URL,
                format!("`{written}` is a URL"),
                "expected only the host",
            )
            .help(format!("write `{bare}`")),
        );
    }
    if let Some((bare, path)) = written.split_once('/') {
        let help = format!("write `host: {bare}` and `path_prefix: /{path}`");
        return Some(
            error(
                format!("the host `{written}` has a path in it"),
                "expected only the host",
            )
            .help(help),
        );
    }
    if written.parse::<std::net::IpAddr>().is_ok() {
        return None;
    }
    if let Some((bare, port)) = written.rsplit_once(':')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        let help = format!("write `{bare}`: a host matches whatever port the client used");
        return Some(
            error(
                format!("the host `{written}` has a port in it"),
                "without the port",
            )
            .help(help),
        );
    }
    let name = written.strip_prefix("*.").unwrap_or(written);
    if name.contains('*') {
        let help = "`*.example.com` takes every name below `example.com`";
        return Some(
            error(
                format!("`*` is misplaced in `{written}`"),
                "only `*.` in front is understood",
            )
            .help(help),
        );
    }
    match check_name(name) {
        Err(complaint) => Some(complaint.into_diagnostic().at(host.span)),
        Ok(()) if name.chars().any(|c| c.is_ascii_uppercase()) => Some(
            Diagnostic::warning(
                code::HOST_CASE,
                format!("the host `{written}` is not in lower case"),
            )
            .at(host.span)
            .label("compared in lower case")
            .help(format!("write `{}`", written.to_ascii_lowercase())),
        ),
        Ok(()) => None,
    }
}

/// Two routes that take the same requests: by the rules of precedence the name decides, which nobody means.
fn same(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let mut routes: Vec<_> = context.file.routes.iter().collect();
    routes.sort_by(|(one, _), (other, _)| one.value.cmp(&other.value));
    let mut seen: HashMap<(String, Claim), &Spanned<String>> = HashMap::new();
    for (name, route) in routes {
        if broken_hosts(context, name) {
            continue;
        }
        let claims = claims(route);
        if let Some(first) = claims.iter().find_map(|claim| seen.get(claim)) {
            found.push(equal(first, name));
        }
        for claim in claims {
            seen.entry(claim).or_insert(name);
        }
    }
}

fn equal(winner: &Spanned<String>, loser: &Spanned<String>) -> Diagnostic {
    Diagnostic::warning(
        code::SAME_MATCH,
        format!("routes `{winner}` and `{loser}` match the same requests"),
    )
    .at(loser.span)
    .label("not asked for these")
    .related(
        winner.span,
        "this one wins: its name comes first in the alphabet",
    )
}

/// What must be equal, beside the host, for two routes to be in each other's way: path, priority, and the rest.
type Claim = Rc<(String, i32, Match)>;

/// One for each host.
fn claims(route: &Route) -> Vec<(String, Claim)> {
    let matches = &route.matches;
    let path = match (&matches.path, &matches.path_prefix, &matches.path_regex) {
        (Some(path), _, _) => format!("={}", path.value),
        (None, Some(prefix), _) => prefix.trim_end_matches('/').to_owned(),
        (None, None, Some(pattern)) => format!("~{}", pattern.value),
        (None, None, None) => String::new(),
    };
    let rest = Match {
        host: None,
        path: None,
        path_prefix: None,
        path_regex: None,
        ..matches.clone()
    };
    let priority = route.priority.map_or(0, |priority| priority.value);
    let claim = Rc::new((path, priority, rest));
    match &matches.host {
        Some(hosts) => hosts
            .iter()
            .map(|host| (host.to_ascii_lowercase(), Rc::clone(&claim)))
            .collect(),
        None => vec![(String::new(), claim)],
    }
}
