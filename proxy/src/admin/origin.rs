//! Who may ask: programs of the operator's, not a page that the operator looks at. A browser that was led here sends the
//! name of the page it was led by, in `Origin` or, after its name was made to lead here (DNS rebinding), in `Host`.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::Problem;

/// Refuses what a page of somebody else's asks.
pub(super) async fn only_operators(request: Request, next: Next) -> Response {
    let headers = request.headers();
    if !is_local_name(headers) {
        let why = "this host is not known here: ask by address, as `localhost`, or by a name without dots";
        return Problem::new(why).with(StatusCode::FORBIDDEN);
    }
    if !is_same_origin(headers) {
        return Problem::new("a page of another origin may not ask here")
            .with(StatusCode::FORBIDDEN);
    }
    next.run(request).await
}

/// Whether it is no page of somebody else's that asks.
pub(super) fn is_of_an_operator(headers: &HeaderMap) -> bool {
    is_local_name(headers) && is_same_origin(headers)
}

/// Nobody else can be behind these.
fn is_local_name(headers: &HeaderMap) -> bool {
    let Some(host) = text(headers, &HOST) else {
        return true;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || !name.contains('.')
}

/// A program sends none.
fn is_same_origin(headers: &HeaderMap) -> bool {
    if !headers.contains_key(ORIGIN) {
        return true;
    }
    let origin = text(headers, &ORIGIN).and_then(|origin| origin.split_once("://"));
    let origin = origin.map(|(_, host)| host);
    origin.is_some() && origin == text(headers, &HOST)
}

fn text<'h>(headers: &'h HeaderMap, name: &axum::http::HeaderName) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(fields: &[(&'static str, &'static str)]) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        is_of_an_operator(&headers)
    }

    #[test]
    fn a_page_that_was_led_here_is_turned_away() {
        for host in ["127.0.0.1:9901", "[::1]:9901", "localhost", "proxy:9901"] {
            assert!(allowed(&[("host", host)]), "{host}");
        }
        assert!(allowed(&[
            ("host", "localhost:9901"),
            ("origin", "http://localhost:9901")
        ]));
        for fields in [
            &[("host", "evil.example:9901")][..],
            &[
                ("host", "localhost:9901"),
                ("origin", "http://evil.example"),
            ],
            &[("host", "localhost:9901"), ("origin", "null")],
        ] {
            assert!(!allowed(fields), "{fields:?}");
        }
    }
}
