//! `redirect:` the client is sent elsewhere (RFC 9110, section 15.4). What the file leaves out stays as the client wrote it.

use bytes::Bytes;
use http::header::LOCATION;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Reply;

/// Where to.
#[derive(Debug, Clone)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// A name or an address.
    pub host: Option<String>,
    /// Its port.
    pub port: Option<u16>,
    /// Another path.
    pub path: Option<NewPath>,
    /// How the client is told.
    pub status: StatusCode,
    /// Whether the query goes with it.
    pub keep_query: bool,
}

/// What becomes of the path.
#[derive(Debug, Clone)]
pub enum NewPath {
    /// This, whatever it was.
    Whole(String),
    /// This in place of what the route's prefix took.
    Prefix(String),
}

/// Where the client is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'r> {
    /// Host and port, as they came; an old client may leave them out.
    pub host: Option<&'r str>,
    /// The path, as it came.
    pub path: &'r str,
    /// What the route's prefix left of the path in its normal form.
    pub below_prefix: &'r str,
    /// What follows the `?`.
    pub query: Option<&'r str>,
}

/// What stands in a place where the file says nothing and the request cannot be over TLS.
const SCHEME: &str = "http";

impl Redirect {
    /// The answer.
    pub fn reply(&self, from: &Place<'_>) -> Reply {
        let mut headers = HeaderMap::new();
        // It is made of a request target that was taken and of the file: there is no control character in it.
        if let Ok(location) = HeaderValue::from_bytes(self.location(from).as_bytes()) {
            headers.insert(LOCATION, location);
        }
        Reply {
            status: self.status,
            headers,
            body: Bytes::new(),
        }
    }

    /// The whole URL; or, where only the path changes, the path, since whoever stands before us may have ended TLS.
    pub fn location(&self, from: &Place<'_>) -> String {
        let mut location = self.origin(from).unwrap_or_default();
        match &self.path {
            None => location.push_str(from.path),
            Some(NewPath::Whole(path)) => location.push_str(path),
            Some(NewPath::Prefix(prefix)) => {
                let path = format!("{}{}", prefix.trim_end_matches('/'), from.below_prefix);
                location.push_str(if path.is_empty() { "/" } else { &path });
            }
        }
        if let Some(query) = from.query.filter(|_| self.keep_query) {
            location.push('?');
            location.push_str(query);
        }
        location
    }

    fn origin(&self, from: &Place<'_>) -> Option<String> {
        if self.scheme.is_none() && self.host.is_none() && self.port.is_none() {
            return None;
        }
        let (here, port_here) = from.host.map_or(("", None), split_port);
        let scheme = self.scheme.as_deref().unwrap_or(SCHEME);
        let host = self
            .host
            .as_deref()
            .or(Some(here).filter(|host| !host.is_empty()))?;
        let written = self.port.map(|port| port.to_string());
        let port = match (&written, &self.scheme) {
            (Some(port), _) => Some(port.as_str()),
            (None, Some(_)) => None,
            (None, None) => port_here,
        };
        let usual = if scheme == "https" { "443" } else { "80" };
        Some(match port.filter(|port| *port != usual) {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }
}

/// `[::1]:80` has the host `[::1]`.
fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Place<'static> = Place {
        host: Some("example.com:8080"),
        path: "/old//x",
        below_prefix: "/x",
        query: Some("a=1"),
    };

    fn redirect() -> Redirect {
        Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: StatusCode::FOUND,
            keep_query: true,
        }
    }

    #[test]
    fn what_is_left_out_stays_as_the_client_wrote_it() {
        let location = |change: fn(&mut Redirect)| {
            let mut redirect = redirect();
            change(&mut redirect);
            redirect.location(&FROM)
        };
        for (change, expected) in [
            (
                (|to| to.scheme = Some("https".to_owned())) as fn(&mut Redirect),
                "https://example.com/old//x?a=1",
            ),
            (
                |to| to.host = Some("www.example.com".to_owned()),
                "http://www.example.com:8080/old//x?a=1",
            ),
            (|to| to.port = Some(81), "http://example.com:81/old//x?a=1"),
            (|to| to.port = Some(80), "http://example.com/old//x?a=1"),
            (
                |to| {
                    to.scheme = Some("https".to_owned());
                    to.port = Some(8443);
                    to.keep_query = false;
                },
                "https://example.com:8443/old//x",
            ),
            (
                |to| to.path = Some(NewPath::Whole("/new".to_owned())),
                "/new?a=1",
            ),
        ] {
            assert_eq!(location(change), expected);
        }
    }

    /// The table of `HTTPPathModifier` in the specification of the Kubernetes Gateway API.
    #[test]
    fn a_prefix_is_replaced_as_the_gateway_api_says() {
        for (below, prefix, expected) in [
            ("/bar", "/xyz", "/xyz/bar"),
            ("/bar", "/xyz/", "/xyz/bar"),
            ("", "/xyz", "/xyz"),
            ("/", "/xyz", "/xyz/"),
            ("/bar", "/", "/bar"),
            ("", "/", "/"),
            ("/", "/", "/"),
        ] {
            let mut redirect = redirect();
            redirect.path = Some(NewPath::Prefix(prefix.to_owned()));
            let from = Place {
                below_prefix: below,
                query: None,
                ..FROM
            };
            assert_eq!(redirect.location(&from), expected, "{below} {prefix}");
        }
    }

    #[test]
    fn an_address_keeps_its_brackets_and_no_host_gives_a_path() {
        let mut redirect = redirect();
        redirect.scheme = Some("https".to_owned());
        for (host, expected) in [
            (Some("[::1]:8080"), "https://[::1]/old//x?a=1"),
            (Some("[::1]"), "https://[::1]/old//x?a=1"),
            (None, "/old//x?a=1"),
        ] {
            let from = Place { host, ..FROM };
            assert_eq!(redirect.location(&from), expected);
        }
    }
}
