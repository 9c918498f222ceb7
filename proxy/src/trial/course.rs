//! What becomes of a request that is only asked about: through the stages of `flow`, as `server::gateway` calls them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};

use super::question::{NoQuestion, Question};
use crate::config::secrets::shown;
use crate::error::Failure;
use crate::filter::{Request, Response, Verdict};
use crate::flow::answer::{self, Asked};
use crate::flow::onward::{self, Step, Witness};
use crate::flow::{Client, Exchange, forward, receive, reply, respond, select};
use crate::snapshot::{End, Snapshot};
use crate::turns::Purpose;

/// What became of a request.
pub(super) struct Course {
    /// The request as it came.
    pub(super) head: RequestHeader,
    /// What the stages know.
    pub(super) exchange: Exchange,
    /// What the filters did.
    pub(super) passages: Vec<Passed>,
    /// What the server is sent, if one is.
    pub(super) sent: Option<RequestHeader>,
    /// Why it is refused, if it is.
    pub(super) failure: Option<Failure>,
    /// What the client gets. Of a server's answer, what is made of the one that was supposed.
    pub(super) answer: Option<ResponseHeader>,
    /// The body, of an answer of ours.
    pub(super) body: Option<Bytes>,
}

/// A filter that a request came by.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// Its position.
    pub(super) position: usize,
    /// What it changed on the way in.
    pub(super) way_in: Vec<String>,
    /// What it said, other than to go on.
    pub(super) said: Option<String>,
    /// What it changed on the way out.
    pub(super) way_out: Vec<String>,
}

/// Sends it through. `supposed` is what a server is taken to answer.
///
/// # Errors
/// It cannot be a request.
pub(super) fn course(
    snapshot: &Arc<Snapshot>,
    question: &Question,
    supposed: &Supposed,
) -> Result<Course, NoQuestion> {
    let head = question.head()?;
    let mut exchange = Exchange::new(Arc::clone(snapshot));
    exchange.purpose = Purpose::Ask;
    exchange.client = Some(Client::new(question.client));
    let notes = Notes::default();
    let mut course = Course {
        head: head.clone(),
        exchange,
        passages: Vec::new(),
        sent: None,
        failure: None,
        answer: None,
        body: None,
    };
    course.run(head, supposed, &notes);
    course.passages = notes.take();
    Ok(course)
}

/// What a server is taken to answer.
#[derive(Debug, Clone, Default)]
pub(super) struct Supposed {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
}

impl Course {
    fn run(&mut self, mut request: RequestHeader, supposed: &Supposed, notes: &Notes) {
        let exchange = &mut self.exchange;
        if let Err(failure) = receive::receive(&request, None, exchange) {
            return self.fail(failure, &request);
        }
        if let Some(passage) = &mut exchange.passage {
            passage.witness = Some(Box::new(notes.clone()));
        }
        let step = match onward::way_in(&mut request, exchange) {
            Ok(Step::Later(later)) => onward::at_once(later, &mut request, exchange),
            step => step,
        };
        let written = step.map(|step| reply::after(step, &request, exchange));
        match written {
            Ok(Ok(Some(Ok((head, body))))) => {
                self.failure = exchange.failure;
                self.answer = Some(*head);
                self.body = Some(body.unwrap_or_default());
            }
            Ok(Ok(None)) => self.ask(request, supposed),
            Ok(Err(failure)) => self.fail(failure, &request),
            Ok(Ok(Some(Err(_)))) | Err(_) => self.failure = Some(Failure::Internal),
        }
    }

    /// Why no server would be asked; one that asks nobody of its own cannot know.
    fn nobody(&self, request: &RequestHeader) -> Option<Failure> {
        let upstream = &self.exchange.target()?.upstream;
        if upstream.is_still() {
            return None;
        }
        let asked = select::asked(upstream, request, &self.exchange, Instant::now());
        upstream.pool().pick(&asked).err().map(|why| why.into())
    }

    /// Where the proxy refuses it.
    fn fail(&mut self, failure: Failure, request: &RequestHeader) {
        self.failure = Some(failure);
        self.exchange.failure = Some(failure);
        let page = respond::page(failure, HeaderMap::new(), request, &mut self.exchange);
        if let Ok((head, body)) = page {
            self.answer = Some(*head);
            self.body = Some(body.unwrap_or_default());
        }
    }

    /// Where a server would be asked.
    fn ask(&mut self, mut request: RequestHeader, supposed: &Supposed) {
        if let Some(failure) = self.nobody(&request) {
            return self.fail(failure, &request);
        }
        let method = request.method.clone();
        if forward::forward(&mut request, Version::HTTP_11).is_err() {
            self.failure = Some(Failure::Internal);
            return;
        }
        self.sent = Some(request);
        let Ok(mut answer) = ResponseHeader::build(supposed.status, None) else {
            return;
        };
        for (name, value) in &supposed.headers {
            // They are a name and a value already: there is nothing to refuse.
            let _ = answer.append_header(name.clone(), value.clone());
        }
        let asked = Asked {
            version: Version::HTTP_11,
            method: &method,
        };
        match answer::answer(&mut answer, asked, &mut self.exchange) {
            Ok(()) => self.answer = Some(answer),
            Err(_) => self.failure = Some(Failure::Internal),
        }
    }

    /// The upstreams that may get it, in the order of their names.
    pub(super) fn upstreams(&self) -> Vec<&str> {
        let exchange = &self.exchange;
        let Some(route) = exchange.route().filter(|_| self.sent.is_some()) else {
            return Vec::new();
        };
        let client = exchange.client.as_ref().map(|client| client.ip);
        let mut names: Vec<&str> = match &route.end {
            End::Upstream(target) => vec![target.upstream.name()],
            End::Split(targets, split) => {
                let decided = split.decided(&self.head.headers, client);
                let arms: Vec<usize> =
                    decided.map_or_else(|| split.turns().collect(), |arm| vec![arm]);
                let arms = arms.into_iter().filter_map(|arm| targets.get(arm));
                arms.map(|target| target.upstream.name()).collect()
            }
            End::Redirect(_) | End::Respond(_) => Vec::new(),
        };
        names.sort_unstable();
        names
    }
}

/// What the filters did, as they do it.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    passages: Vec<Passed>,
    request: View,
    response: View,
}

/// What filters change, as text.
#[derive(Debug, Clone, Default)]
struct View {
    path: String,
    query: Option<String>,
    body_size: Option<u64>,
    fields: Vec<(String, String)>,
    transforms: usize,
}

impl Notes {
    fn take(&self) -> Vec<Passed> {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut noted.passages)
    }
}

impl Noted {
    fn at(&mut self, position: usize) -> Option<&mut Passed> {
        if !self.passages.iter().any(|one| one.position == position) {
            self.passages.push(Passed {
                position,
                ..Passed::default()
            });
        }
        self.passages
            .iter_mut()
            .find(|one| one.position == position)
    }
}

impl Witness for Notes {
    fn comes_in(&mut self, request: &Request<'_>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.request = View::of_request(request);
    }

    fn went_in(&mut self, position: usize, request: &Request<'_>, verdict: &Verdict) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = View::of_request(request);
        let changes = noted.request.changes(&now);
        noted.request = now;
        let said = said(verdict);
        if let Some(passed) = noted.at(position) {
            passed.way_in.extend(changes);
            passed.said = match (passed.said.take(), said) {
                (Some(before), Some(said)) => Some(format!("{before}, then {said}")),
                (before, said) => said.or(before),
            };
        }
    }

    fn comes_out(&mut self, response: &Response<'_>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        noted.response = View::of_response(response);
    }

    fn went_out(&mut self, position: usize, response: &Response<'_>) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = View::of_response(response);
        let changes = noted.response.changes(&now);
        noted.response = now;
        if let Some(passed) = noted.at(position) {
            passed.way_out.extend(changes);
        }
    }
}

impl View {
    fn of_request(request: &Request<'_>) -> Self {
        Self {
            path: request.path.clone().into_owned(),
            query: request.query.clone().map(|query| query.into_owned()),
            body_size: request.body_size,
            fields: fields(request.headers),
            transforms: 0,
        }
    }

    fn of_response(response: &Response<'_>) -> Self {
        Self {
            fields: fields(response.headers.map()),
            transforms: response.body.len(),
            ..Self::default()
        }
    }

    /// What is different now, in words.
    fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.path != now.path {
            changes.push(format!("path {} -> {}", self.path, now.path));
        }
        if self.query != now.query {
            let text = |query: &Option<String>| query.clone().unwrap_or_else(|| "none".to_owned());
            changes.push(format!(
                "query {} -> {}",
                text(&self.query),
                text(&now.query)
            ));
        }
        if self.body_size != now.body_size {
            let size = now.body_size.unwrap_or_default();
            changes.push(format!("the body may have {size} bytes"));
        }
        changes.extend(differences(&self.fields, &now.fields));
        if self.transforms != now.transforms {
            changes.push("the body is changed".to_owned());
        }
        changes
    }
}

fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let fields = headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    fields.collect()
}

/// `- name: value` for what went, `+ name: value` for what came. A secret is not shown, only that it went or came.
fn differences(before: &[(String, String)], now: &[(String, String)]) -> Vec<String> {
    let without = |these: &[(String, String)], those: &[(String, String)]| {
        let mut left = these.to_vec();
        for one in those {
            if let Some(at) = left.iter().position(|other| other == one) {
                left.remove(at);
            }
        }
        left
    };
    let went = without(before, now);
    let came = without(now, before);
    let went = went
        .iter()
        .map(|(name, value)| format!("- {name}: {}", shown(name, value)));
    let came = came
        .iter()
        .map(|(name, value)| format!("+ {name}: {}", shown(name, value)));
    went.chain(came).collect()
}

fn said(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Continue | Verdict::Then(_) => None,
        Verdict::Respond(reply) => Some(format!("answers {}", reply.status.as_u16())),
        Verdict::Refuse(failure, _) => Some(format!(
            "refuses it: {} {}",
            failure.status(),
            failure.label()
        )),
        Verdict::Wait(span, _) => Some(format!(
            "holds it for {}",
            humantime::format_duration(*span)
        )),
        Verdict::Work(_) => None,
    }
}
