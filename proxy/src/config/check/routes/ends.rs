//! Where a route ends: at one place, and a possible one.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Context, path_syntax};
use crate::config::address::check_name;
use crate::config::code::{self, Code};
use crate::config::diagnostic::Diagnostic;
use crate::config::mirror::COPY_MAX;
use crate::config::respond::BODILESS;
use crate::config::spanned::{Span, Spanned};
use crate::config::split::WEIGHT_MAX;
use crate::config::{Mirror, Redirect, Respond, Route, Split, sends_nobody};

/// The keys of which a route has one.
const ENDS: &str = "`upstream`, `split`, `redirect` and `respond`";

pub(super) fn check(
    context: &Context<'_>,
    name: &Spanned<String>,
    route: &Route,
    found: &mut Vec<Diagnostic>,
) {
    let is_whole = !context.is_wrong_within("routes", name);
    one(name, route, is_whole, found);
    if let Some(split) = &route.split {
        shares(name, split, is_whole, found);
    }
    if let Some(sticky) = route.sticky.as_ref().filter(|_| route.split.is_none()) {
        found.push(
            Diagnostic::error(
                code::STICKY,
                format!("route `{name}` has nothing to be sticky to"),
            )
            .at(sticky.span)
            .label("only a `split` can be"),
        );
    }
    if let Some(mirror) = &route.mirror {
        copies(name, route, mirror, found);
    }
    if let Some(redirect) = &route.redirect {
        target(route, redirect, found);
        names(redirect, found);
    }
    if let Some(respond) = &route.respond {
        answer(respond, found);
    }
}

fn one(name: &Spanned<String>, route: &Route, is_whole: bool, found: &mut Vec<Diagnostic>) {
    let split = route.split.as_ref();
    let ends: [(&str, Option<Span>); 4] = [
        ("upstream", route.upstream.as_ref().map(|end| end.span)),
        (
            "split",
            split.map(|split| split.iter().next().map_or(name.span, |(arm, _)| arm.span)),
        ),
        ("redirect", route.redirect.as_ref().map(|end| end.span)),
        ("respond", route.respond.as_ref().map(|end| end.span)),
    ];
    let mut given: Vec<(&str, Span)> = ends
        .into_iter()
        .filter_map(|(key, span)| Some((key, span?)))
        .collect();
    given.sort_by_key(|(_, span)| *span);
    match given.as_slice() {
        [] if !is_whole => {}
        [] => found.push(
            Diagnostic::error(code::NO_END, format!("route `{name}` leads nowhere"))
                .at(name.span)
                .label(format!("expected one of {ENDS}")),
        ),
        [_] => {}
        [(first, place), (second, other), ..] => found.push(
            Diagnostic::error(
                code::TWO_ENDS,
                format!("route `{name}` ends in both `{first}` and `{second}`"),
            )
            .at(*other)
            .label("one of them is enough")
            .related(*place, "the other one"),
        ),
    }
}

fn copies(
    name: &Spanned<String>,
    route: &Route,
    mirror: &Spanned<Mirror>,
    found: &mut Vec<Diagnostic>,
) {
    if route.redirect.is_some() || route.respond.is_some() {
        found.push(
            Diagnostic::error(code::MIRROR, format!("route `{name}` has nothing to copy"))
                .at(mirror.span)
                .label("its requests go to no server")
                .help("a `mirror` stands beside `upstream` or `split`"),
        );
    }
    if let Some(size) = mirror.body_size
        && size.bytes() > COPY_MAX
    {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                format!("`body_size` of a mirror is `{}`", size.value),
            )
            .at(size.span)
            .label("at most `16MiB`")
            .note("a body is kept in memory until its copy is sent"),
        );
    }
}

fn shares(name: &Spanned<String>, split: &Split, is_whole: bool, found: &mut Vec<Diagnostic>) {
    for (arm, weight) in split.iter().filter(|(_, weight)| weight.value > WEIGHT_MAX) {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                format!("the share of `{arm}` is `{}`", weight.value),
            )
            .at(weight.span)
            .label(format!("expected a whole number from 0 to {WEIGHT_MAX}"))
            .note("shares are relative: 900 and 100 are 90 % and 10 %"),
        );
    }
    if is_whole && split.iter().all(|(_, weight)| weight.value == 0) {
        found.push(
            Diagnostic::error(
                code::NO_SHARES,
                format!("the split of route `{name}` has no shares"),
            )
            .at(name.span)
            .label("at least one has to be more than 0"),
        );
    }
}

fn target(route: &Route, redirect: &Spanned<Redirect>, found: &mut Vec<Diagnostic>) {
    found.extend(redirect.status.and_then(sends_nobody));
    let mut wrong = |code: Code, span: Span, message: String, label: &str| {
        found.push(Diagnostic::error(code, message).at(span).label(label));
    };
    let goes_nowhere = redirect.scheme.is_none()
        && redirect.host.is_none()
        && redirect.port.is_none()
        && redirect.path.is_none()
        && redirect.prefix.is_none();
    if goes_nowhere {
        let message = "a redirect to where the client is already".to_owned();
        wrong(
            code::REDIRECT_NOWHERE,
            redirect.span,
            message,
            "expected one of `scheme`, `host`, `port`, `path` and `prefix`",
        );
    }
    if let Some(scheme) = &redirect.scheme
        && !matches!(scheme.value.as_str(), "http" | "https")
    {
        let message = format!("`{}` is no scheme that is served here", scheme.value);
        wrong(
            code::UNKNOWN_VALUE,
            scheme.span,
            message,
            "expected `http` or `https`",
        );
    }
    if let (Some(_), Some(prefix)) = (&redirect.path, &redirect.prefix) {
        let message = "a redirect with both `path` and `prefix`".to_owned();
        wrong(
            code::ONE_OF_TWO,
            prefix.span,
            message,
            "one of them is enough",
        );
    }
    if let Some(prefix) = &redirect.prefix
        && route.matches.path_prefix.is_none()
    {
        let message = "there is no prefix to replace".to_owned();
        wrong(
            code::NO_PREFIX,
            prefix.span,
            message,
            "the route's `match` has no `path_prefix`",
        );
    }
}

/// What becomes part of a URL.
fn names(redirect: &Redirect, found: &mut Vec<Diagnostic>) {
    let paths = [("path", &redirect.path), ("prefix", &redirect.prefix)];
    for (key, path) in paths {
        found.extend(path.as_ref().and_then(|path| path_syntax(key, path)));
    }
    if let Some(host) = &redirect.host {
        if let Some((_, rest)) = host.split_once("://") {
            let only = rest.split('/').next().unwrap_or_default();
            found.push(
                Diagnostic::error(code::URL, "`host` is a URL")
                    .at(host.span)
                    .label("expected only the host")
                    .help(format!(
                        "write `{only}`; `scheme`, `port` and `path` are keys beside it"
                    )),
            );
            return;
        }
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let is_address = bare.map_or_else(
            || host.parse::<Ipv4Addr>().is_ok(),
            |bare| bare.parse::<Ipv6Addr>().is_ok(),
        );
        if let Err(complaint) = check_name(host)
            && !is_address
        {
            found.push(complaint.into_diagnostic().at(host.span));
        }
    }
}

fn answer(respond: &Spanned<Respond>, found: &mut Vec<Diagnostic>) {
    if let (Some(_), Some(file)) = (&respond.text, &respond.file) {
        found.push(
            Diagnostic::error(code::ONE_OF_TWO, "an answer with both `text` and `file`")
                .at(file.span)
                .label("one of them is enough"),
        );
    }
    let bodiless = respond
        .status
        .filter(|status| BODILESS.contains(&status.value));
    let body = respond.text.as_ref().or(respond.file.as_ref());
    if let (Some(status), Some(body)) = (bodiless, body) {
        found.push(
            Diagnostic::error(
                code::BODY_NOT_SENT,
                format!("an answer with status {} has no body", status.value),
            )
            .at(body.span)
            .label("would not be sent"),
        );
    }
}
