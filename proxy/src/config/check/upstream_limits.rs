//! The `limits` of upstreams: what goes together, and within which bounds.

use super::Context;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::upstream_limits::QUEUE_TIMEOUT_MAX;
use crate::config::{Adaptive, Duration, Queue, Spanned, UpstreamLimits};

pub(super) fn check(context: &Context<'_>, found: &mut Vec<Diagnostic>) {
    for (name, upstream) in context.file.upstreams.iter() {
        let limits = &upstream.limits;
        found.extend(one_of_two(limits));
        if let Some(queue) = &limits.queue {
            if !context.broken_within("upstreams", name, "limits") {
                found.extend(nobody_waits(queue, limits));
            }
            found.extend(timeout(queue));
        }
        found.extend(limits.adaptive.as_ref().and_then(bounds));
    }
}

fn one_of_two(limits: &UpstreamLimits) -> Option<Diagnostic> {
    let (requests, adaptive) = (limits.requests?, limits.adaptive.as_ref()?);
    Some(
        Diagnostic::error(
            code::ONE_OF_TWO,
            "`requests` is a number, and `adaptive` finds it out",
        )
        .at(requests.span)
        .label("one of the two")
        .related(adaptive.span, "the other one")
        .help(format!(
            "write `adaptive: {{ max: {requests} }}` for a limit that is never above that"
        )),
    )
}

fn nobody_waits(queue: &Spanned<Queue>, limits: &UpstreamLimits) -> Option<Diagnostic> {
    let problem = || {
        Diagnostic::error(code::MISSING_KEY, "`queue` without a limit")
            .at(queue.span)
            .label("nobody would ever wait here")
            .help("say beside it what there may be at a time, such as `requests: 200`")
    };
    (!limits.is_any()).then(problem)
}

fn timeout(queue: &Queue) -> Option<Diagnostic> {
    let timeout = queue.timeout?;
    let most = Duration::from_millis(QUEUE_TIMEOUT_MAX);
    let problem = || {
        let message = format!("`timeout` is `{}`", timeout.value);
        Diagnostic::error(code::OUT_OF_BOUNDS, message).at(timeout.span)
    };
    if timeout.is_zero() {
        let label = "expected more than nothing: nobody could wait";
        let help = "leave `queue` out to answer 503 at once";
        return Some(problem().label(label).help(help));
    }
    (timeout.value > most).then(|| problem().label(format!("expected at most `{most}`")))
}

/// One that is left out gives way to the other.
fn bounds(adaptive: &Spanned<Adaptive>) -> Option<Diagnostic> {
    let (min, max) = (adaptive.min?, adaptive.max?);
    (min.value > max.value).then(|| {
        let message = format!("`min` is {min} and `max` is {max}");
        Diagnostic::error(code::OUT_OF_BOUNDS, message)
            .at(max.span)
            .label(format!("expected at least {min}"))
    })
}
