//! `health_check: http`: a server is well when it answers a GET with an expected status.
//!
//! ```yaml
//! health_check:
//!   http:
//!     path: /api/health
//!     host: api.internal          # default: tidegate
//!     statuses: [ 200, "300-399" ] # default: 200-299
//!     interval: 2s
//!     timeout: 1s
//!     healthy_after: 2
//!     unhealthy_after: 3
//! ```
//!
//! Every probe is a connection of its own: one that is kept open would not notice that new ones are refused.

use std::ops::RangeInclusive;
use std::sync::Arc;

use http::header::{HOST, USER_AGENT};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::{Error, ErrorType};
use pingora_load_balancing::health_check::HttpHealthCheck;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Check;
use super::pace::{self, Pace, Written};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::schema::quantities::SomeTime;
use crate::config::{Diagnostic, Duration, Spanned, code};

pub(super) const KIND: Kind<Arc<Check>> = Kind::new::<Http>(
    "http",
    "a server is well when it answers a GET with an expected status",
    build,
);

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Http {
    /// What is asked for. Default: `/`.
    #[serde(default = "path")]
    #[schemars(with = "places::Target")]
    path: Spanned<String>,
    /// The Host header. Default: `tidegate`.
    #[serde(default = "host")]
    host: Spanned<String>,
    /// Statuses that mean well, alone or as ranges. Default: `200-299`.
    #[serde(default = "usual_statuses")]
    #[schemars(with = "Vec<places::Statuses>")]
    statuses: Vec<Spanned<String>>,
    /// From one probe to the next. Default: `5s`.
    #[serde(default = "pace::interval")]
    #[schemars(with = "pace::Interval")]
    interval: Spanned<Duration>,
    /// For the whole probe. Default: `2s`.
    #[serde(default = "pace::timeout")]
    #[schemars(with = "SomeTime")]
    timeout: Spanned<Duration>,
    /// Good answers in a row until a server that was down is used again. Default: 2.
    #[serde(default = "pace::healthy_after")]
    #[schemars(range(min = 1))]
    healthy_after: Spanned<u32>,
    /// Bad answers in a row until a server that was up is left out. Default: 3.
    #[serde(default = "pace::unhealthy_after")]
    #[schemars(range(min = 1))]
    unhealthy_after: Spanned<u32>,
}

/// The Host header of a probe whose check names none.
const HOST_DEFAULT: &str = "tidegate";

fn path() -> Spanned<String> {
    "/".to_owned().into()
}

fn host() -> Spanned<String> {
    HOST_DEFAULT.to_owned().into()
}

fn usual_statuses() -> Vec<Spanned<String>> {
    vec!["200-299".to_owned().into()]
}

fn build(options: &Options) -> Result<Arc<Check>, Vec<Diagnostic>> {
    let written: Http = options.decode()?;
    let Http {
        interval,
        timeout,
        healthy_after,
        unhealthy_after,
        ..
    } = written;
    let mut wrong = Vec::new();
    let pace = collect(
        &mut wrong,
        Written {
            interval,
            timeout,
            healthy_after,
            unhealthy_after,
        }
        .pace(),
    );
    let statuses = collect(&mut wrong, statuses(&written.statuses));
    let request = collect(&mut wrong, request(&written.path, &written.host));
    match (pace, statuses, request) {
        (Some(pace), Some(statuses), Some(request)) => Ok(Arc::new(check(request, statuses, pace))),
        _ => Err(wrong),
    }
}

fn check(request: RequestHeader, statuses: Vec<RangeInclusive<u16>>, pace: Pace) -> Check {
    let asks = format!(
        "{} {} {:?} {statuses:?}",
        KIND.name,
        request.uri,
        request.headers.get(HOST)
    );
    let timeout = pace.timeout;
    Check::new(asks, pace, move || {
        let mut probe = HttpHealthCheck::new(HOST_DEFAULT, false);
        probe.req = request;
        probe.peer_template.options.connection_timeout = Some(timeout);
        probe.peer_template.options.read_timeout = Some(timeout);
        probe.validator = Some(Box::new(move |answer: &ResponseHeader| {
            let status = answer.status.as_u16();
            if statuses.iter().any(|range| range.contains(&status)) {
                return Ok(());
            }
            Error::e_explain(
                ErrorType::CustomCode("unexpected status", status),
                "of a health check",
            )
        }));
        Box::new(probe)
    })
}

fn request(
    path: &Spanned<String>,
    host: &Spanned<String>,
) -> Result<RequestHeader, Vec<Diagnostic>> {
    let target = path.value.as_str();
    let mut request = match (
        target.starts_with('/'),
        RequestHeader::build("GET", target.as_bytes(), None),
    ) {
        (true, Ok(request)) => request,
        _ => {
            let problem = Diagnostic::error(code::PATH, format!("`{target}` is not a path"));
            let problem = problem.at(path.span);
            return Err(vec![if target.starts_with('/') {
                problem.label("no request can have it")
            } else {
                let problem = problem.label("a path begins with `/`");
                problem.help(format!("write `/{target}`"))
            }]);
        }
    };
    let name = host.value.as_str();
    let headers = request.insert_header(HOST, name).and_then(|()| {
        request.insert_header(USER_AGENT, concat!("tidegate/", env!("CARGO_PKG_VERSION")))
    });
    match headers {
        Ok(()) => Ok(request),
        Err(_) => Err(vec![
            Diagnostic::error(
                code::FIELD_VALUE,
                format!("`{}` cannot be the host of a probe", name.escape_debug()),
            )
            .at(host.span)
            .label("no line breaks or other control characters (RFC 9110, section 5.5)"),
        ]),
    }
}

fn statuses(written: &[Spanned<String>]) -> Result<Vec<RangeInclusive<u16>>, Vec<Diagnostic>> {
    let wrong = |text: &Spanned<String>| {
        let message = format!("`{}` is not a status or a range of statuses", text.value);
        let problem = Diagnostic::error(code::HEALTHY_STATUS, message)
            .at(text.span)
            .label("expected 100 to 599, such as `200` or `\"200-299\"`");
        match text.strip_suffix("xx").or(text.strip_suffix("XX")) {
            Some(hundred @ ("1" | "2" | "3" | "4" | "5")) => {
                problem.help(format!("write `\"{hundred}00-{hundred}99\"`"))
            }
            _ => problem,
        }
    };
    let problems: Vec<Diagnostic> = written
        .iter()
        .filter(|text| status_range(text).is_none())
        .map(wrong)
        .collect();
    if problems.is_empty() {
        Ok(written
            .iter()
            .filter_map(|text| status_range(text))
            .collect())
    } else {
        Err(problems)
    }
}

fn status_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (100 <= from && from <= to && to <= 599).then_some(from..=to)
}

fn collect<T>(wrong: &mut Vec<Diagnostic>, result: Result<T, Vec<Diagnostic>>) -> Option<T> {
    result.map_err(|problems| wrong.extend(problems)).ok()
}
