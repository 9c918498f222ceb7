//! Beside the stages: the head of a request is remembered, if the file says so. What a client proves who it is with is
//! masked: only cookies and parameters that routes ask for keep their values.

use pingora::http::RequestHeader;

use super::Exchange;
use crate::config::secrets::{SHOWN, is_of_a_secret, tells};
use crate::end::split::Sticky;
use crate::observe::recent::Head;
use crate::snapshot::{End, Snapshot};

/// The head as it may be remembered, before any filter changed it; none if it is not to be.
pub fn remembered(request: &RequestHeader, exchange: &Exchange) -> Option<Head> {
    if exchange.snapshot.reload.remember == 0 {
        return None;
    }
    let snapshot = &exchange.snapshot;
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = match name.as_str() {
            "cookie" => cookies(&value, snapshot),
            // It holds the query of the page before.
            "referer" => value.split('?').next().unwrap_or_default().to_owned(),
            "sec-websocket-protocol" => SHOWN.to_owned(),
            name if is_of_a_secret(name) || name.contains("auth") => SHOWN.to_owned(),
            _ => value.into_owned(),
        };
        (name.as_str().to_owned(), value)
    };
    let mut headers: Vec<(String, String)> = request.headers.iter().map(field).collect();
    if let Some(authority) = request.uri.authority() {
        headers.retain(|(name, _)| name != "host");
        headers.push(("host".to_owned(), authority.to_string()));
    }
    Some(Head {
        method: request.method.to_string(),
        target: target(request, snapshot),
        headers,
        client: exchange.client.as_ref().map(|client| client.ip),
    })
}

/// Parameters that open a door, beside those whose name says so: signed links (RFC 9421 and others), OAuth's code (RFC 6749,
/// section 4.1.2).
fn is_of_a_pass(name: &str) -> bool {
    ["sig", "signature", "code", "key", "auth", "session"].contains(&name) || tells(name)
}

/// A split that keeps clients by a cookie asks for it too.
fn cookies(value: &str, snapshot: &Snapshot) -> String {
    let is_asked = |name: &str| {
        let by_split = snapshot.routes.iter().any(|route| match &route.end {
            End::Split(_, split) => {
                matches!(split.sticky(), Some(Sticky::Cookie(cookie)) if cookie == name)
            }
            _ => false,
        });
        by_split || snapshot.table.asks_for_cookie(name)
    };
    masked(value, ';', is_asked, |_| true)
}

fn target(request: &RequestHeader, snapshot: &Snapshot) -> String {
    let path = request.uri.path();
    match request.uri.query() {
        None => path.to_owned(),
        Some(query) => {
            let is_asked = |name: &str| snapshot.table.asks_for_parameter(name);
            format!("{path}?{}", masked(query, '&', is_asked, is_of_a_pass))
        }
    }
}

/// Pairs of which the values of some are masked.
fn masked(
    pairs: &str,
    between: char,
    is_asked: impl Fn(&str) -> bool,
    is_secret: impl Fn(&str) -> bool,
) -> String {
    let pairs = pairs.split(between).map(|pair| match pair.split_once('=') {
        Some((name, _)) if is_secret(name.trim()) && !is_asked(name.trim()) => {
            format!("{name}={SHOWN}")
        }
        _ => pair.to_owned(),
    });
    pairs.collect::<Vec<_>>().join(&between.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_nobody_asks_for_are_masked() {
        let asked = |name: &str| name == "beta";
        let cookies = masked("beta=1; sid=abc; x", ';', asked, |_| true);
        assert_eq!(cookies, "beta=1; sid=***; x");
        let query = masked("a=1&access_token=abc&q", '&', |_| false, is_of_a_pass);
        assert_eq!(query, "a=1&access_token=***&q");
    }
}
