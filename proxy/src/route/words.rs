//! Conditions in words: what is asked for, as the file writes it, and why a request is not that.

use std::fmt::{self, Display, Formatter};

use regex::Regex;

use crate::config::secrets::{SHOWN, is_of_a_secret};

use super::condition::{Condition, Host, PathCondition, Request, Test, all_hold, cookie};

/// Longer values of a request are cut.
const VALUE_MAX: usize = 80;

impl Display for Host {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => f.write_str(host),
            Self::Below(below) => write!(f, "*{below}"),
        }
    }
}

impl Display for PathCondition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any path"),
            Self::Exact(path) => write!(f, "path {path}"),
            Self::Prefix(prefix) if prefix.is_empty() => f.write_str("path_prefix /"),
            Self::Prefix(prefix) => write!(f, "path_prefix {prefix}"),
            Self::Pattern(pattern) => write!(f, "path_regex {}", written(pattern)),
        }
    }
}

impl Display for Test {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(value) => write!(f, "`{value}`"),
            Self::Prefix(value) => write!(f, "something that begins with `{value}`"),
            Self::Pattern(pattern) => write!(f, "something like `{}`", written(pattern)),
            Self::Present => f.write_str("anything"),
            Self::Absent => f.write_str("nothing"),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(hosts) => write!(f, "host {}", either(hosts)),
            Self::Path(path) => path.fmt(f),
            Self::Method(methods) => write!(f, "method {}", either(methods)),
            Self::Header(name, tests) => {
                write!(f, "header {name} {}", asked(name.as_str(), tests))
            }
            Self::Query(name, tests) => write!(f, "query {name} {}", asked(name, tests)),
            Self::Cookie(name, tests) => write!(f, "cookie {name} {}", asked(name, tests)),
            Self::Client(networks) => write!(f, "client {}", either(networks)),
            Self::Not(conditions) => write!(f, "not ({})", all(conditions)),
            Self::Any(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| all(group)).collect();
                write!(f, "any of ({})", groups.join(") or ("))
            }
        }
    }
}

impl PathCondition {
    /// Why it does not hold.
    pub(super) fn refusal(&self, path: &str) -> String {
        let path = shown(path.as_bytes());
        match self {
            Self::Any => String::new(),
            Self::Exact(exact) => format!("the path is {path}, not `{exact}`"),
            Self::Prefix(prefix) => {
                format!("the path is {path}, not `{prefix}` or below it")
            }
            Self::Pattern(pattern) => {
                format!("the path {path} does not fit `{}`", written(pattern))
            }
        }
    }
}

impl Condition {
    /// Why it does not hold.
    pub(super) fn refusal(&self, request: &Request<'_>) -> String {
        let other = |noun: &str, name: &str, found: Option<&[u8]>, tests: &[Test]| match found {
            Some(_) if is_of_a_secret(name) && tests.iter().any(Test::has_value) => {
                format!("{noun} `{name}` has another value, a secret that is not shown")
            }
            Some(_) if is_of_a_secret(name) => {
                format!("{noun} `{name}` is `{SHOWN}`, not {}", either(tests))
            }
            Some(found) => format!("{noun} `{name}` is {}, not {}", shown(found), either(tests)),
            None => format!("there is no {noun} `{name}`"),
        };
        match self {
            Self::Host(hosts) => format!("the host is `{}`, not {}", request.host, either(hosts)),
            Self::Path(path) => path.refusal(request.path),
            Self::Method(methods) => {
                format!("the method is {}, not {}", request.method, either(methods))
            }
            Self::Header(name, tests) => {
                let value = request.headers.get(name).map(|value| value.as_bytes());
                other("header", name.as_str(), value, tests)
            }
            Self::Query(name, tests) => {
                let value = request
                    .query
                    .and_then(|query| super::condition::parameter(query, name));
                let value = value.as_deref().map(str::as_bytes);
                other("query parameter", name, value, tests)
            }
            Self::Cookie(name, tests) => {
                let value = cookie(request.headers, name);
                other("cookie", name, value, tests)
            }
            Self::Client(networks) => match request.client {
                Some(client) => format!("the client is {client}, not in {}", either(networks)),
                None => "the client's address is not known".to_owned(),
            },
            Self::Not(conditions) => format!("it is what `not` excludes: {}", all(conditions)),
            Self::Any(groups) => {
                let why = groups.iter().filter_map(|group| first(group, request));
                format!("none of `any`: {}", why.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

/// Why the first of them that does not hold does not.
pub(super) fn first(conditions: &[Condition], request: &Request<'_>) -> Option<String> {
    let mut failing = conditions.iter();
    let failing = failing.find(|one| !all_hold(std::slice::from_ref(one), request))?;
    Some(failing.refusal(request))
}

/// The expression as it was written, without the anchors that were put around it.
fn written(pattern: &Regex) -> &str {
    let text = pattern.as_str();
    let inner = text.strip_prefix("^(?:");
    inner
        .and_then(|inner| inner.strip_suffix(")$"))
        .unwrap_or(text)
}

/// What is asked of a value of this name; a secret is not shown.
fn asked(name: &str, tests: &[Test]) -> String {
    match is_of_a_secret(name) && tests.iter().any(Test::has_value) {
        true => format!("`{SHOWN}`"),
        false => either(tests),
    }
}

impl Test {
    /// Whether it says what a value is, not only whether there is one.
    fn has_value(&self) -> bool {
        !matches!(self, Self::Present | Self::Absent)
    }
}

fn either<T: Display>(all: &[T]) -> String {
    let all: Vec<String> = all.iter().map(T::to_string).collect();
    all.join(" or ")
}

fn all(conditions: &[Condition]) -> String {
    let conditions: Vec<String> = conditions.iter().map(Condition::to_string).collect();
    conditions.join(" and ")
}

fn shown(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    match text.char_indices().nth(VALUE_MAX) {
        Some((at, _)) => format!("`{}...`", text.get(..at).unwrap_or_default()),
        None => format!("`{text}`"),
    }
}
