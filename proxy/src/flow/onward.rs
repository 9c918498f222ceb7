//! Between the route and where it ends: who asked, how and for whom is added, and the route's filters run. What they change
//! is changed once, for all attempts; what they ask about is the request as it came.

use std::borrow::Cow;

use http::header::{CONNECTION, HOST, HeaderName};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Uri};
use pingora::http::{RequestHeader, ResponseHeader};

use super::{Exchange, fields, forward, receive};
use crate::end::Reply;
use crate::filter::facts::Facts;
use crate::filter::fields::Fields;
use crate::filter::{Request, Response, Verdict};
use crate::route::path::normalise;

/// A request as it came, where filters may have changed it.
#[derive(Debug)]
pub struct Original {
    /// Its path.
    pub path: String,
    query: Option<String>,
    /// Its host, without port.
    host: String,
}

/// The way in. An answer if a filter gives one.
///
/// # Errors
/// Only if the head cannot be written again, which is a mistake of ours.
pub fn way_in(
    request: &mut RequestHeader,
    exchange: &mut Exchange,
) -> pingora::Result<Option<Box<Reply>>> {
    let has_filters = exchange
        .route()
        .is_some_and(|route| !route.filters.is_empty());
    if has_filters {
        exchange.original = Some(Box::new(Original {
            path: request.uri.path().to_owned(),
            query: request.uri.query().map(str::to_owned),
            host: receive::host(request).unwrap_or_default().into_owned(),
        }));
    }
    let exchange = &*exchange;
    fields::change(request, |parts| {
        take_nominated(&mut parts.headers);
        forward::announce(parts, exchange);
        has_filters.then(|| run(parts, exchange)).flatten()
    })
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

fn run(parts: &mut Parts, exchange: &Exchange) -> Option<Box<Reply>> {
    let route = exchange.route()?;
    with_facts(&parts.method, exchange, |facts| {
        let mut request = Request {
            facts,
            path: Cow::Borrowed(facts.path),
            query: facts.query.map(Cow::Borrowed),
            headers: &mut parts.headers,
        };
        let asked_for = request.headers.get(HOST).cloned();
        for filter in &route.filters {
            if let Verdict::Respond(reply) = filter.request(&mut request) {
                return Some(reply);
            }
        }
        let is_same = request.path == facts.path && request.query.as_deref() == facts.query;
        let target = (!is_same).then(|| target(&request.path, request.query.as_deref()));
        let host = request
            .headers
            .get(HOST)
            .filter(|host| Some(*host) != asked_for.as_ref());
        if let Some(uri) = rewritten(&parts.uri, target, host) {
            parts.uri = uri;
        }
        None
    })
}

fn target(path: &str, query: Option<&str>) -> String {
    match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// None if nothing changes. A host stands in the target only of a request over HTTP/2, and of one that names a whole URL.
fn rewritten(uri: &Uri, target: Option<String>, host: Option<&HeaderValue>) -> Option<Uri> {
    let host = host.filter(|_| uri.authority().is_some());
    if target.is_none() && host.is_none() {
        return None;
    }
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
    method: &http::Method,
    exchange: &Exchange,
    then: impl FnOnce(&Facts<'_>) -> Option<T>,
) -> Option<T> {
    let original = exchange.original.as_ref()?;
    let found = exchange.found?;
    let table = &exchange.snapshot.table;
    let normal = normalise(&original.path).ok()?;
    then(&Facts {
        client: exchange.client.as_ref().map(|client| client.ip),
        host: &original.host,
        method,
        path: &original.path,
        query: original.query.as_deref(),
        id: exchange.id(),
        route: exchange.route().map_or("", |route| route.name.as_str()),
        capture: &|group| table.captures(found, &normal, group),
    })
}

/// The way out: the route's filters, the last one first.
pub fn way_out(method: &http::Method, fields: &mut dyn Fields, exchange: &Exchange) {
    let Some(route) = exchange.route().filter(|route| !route.filters.is_empty()) else {
        return;
    };
    with_facts(method, exchange, |facts| {
        let mut response = Response {
            facts,
            headers: fields,
        };
        for filter in route.filters.iter().rev() {
            filter.response(&mut response);
        }
        Some(())
    });
}

/// The fields of an answer, each with the spelling of its server.
pub struct Answer<'r>(pub &'r mut ResponseHeader);

impl Fields for Answer<'_> {
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
