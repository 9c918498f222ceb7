//! `fault`: makes requests late, or fail, to see how the rest takes it. It cannot be written without a moment at which it
//! ends, so none is forgotten in a file.
//!
//! ```yaml
//! filters:
//!   - fault: { until: 2099-12-01T18:00:00Z, delay: 300ms, share: 10% }
//!   - fault: { until: 2099-12-01, abort: 503, when: { header: { X-Fault: "abort" } } }
//! ```
//!
//! `delay` comes before `abort`. `when` is written like a route's `match`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::schema::quantities::Time;
use crate::config::{self, Diagnostic, Match, Moment, Share, Spanned, code};
use crate::end::{PLAIN_TEXT, Reply};
use crate::route::condition::Condition;
use crate::route::matching;
use crate::turns::Purpose;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "fault",
    "makes requests late, or fail, until a given moment",
    build,
);

/// Every request that is held up holds a connection.
const DELAY_MAX: u64 = 60_000;

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("anyOf" = places::any_of(&["delay", "abort"])))]
struct Written {
    /// When it ends. After that the filter does nothing.
    until: Spanned<Moment>,
    /// How late the request becomes, up to `1m`.
    #[schemars(with = "Option<Time<0, DELAY_MAX>>")]
    delay: Option<Spanned<config::Duration>>,
    /// The status that it gets instead of an answer, from 400 to 599.
    #[schemars(range(min = 400, max = 599))]
    abort: Option<Spanned<u16>>,
    /// How many of the requests. Default: all.
    #[serde(default = "all")]
    share: Share,
    /// Which requests. Default: all.
    when: Option<Match>,
}

const fn all() -> Share {
    Share::ALL
}

struct Fault {
    until: SystemTime,
    delay: Option<Duration>,
    abort: Option<StatusCode>,
    share: Share,
    when: Vec<Condition>,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let mut wrong = Vec::new();
    let mut problem = |code, span, message: String, label: &str| {
        wrong.push(Diagnostic::error(code, message).at(span).label(label));
    };
    if written.delay.is_none() && written.abort.is_none() {
        let message = "a fault that does nothing".to_owned();
        problem(
            code::NOTHING_TO_DO,
            options.span(),
            message,
            "expected `delay`, `abort` or both",
        );
    }
    if let Some(delay) = &written.delay
        && delay.get() > Duration::from_millis(DELAY_MAX)
    {
        let message = format!("a delay of `{}` is too long", delay.value);
        problem(code::OUT_OF_BOUNDS, delay.span, message, "at most `1m`");
    }
    let abort = written.abort.map(|status| {
        if !(400..=599).contains(&status.value) {
            let message = format!("{} is no failure", status.value);
            problem(
                code::OUT_OF_BOUNDS,
                status.span,
                message,
                "expected 400 to 599",
            );
        }
        StatusCode::from_u16(status.value).unwrap_or_default()
    });
    let subject = Spanned::new("when".to_owned(), options.span());
    let when = written.when.as_ref();
    let when = when.map(|when| matching::conditions("the filter's", &subject, when));
    let when = when.transpose().unwrap_or_else(|problems| {
        wrong.extend(problems);
        None
    });
    if !wrong.is_empty() {
        return Err(wrong);
    }
    if written.until.get() <= SystemTime::now() {
        options.warn(
            Diagnostic::warning(code::FAULT_ENDED, "this fault has ended")
                .at(written.until.span)
                .label("in the past")
                .help("remove the filter"),
        );
    }
    Ok(Arc::new(Fault {
        until: written.until.get(),
        delay: written.delay.map(|delay| delay.get()),
        abort,
        share: written.share,
        when: when.unwrap_or_default(),
    }))
}

impl Filter for Fault {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let is_chosen = match request.facts.purpose {
            Purpose::Serve => self.share.takes_one(),
            // An answer that is drawn is no answer.
            Purpose::Ask => self.share == Share::ALL,
        };
        if !is_chosen || SystemTime::now() >= self.until || !request.fulfils(&self.when) {
            return Verdict::Continue;
        }
        let verdict = match self.abort {
            Some(status) => Verdict::Respond(Box::new(aborted(status))),
            None => Verdict::Continue,
        };
        match self.delay {
            Some(delay) => Verdict::Wait(delay, Box::new(verdict)),
            None => verdict,
        }
    }
}

fn aborted(status: StatusCode) -> Reply {
    Reply {
        status,
        headers: HeaderMap::from_iter([(CONTENT_TYPE, PLAIN_TEXT)]),
        body: Bytes::from_static(b"This failure was asked for (filter `fault`).\n"),
    }
}
