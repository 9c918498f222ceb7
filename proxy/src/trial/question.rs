//! A request that nobody sends.

use std::net::IpAddr;

use http::header::{HOST, HeaderName};
use http::{HeaderMap, HeaderValue, Method, Uri};
use pingora::http::RequestHeader;
use serde::{Deserialize, Serialize};

use crate::config;
use crate::config::secrets::shown;

/// Who asks, where nobody says.
const CLIENT: IpAddr = config::Question::CLIENT.0;

/// The host of a request that names none.
const HOST_DEFAULT: &str = "localhost";

/// A request that nobody sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// What is asked.
    pub method: String,
    /// A path with its query, or a whole URL.
    pub url: String,
    /// Its fields; `Host` may be one of them.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// Who asks.
    #[serde(default = "client")]
    pub client: IpAddr,
}

fn client() -> IpAddr {
    CLIENT
}

/// It cannot be a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// No method.
    #[error("`{0}` is no method: such as `GET`")]
    Method(String),
    /// No path and no URL.
    #[error(
        "`{0}` is neither a path nor a URL: such as `/api/hello` or `https://example.com/api/hello`"
    )]
    Url(String),
    /// No field.
    #[error("`{}: {}` cannot be a field: a name is a word, a value is visible ASCII", .0, .1.escape_debug())]
    Field(String, String),
}

impl Question {
    /// What is asked, of `localhost`, by this machine.
    pub fn new(method: &str, url: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            client: CLIENT,
        }
    }

    /// Host and target, as far as they are known.
    pub(super) fn shown(&self) -> String {
        let mut headers = self.headers.iter();
        let host = headers.find(|(name, _)| name.eq_ignore_ascii_case("host"));
        match host {
            Some((_, host)) if self.url.starts_with('/') => format!("{host}{}", self.url),
            _ => self.url.clone(),
        }
    }

    /// As it would come over HTTP/1.1.
    ///
    /// # Errors
    /// It cannot.
    pub(super) fn head(&self) -> Result<RequestHeader, NoQuestion> {
        let method = Method::from_bytes(self.method.as_bytes());
        let method = method.map_err(|_| NoQuestion::Method(self.method.clone()))?;
        let no_url = || NoQuestion::Url(self.url.clone());
        let (host, target) = self.place().ok_or_else(no_url)?;
        let head = RequestHeader::build(method, target.as_bytes(), Some(self.headers.len() + 1));
        let mut head = head.map_err(|_| no_url())?;
        let mut fields = HeaderMap::new();
        for (name, value) in &self.headers {
            let read = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .zip(HeaderValue::from_str(value).ok());
            let (name, value) =
                read.ok_or_else(|| NoQuestion::Field(name.clone(), shown(name, value).to_owned()))?;
            fields.append(name, value);
        }
        if let Some(host) = host.or_else(|| (!fields.contains_key(HOST)).then(default_host)) {
            fields.insert(HOST, HeaderValue::from_str(&host).map_err(|_| no_url())?);
        }
        for (name, value) in &fields {
            // They are a name and a value already: there is nothing to refuse.
            let _ = head.append_header(name.clone(), value.clone());
        }
        Ok(head)
    }

    /// The host, if the URL names one, and what stands in the request's first line.
    fn place(&self) -> Option<(Option<String>, String)> {
        let url = self.url.as_str();
        if url.starts_with('/') || url == "*" {
            let is_fine = url.bytes().all(|byte| byte.is_ascii_graphic());
            return is_fine.then(|| (None, url.to_owned()));
        }
        let uri: Uri = url.parse().ok()?;
        if !matches!(uri.scheme_str()?, "http" | "https") {
            return None;
        }
        let host = uri.authority()?.as_str();
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = if target.starts_with('?') {
            format!("/{target}")
        } else {
            target.to_owned()
        };
        let no_name = host.contains('@');
        (!no_name).then(|| (Some(host.to_owned()), target))
    }
}

fn default_host() -> String {
    HOST_DEFAULT.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(url: &str) -> Option<(String, String)> {
        let head = Question::new("GET", url).head().ok()?;
        let host = head.headers.get(HOST)?.to_str().ok()?.to_owned();
        Some((host, String::from_utf8(head.raw_path().to_vec()).ok()?))
    }

    #[test]
    fn a_path_or_a_url() {
        for (url, host, target) in [
            ("/a?b=1", "localhost", "/a?b=1"),
            ("https://x.example", "x.example", "/"),
            ("https://x.example?a", "x.example", "/?a"),
            ("http://x.example:81/a//b", "x.example:81", "/a//b"),
        ] {
            assert_eq!(
                head(url),
                Some((host.to_owned(), target.to_owned())),
                "{url}"
            );
        }
        for url in ["", "a", "ftp://x/", "https:///x", "/a b", "http://u@h/"] {
            assert_eq!(head(url), None, "{url}");
        }
    }

    #[test]
    fn a_host_among_the_fields_counts_unless_the_url_names_one() {
        let mut question = Question::new("GET", "/");
        question.headers = vec![("Host".to_owned(), "a".to_owned())];
        assert_eq!(question.head().unwrap().headers["host"], "a");
        question.url = "http://b/".to_owned();
        assert_eq!(question.head().unwrap().headers["host"], "b");
    }
}
