//! The file's own tests: they expect something, of routes and upstreams that there are.

use super::Context;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::nearest::{listed, nearest};
use crate::config::spanned::Spanned;

/// Longer lists of names are not shown.
const NAMES_MAX: usize = 12;

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    let file = context.file;
    for (name, test) in file.tests.iter() {
        let expect = &test.expect;
        if expect.is_empty() && !context.broken_within("tests", name, "expect") {
            found.push(
                Diagnostic::error(
                    code::EXPECTS_NOTHING,
                    format!("the test `{name}` expects nothing"),
                )
                .at(name.span)
                .label("it could not fail")
                .help("say what must become of the request: `expect: { route: ... }`"),
            );
        }
        if let Some(route) = &expect.route {
            let known = || file.routes.written().map(|name| name.value.as_str());
            found.extend(unknown(context, "route", route, known));
        }
        for upstream in expect.upstream.iter().flatten() {
            let known = || file.upstreams.written().map(|name| name.value.as_str());
            found.extend(unknown(context, "upstream", upstream, known));
        }
    }
}

fn unknown<'n, K: Iterator<Item = &'n str>>(
    context: &Context<'_>,
    noun: &str,
    written: &Spanned<String>,
    known: impl Fn() -> K,
) -> Option<Diagnostic> {
    let unreadable = context.incomplete && known().next().is_none();
    if unreadable || known().any(|name| name == written.value) {
        return None;
    }
    let diagnostic = Diagnostic::error(
        code::UNKNOWN_EXPECTED,
        format!("there is no {noun} `{}`", written.value),
    )
    .at(written.span)
    .label("a test expects it")
    .did_you_mean(nearest(written, known()));
    Some(match known().count() {
        1 => diagnostic.note(format!("the only {noun} is {}", listed(known()))),
        2..=NAMES_MAX => diagnostic.note(format!("known {noun}s are {}", listed(known()))),
        _ => diagnostic,
    })
}
