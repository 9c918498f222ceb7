//! `outlier_ejection`: bounds that can be met, in an order that makes sense.

use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::outlier_ejection::{AT_LEAST_MAX, OVER_MAX, OVER_MIN, TIME_MAX, TIME_MIN};
use crate::config::spanned::Spanned;
use crate::config::{Duration, ErrorRate, OutlierEjection, Share, SlowAnswers, Switch, Upstream};

/// A server that takes less of the usual than this, in percent, is as the others are.
const FACTOR_MIN: f64 = 150.0;

pub(super) fn check(upstream: &Upstream, found: &mut Vec<Diagnostic>) {
    let Some(ejection) = upstream.outlier_ejection.as_ref().and_then(Switch::keys) else {
        return;
    };
    within("time", ejection.time, TIME_MIN, TIME_MAX, found);
    within("max_time", ejection.max_time, TIME_MIN, TIME_MAX, found);
    order(ejection, found);
    if let Some(share) = ejection.max_ejected.filter(|share| share.is_none()) {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                "`max_ejected` is `0%`: nobody would ever be out",
            )
            .at(share.span)
            .label("expected more than nothing")
            .help("one server may be out whatever the share: write `1%` for no more"),
        );
    }
    if let Some(rate) = ejection.error_rate.as_ref().and_then(Switch::keys) {
        error_rate(rate, found);
    }
    if let Some(latency) = ejection.latency.as_ref().and_then(Switch::keys) {
        slow_answers(latency, found);
    }
}

fn order(ejection: &OutlierEjection, found: &mut Vec<Diagnostic>) {
    let (Some(time), Some(most)) = (ejection.time, ejection.max_time) else {
        return;
    };
    if most.value < time.value {
        found.push(
            Diagnostic::error(
                code::OUT_OF_BOUNDS,
                format!("`max_time` is `{}`, less than `time`", most.value),
            )
            .at(most.span)
            .label(format!("expected at least `{}`", time.value))
            .related(time.span, "out for so long the first time already"),
        );
    }
}

fn error_rate(rate: &ErrorRate, found: &mut Vec<Diagnostic>) {
    within("over", rate.over, OVER_MIN, OVER_MAX, found);
    let Some(share) = rate.above else { return };
    let why = match share.value {
        share if share.is_none() => "one failure would be enough",
        Share::ALL => "more than all is never",
        _ => return,
    };
    found.push(
        Diagnostic::error(
            code::OUT_OF_BOUNDS,
            format!("`above` is `{}`: {why}", share.value),
        )
        .at(share.span)
        .label("expected more than nothing and less than all"),
    );
}

fn slow_answers(latency: &SlowAnswers, found: &mut Vec<Diagnostic>) {
    within("over", latency.over, OVER_MIN, OVER_MAX, found);
    within("at_least", latency.at_least, 0, AT_LEAST_MAX, found);
    if let Some(above) = latency.above.filter(|above| above.of(100.0) < FACTOR_MIN) {
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`above` is `{}`", above.value))
                .at(above.span)
                .label(format!("expected `{FACTOR_MIN}%` to `1000%`"))
                .note("half of all servers are slower than the one in the middle"),
        );
    }
}

fn within(
    key: &str,
    span: Option<Spanned<Duration>>,
    least: u64,
    most: u64,
    found: &mut Vec<Diagnostic>,
) {
    let bounds = Duration::from_millis(least)..=Duration::from_millis(most);
    if let Some(span) = span.filter(|span| !bounds.contains(&span.value)) {
        let label = format!("expected `{}` to `{}`", bounds.start(), bounds.end());
        found.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, format!("`{key}` is `{}`", span.value))
                .at(span.span)
                .label(label),
        );
    }
}
