//! Single values: within the bounds that their section's documentation names.

use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::spanned::Spanned;
use crate::config::{ClientTimeouts, Duration, File, Limits, Reload, Size, Timeouts};

/// The largest request head, in bytes: the framework's own bound for HTTP/1 is a little above it.
const HEADER_SIZE_MAX: u64 = 1000 * 1024;

/// The smallest request head that browsers can live with.
const HEADER_SIZE_MIN: u64 = 1024;

/// Asking the resolver more often finds nothing new and burdens it.
const DNS_REFRESH_MIN: std::time::Duration = std::time::Duration::from_secs(1);

pub(super) fn check(file: &File, found: &mut Vec<Diagnostic>) {
    limits(&file.limits, found);
    timeouts(&file.timeouts, found);
    reload(&file.reload, found);
    for (_, listener) in file.listeners.iter() {
        client_timeouts(&listener.timeouts, found);
    }
    for (_, upstream) in file.upstreams.iter() {
        timeouts(&upstream.timeouts, found);
        dns_refresh(upstream.dns_refresh, found);
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

/// Longer, and nobody remembers which edit it was.
const OVER_MAX: std::time::Duration = std::time::Duration::from_secs(600);

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
    let second = std::time::Duration::from_secs(1);
    if let Some(over) = rollback.over
        && !(second..=OVER_MAX).contains(&over.get())
    {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`over` is `{}`", over.value))
                .at(over.span)
                .label("expected `1s` to `10m`"),
        );
    }
}

fn timeouts(timeouts: &Timeouts, found: &mut Vec<Diagnostic>) {
    not_zero("connect", timeouts.connect, found);
    not_zero("read", timeouts.read, found);
    not_zero("write", timeouts.write, found);
    not_zero("idle", timeouts.idle, found);
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
    if let Some(refresh) = refresh.filter(|refresh| refresh.get() < DNS_REFRESH_MIN) {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`dns_refresh` is `{refresh}`"))
                .at(refresh.span)
                .label(format!(
                    "expected at least `{}`",
                    Duration::from(DNS_REFRESH_MIN)
                )),
        );
    }
}
