//! Between the route and where it ends: who asked, how and for whom is added, and the route's filters run. What they change
//! is changed once, for all attempts; what they ask about is the request as it came.

use std::borrow::Cow;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName, RETRY_AFTER};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, Uri};
use pingora::http::{RequestHeader, ResponseHeader};
use tokio::sync::Semaphore;

use super::{Exchange, fields, forward};
use crate::end::Reply;
use crate::error::Failure;
use crate::filter::facts::Facts;
use crate::filter::fields::Fields;
use crate::filter::{Request, Response, Return, Transform, Verdict};

/// A request on the way through filters: what they need to know of it, and what they asked for.
pub struct Passage {
    path: String,
    normal: String,
    query: Option<String>,
    /// Without port.
    host: String,
    /// How many of the route's filters have let it go on.
    passed: usize,
    /// What they want done with the answer, each by its position.
    returns: Vec<(usize, Return)>,
    /// What they want the answer's body to go through. Never locked: a mutex may be shared by threads, and what is in it need not be.
    body: Mutex<Vec<Box<dyn Transform>>>,
    changes_body: bool,
    /// Who is told of each step, if anybody asks.
    pub witness: Option<Box<dyn Witness>>,
    /// Bytes that the body of the request may have, if they say so.
    pub body_size: Option<u64>,
}

/// How far a request came.
pub enum Step {
    /// To where its route ends.
    On,
    /// No further: this is the answer.
    Answer(Box<Reply>),
    /// No further: this failed it, and the answer has these fields.
    Refused(Failure, HeaderMap),
    /// A filter wants something that takes time: see [`wait`].
    Later(Later),
}

/// Sees what filters do.
pub trait Witness: Send + Sync {
    /// The request before the filters that are left.
    fn comes_in(&mut self, request: &Request<'_>);
    /// The answer before the first filter.
    fn comes_out(&mut self, response: &Response<'_>);
    /// The filter at this position said this, and left the request so.
    fn went_in(&mut self, position: usize, request: &Request<'_>, verdict: &Verdict);
    /// The filter at this position left the answer so.
    fn went_out(&mut self, position: usize, response: &Response<'_>);
}

/// What takes time.
pub enum Later {
    /// Goes by itself.
    Time(Duration, Box<Verdict>),
    /// Is done by a thread.
    Work(Box<dyn FnOnce() -> Verdict + Send>),
}

/// The way in.
///
/// # Errors
/// Only if the head cannot be written again, which is a mistake of ours.
pub fn way_in(request: &mut RequestHeader, exchange: &mut Exchange) -> pingora::Result<Step> {
    fields::change(request, |parts| {
        take_nominated(&mut parts.headers);
        forward::announce(parts, exchange);
        run(parts, exchange, None)
    })
}

/// Work that waits or is being done, over all requests.
const WAITING_MAX: usize = 64;

/// Goes on after a filter that wanted something that takes time. In a box: it is a large future, and most requests need none.
///
/// # Errors
/// As [`way_in`].
pub fn wait<'f>(
    later: Later,
    request: &'f mut RequestHeader,
    exchange: &'f mut Exchange,
) -> futures_util::future::BoxFuture<'f, pingora::Result<Step>> {
    Box::pin(async move {
        exchange.was_delayed = true;
        let mut later = later;
        loop {
            let verdict = match later {
                Later::Time(span, verdict) => {
                    tokio::time::sleep(exchange.within(span)).await;
                    *verdict
                }
                Later::Work(work) => done(work).await,
            };
            match fields::change(request, |parts| run(parts, exchange, Some(verdict)))? {
                Step::Later(next) => later = next,
                step => return Ok(step),
            }
        }
    })
}

/// The same for a request that is only asked about: nothing is waited for, and what has to be found out is found out here.
///
/// # Errors
/// As [`way_in`].
pub fn at_once(
    mut later: Later,
    request: &mut RequestHeader,
    exchange: &mut Exchange,
) -> pingora::Result<Step> {
    loop {
        let verdict = match later {
            Later::Time(_, verdict) => *verdict,
            Later::Work(work) => work(),
        };
        match fields::change(request, |parts| run(parts, exchange, Some(verdict)))? {
            Step::Later(next) => later = next,
            step => return Ok(step),
        }
    }
}

/// Does work on a thread of its own: at a time on half of the processors, so that the other half goes on with everything else.
/// So much waits for its turn; whoever comes then is told to come back.
async fn done(work: Box<dyn FnOnce() -> Verdict + Send>) -> Verdict {
    static TURNS: LazyLock<Semaphore> = LazyLock::new(|| {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Semaphore::new(processors.div_ceil(2))
    });
    static PLACES: Semaphore = Semaphore::const_new(WAITING_MAX);
    let Ok(_place) = PLACES.try_acquire() else {
        let soon = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static("5"))]);
        return Verdict::Refuse(Failure::Overloaded, soon);
    };
    let _turn = TURNS.acquire().await;
    let verdict = tokio::task::spawn_blocking(work).await;
    verdict.unwrap_or_else(|_| Verdict::Refuse(Failure::Internal, HeaderMap::new()))
}

/// What `Connection` may say that is left to Pingora: options, fields by which it reads the request, and those for whose names
/// it refuses the request.
const LEFT: [&str; 9] = [
    "close",
    "keep-alive",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "host",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
];

/// Takes out the fields that `Connection` names (RFC 9110, section 7.6.1), and their names. Pingora would do so later, and
/// a client could name what we, or a filter, are about to set.
fn take_nominated(headers: &mut HeaderMap) {
    let mut kept: Vec<String> = Vec::new();
    let mut named: Vec<HeaderName> = Vec::new();
    for value in headers.get_all(CONNECTION) {
        for word in value.to_str().unwrap_or_default().split(',').map(str::trim) {
            match word.parse::<HeaderName>() {
                Ok(name) if !LEFT.contains(&name.as_str()) => named.push(name),
                _ => kept.push(word.to_owned()),
            }
        }
    }
    if named.is_empty() {
        return;
    }
    for name in &named {
        headers.remove(name);
    }
    match HeaderValue::try_from(kept.join(", ")) {
        Ok(kept) if !kept.is_empty() => drop(headers.insert(CONNECTION, kept)),
        _ => drop(headers.remove(CONNECTION)),
    }
}

/// Through the filters that are left. `verdict` is what the next one says, if it was asked already.
fn run(parts: &mut Parts, exchange: &mut Exchange, verdict: Option<Verdict>) -> Step {
    let Some(mut passage) = exchange.passage.take() else {
        return Step::On;
    };
    let step = through(parts, &mut passage, exchange, verdict);
    exchange.passage = Some(passage);
    step
}

fn through(
    parts: &mut Parts,
    passage: &mut Passage,
    exchange: &Exchange,
    mut verdict: Option<Verdict>,
) -> Step {
    let Some(route) = exchange.route() else {
        return Step::On;
    };
    let (uri, method) = (parts.uri.clone(), parts.method.clone());
    let (mut passed, mut returns) = (passage.passed, std::mem::take(&mut passage.returns));
    let mut witness = passage.witness.take();
    let asked_for = parts.headers.get(HOST).cloned();
    let (step, body_size, target) = with_facts(&method, passage, exchange, |facts| {
        let mut request = Request {
            facts,
            path: Cow::Borrowed(uri.path()),
            query: uri.query().map(Cow::Borrowed),
            headers: &mut parts.headers,
            body_size: passage.body_size,
        };
        if let Some(witness) = &mut witness {
            witness.comes_in(&request);
        }
        let step = loop {
            let said = match (verdict.take(), route.filters.get(passed)) {
                (Some(said), _) => said,
                (None, Some(spec)) => spec.filter.request(&mut request),
                (None, None) => break Step::On,
            };
            if let Some(witness) = &mut witness {
                witness.went_in(passed, &request, &said);
            }
            match said {
                Verdict::Continue => {}
                Verdict::Then(what) => returns.push((passed, what)),
                Verdict::Respond(reply) => break Step::Answer(reply),
                Verdict::Refuse(failure, fields) => break Step::Refused(failure, fields),
                Verdict::Wait(span, then) => break Step::Later(Later::Time(span, then)),
                Verdict::Work(work) => break Step::Later(Later::Work(work)),
            }
            passed += 1;
        };
        let is_same = request.path == uri.path() && request.query.as_deref() == uri.query();
        let target = (!is_same).then(|| target(&request.path, request.query.as_deref()));
        (step, request.body_size, target)
    });
    passage.witness = witness;
    passage.passed = passed;
    passage.returns = returns;
    passage.body_size = body_size;
    let host = parts
        .headers
        .get(HOST)
        .filter(|host| Some(*host) != asked_for.as_ref());
    if target.is_none() && host.is_none() {
        return step;
    }
    match rewritten(&uri, target, host) {
        Some(uri) => parts.uri = uri,
        // Sent on as it came, it would go where the file does not want it.
        None => return Step::Refused(Failure::BadRequest, HeaderMap::new()),
    }
    step
}

fn target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// None if that is no target. A host stands in the target only of a request over HTTP/2, and of one that names a whole URL.
fn rewritten(uri: &Uri, target: Option<String>, host: Option<&HeaderValue>) -> Option<Uri> {
    let host = host.filter(|_| uri.authority().is_some());
    let mut parts = uri.clone().into_parts();
    if let Some(target) = target {
        parts.path_and_query = Some(PathAndQuery::try_from(target).ok()?);
    }
    if let Some(host) = host {
        parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    }
    Uri::from_parts(parts).ok()
}

fn with_facts<T>(
    method: &Method,
    passage: &Passage,
    exchange: &Exchange,
    then: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    then(&Facts {
        purpose: exchange.purpose,
        client: exchange.client.as_ref().map(|client| client.ip),
        host: &passage.host,
        method,
        path: &passage.path,
        normal: &passage.normal,
        query: passage.query.as_deref(),
        id: exchange.id(),
        route: exchange.route().map_or("", |route| route.name.as_str()),
        capture: &|group| {
            let table = &exchange.snapshot.table;
            table.captures(exchange.found?, &passage.normal, group)
        },
    })
}

/// The way out: the filters that let the request go on, the last one first.
pub fn way_out(method: &Method, head: &mut ResponseHeader, exchange: &mut Exchange) {
    let Some(mut passage) = exchange.passage.take() else {
        return;
    };
    let mut returns = std::mem::take(&mut passage.returns);
    let mut witness = passage.witness.take();
    let mut body = Vec::new();
    if let Some(route) = exchange.route() {
        with_facts(method, &passage, exchange, |facts| {
            let mut response = Response {
                facts,
                status: head.status,
                headers: &mut Answer(head),
                body: &mut body,
            };
            if let Some(witness) = &mut witness {
                witness.comes_out(&response);
            }
            let passed = route.filters.iter().enumerate().take(passage.passed);
            for (position, spec) in passed.rev() {
                spec.filter.response(&mut response);
                while let Some((_, what)) = returns.pop_if(|(of, _)| *of == position) {
                    what(&mut response);
                }
                if let Some(witness) = &mut witness {
                    witness.went_out(position, &response);
                }
            }
        });
    }
    passage.witness = witness;
    passage.changes_body = !body.is_empty();
    passage.body = Mutex::new(body);
    exchange.passage = Some(passage);
}

/// The way out of an answer of ours, whose body is at hand; returns what becomes of it.
pub fn of_ours(
    method: &Method,
    head: &mut ResponseHeader,
    body: Bytes,
    exchange: &mut Exchange,
) -> Bytes {
    way_out(method, head, exchange);
    let Some(passage) = exchange
        .passage
        .as_mut()
        .filter(|passage| passage.changes_body())
    else {
        return body;
    };
    let body = passage.change(body, true);
    // It is a name and a number: there is nothing to refuse.
    let _ = head.insert_header(CONTENT_LENGTH, body.len());
    body
}

impl Passage {
    /// Before the first filter. `normal` is its path in the normal form, `host` its host without port.
    pub fn new(request: &RequestHeader, normal: String, host: String) -> Self {
        Self {
            path: request.uri.path().to_owned(),
            normal,
            query: request.uri.query().map(str::to_owned),
            host,
            passed: 0,
            returns: Vec::new(),
            body: Mutex::default(),
            changes_body: false,
            witness: None,
            body_size: None,
        }
    }

    /// The path as the client wrote it.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What the client wrote behind the `?`.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Whether the answer's body goes through something.
    pub fn changes_body(&self) -> bool {
        self.changes_body
    }

    /// A piece of it, the innermost filter first.
    pub fn change(&mut self, piece: Bytes, is_last: bool) -> Bytes {
        let body = self.body.get_mut();
        let body = body.unwrap_or_else(PoisonError::into_inner);
        let through = |piece, step: &mut Box<dyn Transform>| step.piece(piece, is_last);
        body.iter_mut().fold(piece, through)
    }
}

/// The fields of an answer, each with the spelling of its server.
pub struct Answer<'r>(pub &'r mut ResponseHeader);

impl Fields for Answer<'_> {
    fn map(&self) -> &HeaderMap {
        &self.0.headers
    }

    fn get(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.0.headers.get(name)
    }

    fn all(&self, name: &HeaderName) -> Vec<HeaderValue> {
        self.0.headers.get_all(name).iter().cloned().collect()
    }

    fn insert(&mut self, name: &HeaderName, value: HeaderValue) {
        // It is a name and a value already: there is nothing to refuse.
        let _ = self.0.insert_header(name.clone(), value);
    }

    fn append(&mut self, name: &HeaderName, value: HeaderValue) {
        let _ = self.0.append_header(name.clone(), value);
    }

    fn remove(&mut self, name: &HeaderName) {
        self.0.remove_header(name);
    }
}
