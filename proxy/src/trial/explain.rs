//! Why a request goes where it goes: its route and what stood against it, its filters, its server. By the code that serves
//! requests, from a file or from what runs now.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderMap;
use serde::{Deserialize, Serialize};

use super::course::{Course, Passed, Supposed, course};
use super::question::{NoQuestion, Question};
use crate::config::Secrets;
use crate::config::secrets::shown;
use crate::flow::receive::normal;
use crate::flow::select;
use crate::route::condition;
use crate::route::consider::{Considered, Seen};
use crate::snapshot::{End, Snapshot};
use crate::upstream::Upstream;

/// Of the routes that do not take it, so many are told.
const REFUSED_MAX: usize = 50;

/// Of a body, so much is shown.
const BODY_MAX: usize = 2000;

/// Why a request goes where it goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// What is asked, as routes see it.
    pub request: Asked,
    /// The generation that explains itself; none for a file that does not run.
    pub generation: Option<u64>,
    /// The route that takes it.
    pub route: Option<String>,
    /// Why it is refused, if it is: the word in the log.
    pub refused: Option<String>,
    /// The routes, the one that takes it first, the nearest of those that do not last.
    pub considered: Vec<Candidate>,
    /// Routes that do not take it and are not among those.
    pub not_shown: usize,
    /// What happens on the way, in the order of the file.
    pub filters: Vec<FilterStep>,
    /// Where it ends.
    pub end: Option<Ending>,
    /// What the server is sent.
    pub sent: Option<Message>,
    /// What the client gets; behind a server's answer, what is made of a 200 without fields.
    pub answer: Option<Message>,
}

/// A request, as routes see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Asked {
    /// What is asked.
    pub method: String,
    /// Without port, in lower case.
    pub host: String,
    /// In its normal form.
    pub path: String,
    /// What follows the `?`.
    pub query: Option<String>,
    /// Who asks.
    pub client: IpAddr,
}

/// A route, as seen by the request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub route: String,
    /// What it asks for.
    pub asks: String,
    /// How it went.
    pub verdict: Outcome,
    /// Why, other than for the one that takes it.
    pub reason: Option<String>,
}

/// How a request stands to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It is taken.
    Takes,
    /// It would be taken, but another one is asked first.
    Later,
    /// It is not taken.
    No,
}

/// A filter of the route.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FilterStep {
    /// Its name in the file, or its kind.
    pub filter: String,
    /// Whether the request came as far.
    pub reached: bool,
    /// What it changes on the way in.
    pub changes: Vec<String>,
    /// What it does other than to let it go on.
    pub says: Option<String>,
    /// What it changes on the way out.
    pub changes_answer: Vec<String>,
}

/// Where a request ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ending {
    /// One upstream answers.
    Upstream(Target),
    /// One of several does.
    Split {
        /// They and their shares.
        arms: Vec<(Target, u16)>,
        /// The position of the one that gets it now.
        chosen: usize,
        /// Whether it is chosen by what the request says, not by turn.
        sticky: bool,
    },
    /// The client is sent elsewhere.
    Redirect,
    /// The proxy answers.
    Respond,
}

/// An upstream, as it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// Its name.
    pub upstream: String,
    /// Who could answer.
    pub servers: Vec<Server>,
}

/// A server, as it is now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Server {
    /// Where it is; in a file that does not run, as it is written.
    pub address: String,
    /// Its share.
    pub weight: u16,
    /// How it is: `up`, `down`, `untried`; none in a file that does not run.
    pub health: Option<String>,
    /// Why it is down.
    pub reason: Option<String>,
    /// Why it is out, whatever its probes say, if it is.
    pub ejected: Option<String>,
    /// Requests under way.
    pub in_flight: Option<usize>,
    /// Whether the policy would pick it now.
    pub next: bool,
}

/// A head, and what there is of a body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Message {
    /// The first line.
    pub line: String,
    /// The fields.
    pub headers: Vec<(String, String)>,
    /// The body of an answer of the proxy's own.
    pub body: Option<String>,
}

/// Explains what becomes of a request. A snapshot of generation 0 is one that does not run.
///
/// # Errors
/// It cannot be a request.
pub fn explain(snapshot: &Arc<Snapshot>, question: &Question) -> Result<Explanation, NoQuestion> {
    let course = course(snapshot, question, &Supposed::default())?;
    let (host, path) = normal(&course.head).unwrap_or_default();
    let request = Asked {
        method: course.head.method.to_string(),
        host,
        path,
        query: course.head.uri.query().map(str::to_owned),
        client: question.client,
    };
    let (considered, not_shown) = considered(snapshot, &course);
    let route = course.exchange.route();
    let failure = course.failure;
    let was_asked = course.sent.is_some() || failure.is_none();
    let explanation = Explanation {
        generation: Some(snapshot.generation).filter(|generation| *generation > 0),
        route: route.map(|route| route.name.clone()),
        refused: failure.map(|failure| failure.label().to_owned()),
        considered,
        not_shown,
        filters: filters(&course),
        end: was_asked.then(|| ending(&course)).flatten(),
        sent: course.sent.as_ref().map(|sent| Message {
            line: format!(
                "{} {}",
                sent.method,
                String::from_utf8_lossy(sent.raw_path())
            ),
            headers: lines(&sent.headers),
            body: None,
        }),
        answer: answer(&course),
        request,
    };
    Ok(explanation.without(&snapshot.secrets))
}

impl Explanation {
    /// What the file does not tell, this does not either. What was asked is the asker's own, and names of routes, filters and
    /// upstreams are no values.
    fn without(mut self, secrets: &Secrets) -> Self {
        if secrets.is_empty() {
            return self;
        }
        for one in &mut self.considered {
            one.asks = secrets.mask_value(&one.asks);
            one.reason = one.reason.as_deref().map(|reason| secrets.mask(reason));
        }
        for step in &mut self.filters {
            let changes = step.changes.iter_mut().chain(&mut step.changes_answer);
            changes.for_each(|change| *change = without_value(change, secrets));
        }
        let mut targets: Vec<&mut Target> = match &mut self.end {
            Some(Ending::Upstream(target)) => vec![target],
            Some(Ending::Split { arms, .. }) => arms.iter_mut().map(|(arm, _)| arm).collect(),
            Some(Ending::Redirect | Ending::Respond) | None => Vec::new(),
        };
        for server in targets.iter_mut().flat_map(|target| &mut target.servers) {
            server.address = secrets.mask_value(&server.address);
            server.reason = server.reason.as_deref().map(|reason| secrets.mask(reason));
        }
        for message in self.sent.iter_mut().chain(&mut self.answer) {
            message.line = secrets.mask_value(&message.line);
            for (_, value) in &mut message.headers {
                *value = secrets.mask_value(value);
            }
            message.body = message.body.as_deref().map(|body| secrets.mask_value(body));
        }
        self
    }
}

/// The first word of a change is ours.
fn without_value(change: &str, secrets: &Secrets) -> String {
    match change.split_once(' ') {
        Some((first, rest)) => format!("{first} {}", secrets.mask_value(rest)),
        None => change.to_owned(),
    }
}

/// Why a route does not take a request that was sent through, if it does not.
pub(super) fn reason_against(snapshot: &Snapshot, course: &Course, route: &str) -> Option<String> {
    let all = seen(snapshot, course)?;
    let is_it = |one: &&Considered| {
        let found = snapshot.routes.get(one.route);
        found.is_some_and(|found| found.name == route)
    };
    match &all.iter().find(is_it)?.seen {
        Seen::Taken => None,
        Seen::Later(why) | Seen::Refused(why) => Some(why.clone()),
    }
}

/// How the request stands to all routes; none if it came to no route at all.
fn seen(snapshot: &Snapshot, course: &Course) -> Option<Vec<Considered>> {
    let (host, path) = normal(&course.head)?;
    let names = names(snapshot);
    let request = condition::Request {
        host: &host,
        path: &path,
        query: course.head.uri.query(),
        method: &course.head.method,
        headers: &course.head.headers,
        client: course.exchange.client.as_ref().map(|client| client.ip),
    };
    Some(snapshot.table.consider(&request, &names))
}

fn names(snapshot: &Snapshot) -> Vec<&str> {
    let routes = snapshot.routes.iter();
    routes.map(|route| route.name.as_str()).collect()
}

fn considered(snapshot: &Snapshot, course: &Course) -> (Vec<Candidate>, usize) {
    let names = names(snapshot);
    let all = seen(snapshot, course).unwrap_or_default();
    let takers = all
        .iter()
        .take_while(|one| !matches!(one.seen, Seen::Refused(_)))
        .count();
    let shown = all.len().min(takers + REFUSED_MAX);
    let candidates = all.iter().take(shown).map(|one| candidate(one, &names));
    (candidates.collect(), all.len() - shown)
}

fn candidate(one: &Considered, names: &[&str]) -> Candidate {
    let (verdict, reason) = match &one.seen {
        Seen::Taken => (Outcome::Takes, None),
        Seen::Later(why) => (Outcome::Later, Some(why.clone())),
        Seen::Refused(why) => (Outcome::No, Some(why.clone())),
    };
    Candidate {
        route: names.get(one.route).copied().unwrap_or_default().to_owned(),
        asks: one.asks.clone(),
        verdict,
        reason,
    }
}

fn filters(course: &Course) -> Vec<FilterStep> {
    let Some(route) = course.exchange.route() else {
        return Vec::new();
    };
    let step = |(position, name): (usize, &str)| {
        let passed = course.passages.iter().find(|one| one.position == position);
        let reached = passed.is_some();
        let Passed {
            way_in,
            said,
            way_out,
            ..
        } = passed.cloned().unwrap_or_default();
        FilterStep {
            filter: name.to_owned(),
            reached,
            changes: way_in,
            says: said,
            changes_answer: way_out,
        }
    };
    let names = route.filters.iter().map(|spec| spec.name());
    names.enumerate().map(step).collect()
}

fn ending(course: &Course) -> Option<Ending> {
    let exchange = &course.exchange;
    Some(match &exchange.route()?.end {
        End::Upstream(target) => Ending::Upstream(self::target(&target.upstream, course)),
        End::Split(targets, split) => {
            let client = exchange.client.as_ref().map(|client| client.ip);
            let arms = targets.iter().enumerate();
            Ending::Split {
                arms: arms
                    .map(|(arm, target)| (self::target(&target.upstream, course), split.share(arm)))
                    .collect(),
                chosen: exchange.arm,
                sticky: split.decided(&course.head.headers, client).is_some(),
            }
        }
        End::Redirect(_) => Ending::Redirect,
        End::Respond(_) => Ending::Respond,
    })
}

/// One that asks nobody knows only what is written.
fn target(upstream: &Upstream, course: &Course) -> Target {
    let pool = upstream.pool();
    let request = course.sent.as_ref().unwrap_or(&course.head);
    let asked = select::asked(upstream, request, &course.exchange, Instant::now());
    let next = pool.pick(&asked).ok();
    let next = next.map(|server| server.address());
    let known = pool.all().iter().map(|server| Server {
        address: server.address().to_string(),
        weight: server.weight(),
        health: Some(server.health().as_str().to_owned()),
        reason: server.reason(),
        ejected: upstream
            .ejected(server, asked.now)
            .map(|ejected| ejected.to_string()),
        in_flight: Some(server.in_flight()),
        next: next == Some(server.address()),
    });
    let servers: Vec<Server> = if upstream.is_still() {
        written(upstream).collect()
    } else {
        known.collect()
    };
    Target {
        upstream: upstream.name().to_owned(),
        servers,
    }
}

fn written(upstream: &Upstream) -> impl Iterator<Item = Server> {
    upstream.spec().servers.iter().map(|server| Server {
        address: server.to_string(),
        weight: server.seat.weight,
        health: None,
        reason: None,
        ejected: None,
        in_flight: None,
        next: false,
    })
}

fn answer(course: &Course) -> Option<Message> {
    let line = |status: http::StatusCode| match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    };
    if let Some(answer) = &course.answer {
        let body = course.body.as_deref().map(String::from_utf8_lossy);
        return Some(Message {
            line: line(answer.status),
            headers: lines(&answer.headers),
            body: body.map(|body| body.chars().take(BODY_MAX).collect()),
        });
    }
    let failure = course.failure?;
    let status = http::StatusCode::from_u16(failure.status()).ok()?;
    Some(Message {
        line: line(status),
        headers: Vec::new(),
        body: None,
    })
}

/// The id and what it cost to find are new each time. What a name says is a secret is not shown.
fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let fields = headers.iter();
    let fields = fields.filter(|(name, _)| *name != crate::flow::receive::REQUEST_ID);
    fields
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            let value = shown(name.as_str(), &value).to_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}
