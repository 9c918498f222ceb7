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

/// What becomes of the path. All are in the normal form.
#[derive(Debug, Clone)]
pub enum NewPath {
    /// This, whatever it was.
    Whole(String),
    /// `to` in place of `from`, both without a slash at the end.
    Prefix {
        /// What the route's `path_prefix` takes.
        from: String,
        /// What comes in its place.
        to: String,
    },
}

/// Where the client is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'r> {
    /// Host and port, as they came; an old client may leave them out.
    pub host: Option<&'r str>,
    /// The path, as it came.
    pub path: &'r str,
    /// The path in its normal form.
    pub normal: &'r str,
    /// What follows the `?`.
    pub query: Option<&'r str>,
}

impl Redirect {
    /// The answer.
    pub fn reply(&self, from: &Place<'_>) -> Reply {
        let mut headers = HeaderMap::new();
        // It is made of a request target that was taken and of names and paths of the file that were checked.
        if let Ok(location) = HeaderValue::from_bytes(self.location(from).as_bytes()) {
            headers.insert(LOCATION, location);
        }
        Reply {
            status: self.status,
            headers,
            body: Bytes::new(),
        }
    }

    /// The whole URL. Without a scheme it begins with `//`, and where only the path changes it is a path: whoever stands
    /// before us may have ended TLS, and the client goes on as it came (RFC 3986, section 4.2).
    pub fn location(&self, from: &Place<'_>) -> String {
        let origin = self.origin(from);
        let mut location = origin.clone().unwrap_or_default();
        match &self.path {
            // Without a host before it, `//evil.example` would be one.
            None if origin.is_none() => location.push_str(from.normal),
            None => location.push_str(from.path),
            Some(NewPath::Whole(path)) => location.push_str(path),
            Some(NewPath::Prefix { from: prefix, to }) => {
                let below = from
                    .normal
                    .strip_prefix(prefix.as_str())
                    .unwrap_or_default();
                let path = format!("{to}{below}");
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
        let here = Some(here).filter(|host| !host.is_empty());
        let host = self.host.as_deref().or(here)?;
        let scheme = self.scheme.as_ref().map(|scheme| format!("{scheme}:"));
        let written = self.port.map(|port| port.to_string());
        let port = match &self.scheme {
            Some(_) => written.as_deref(),
            None => written.as_deref().or(port_here),
        };
        let port = port.map(|port| format!(":{port}"));
        let [scheme, port] = [scheme, port].map(Option::unwrap_or_default);
        Some(format!("{scheme}//{host}{port}"))
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
        normal: "/old/x",
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
                "//www.example.com:8080/old//x?a=1",
            ),
            (|to| to.port = Some(81), "//example.com:81/old//x?a=1"),
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
        for (path, to, expected) in [
            ("/foo/bar", "/xyz", "/xyz/bar"),
            ("/foo", "/xyz", "/xyz"),
            ("/foo/", "/xyz", "/xyz/"),
            ("/foo/bar", "", "/bar"),
            ("/foo", "", "/"),
            ("/foo/", "", "/"),
        ] {
            let mut redirect = redirect();
            redirect.path = Some(NewPath::Prefix {
                from: "/foo".to_owned(),
                to: to.to_owned(),
            });
            let from = Place {
                normal: path,
                query: None,
                ..FROM
            };
            assert_eq!(redirect.location(&from), expected, "{path} {to}");
        }
    }

    #[test]
    fn an_address_keeps_its_brackets_and_no_host_gives_a_path_that_is_no_host() {
        let mut redirect = redirect();
        redirect.scheme = Some("https".to_owned());
        for (host, expected) in [
            (Some("[::1]:8080"), "https://[::1]/old//x?a=1"),
            (Some("[::1]"), "https://[::1]/old//x?a=1"),
            (None, "/old/x?a=1"),
            (Some(""), "/old/x?a=1"),
        ] {
            let from = Place { host, ..FROM };
            assert_eq!(redirect.location(&from), expected);
        }
    }
}
