//! Single values: within the bounds that their section's documentation names.

use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::limits::{HEADER_SIZE_MAX, HEADER_SIZE_MIN};
use crate::config::reload::{OVER_MAX, OVER_MIN};
use crate::config::retry::PAUSE_MAX;
use crate::config::spanned::Spanned;
use crate::config::upstream::DNS_REFRESH_MIN;
use crate::config::{
    Backoff, ClientTimeouts, Duration, File, Limits, Reload, Retry, Size, Timeouts,
};

pub(super) fn check(file: &File, found: &mut Vec<Diagnostic>) {
    limits(&file.limits, found);
    timeouts(&file.timeouts, found);
    retry(&file.retry, found);
    reload(&file.reload, found);
    for (_, listener) in file.listeners.iter() {
        client_timeouts(&listener.timeouts, found);
    }
    for (_, upstream) in file.upstreams.iter() {
        timeouts(&upstream.timeouts, found);
        retry(&upstream.retry, found);
        dns_refresh(upstream.dns_refresh, found);
    }
    for (_, route) in file.routes.iter() {
        timeouts(&route.timeouts, found);
    }
}

fn limits(limits: &Limits, found: &mut Vec<Diagnostic>) {
    let size = |bytes| Size::from_bytes(bytes).to_string();
    if let Some(header) = limits.header_size
        && !(HEADER_SIZE_MIN..=HEADER_SIZE_MAX).contains(&header.bytes())
    {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                format!("`header_size` is `{}`", header.value),
            )
            .at(header.span)
            .label(format!(
                "expected `{}` to `{}`",
                size(HEADER_SIZE_MIN),
                size(HEADER_SIZE_MAX)
            )),
        );
    }
}

fn reload(reload: &Reload, found: &mut Vec<Diagnostic>) {
    let Some(rollback) = &reload.rollback_on else {
        return;
    };
    if rollback.errors.is_none() {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                "`errors` is `0%`: every edit would be taken back",
            )
            .at(rollback.errors.span)
            .label("expected more than nothing"),
        );
    }
    let bounds = Duration::from_millis(OVER_MIN)..=Duration::from_millis(OVER_MAX);
    if let Some(over) = rollback.over
        && !bounds.contains(&over)
    {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`over` is `{}`", over.value))
                .at(over.span)
                .label(format!(
                    "expected `{}` to `{}`",
                    bounds.start(),
                    bounds.end()
                )),
        );
    }
}

fn timeouts(timeouts: &Timeouts, found: &mut Vec<Diagnostic>) {
    not_zero("connect", timeouts.connect, found);
    not_zero("first_byte", timeouts.first_byte, found);
    not_zero("read", timeouts.read, found);
    not_zero("write", timeouts.write, found);
    not_zero("idle", timeouts.idle, found);
    not_zero("request", timeouts.request, found);
}

fn retry(retry: &Retry, found: &mut Vec<Diagnostic>) {
    let most = Duration::from_millis(PAUSE_MAX);
    let Backoff { first, max } = retry.backoff;
    for (key, pause) in [("first", first), ("max", max)] {
        if let Some(pause) = pause.filter(|pause| pause.value > most) {
            found.push(
                Diagnostic::error(code::OUT_OF_BOUNDS, format!("`{key}` is `{}`", pause.value))
                    .at(pause.span)
                    .label(format!("expected at most `{most}`")),
            );
        }
    }
    if let (Some(first), Some(max)) = (first, max)
        && first.value > max.value
    {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, "`first` is longer than `max`")
                .at(first.span)
                .label(format!("expected at most `{}`", max.value))
                .related(max.span, "the longest pause"),
        );
    }
}

fn client_timeouts(timeouts: &ClientTimeouts, found: &mut Vec<Diagnostic>) {
    not_zero("header", timeouts.header, found);
    not_zero("body", timeouts.body, found);
    not_zero("write", timeouts.write, found);
    not_zero("keep_alive", timeouts.keep_alive, found);
}

fn not_zero(key: &str, timeout: Option<Spanned<Duration>>, found: &mut Vec<Diagnostic>) {
    if let Some(timeout) = timeout.filter(|timeout| timeout.is_zero()) {
        found.push(
            Diagnostic::error(
                code::ZERO_TIMEOUT,
                format!("`{key}` is zero: everything would time out at once"),
            )
            .at(timeout.span)
            .label("expected more than nothing")
            .note("there is no way to wait forever; `1h` is as good"),
        );
    }
}

fn dns_refresh(refresh: Option<Spanned<Duration>>, found: &mut Vec<Diagnostic>) {
    let least = Duration::from_millis(DNS_REFRESH_MIN);
    if let Some(refresh) = refresh.filter(|refresh| refresh.value < least) {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`dns_refresh` is `{refresh}`"))
                .at(refresh.span)
                .label(format!("expected at least `{least}`")),
        );
    }
}
