//! What a request has to be for a route to take it.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr};

use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, Method};
use ipnet::IpNet;
use regex::Regex;

/// What is known of a request when its route is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Request<'r> {
    /// In lower case, without port.
    pub host: &'r str,
    /// In its normal form ([`super::path::normalise`]).
    pub path: &'r str,
    /// What follows the `?`.
    pub query: Option<&'r str>,
    /// What is asked.
    pub method: &'r Method,
    /// The fields of its head.
    pub headers: &'r HeaderMap,
    /// Who asks.
    pub client: Option<IpAddr>,
}

/// Something that holds for a request or does not.
#[derive(Debug, Clone)]
pub enum Condition {
    /// One of these hosts.
    Host(Vec<Host>),
    /// On the path.
    Path(PathCondition),
    /// One of these methods.
    Method(Vec<Method>),
    /// A field of this name for which one of the tests holds.
    Header(HeaderName, Vec<Test>),
    /// The first parameter of this name.
    Query(String, Vec<Test>),
    /// The first cookie of this name.
    Cookie(String, Vec<Test>),
    /// An address in one of these networks.
    Client(Vec<IpNet>),
    /// All of these together do not hold.
    Not(Vec<Condition>),
    /// In one of these groups all hold.
    Any(Vec<Vec<Condition>>),
}

/// A host name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// This one.
    Exact(String),
    /// Everything that ends like this: `.example.com`.
    Below(String),
}

/// A condition on the path, in its normal form.
#[derive(Debug, Clone, Default)]
pub enum PathCondition {
    /// Every path.
    #[default]
    Any,
    /// This path and no other.
    Exact(String),
    /// This path and everything below it; without a slash at its end.
    Prefix(String),
    /// All of the path, from its first character to its last.
    Pattern(Regex),
}

/// How much a condition takes: by kind, then by length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Width {
    /// One.
    Exact,
    /// What an expression says.
    Pattern,
    /// Everything with a part in common, the longest first.
    Part(Reverse<usize>),
    /// Everything.
    Any,
}

/// A test of a value, or of whether there is one.
#[derive(Debug, Clone)]
pub enum Test {
    /// It is this.
    Exact(String),
    /// It begins like this.
    Prefix(String),
    /// All of it, from its first character to its last.
    Pattern(Regex),
    /// There is one.
    Present,
    /// There is none.
    Absent,
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, request: &Request<'_>) -> bool {
        match self {
            Self::Host(hosts) => hosts.iter().any(|host| host.holds(request.host)),
            Self::Path(path) => path.holds(request.path),
            Self::Method(methods) => methods.contains(request.method),
            Self::Header(name, tests) => {
                let mut values = request.headers.get_all(name).iter().peekable();
                match values.peek() {
                    None => hold(tests, None),
                    Some(_) => values.any(|value| hold(tests, Some(value.as_bytes()))),
                }
            }
            Self::Query(name, tests) => {
                let value = request.query.and_then(|query| parameter(query, name));
                hold(tests, value.as_deref().map(str::as_bytes))
            }
            Self::Cookie(name, tests) => hold(tests, cookie(request.headers, name)),
            Self::Client(networks) => request
                .client
                .is_some_and(|client| networks.iter().any(|network| network.contains(&client))),
            Self::Not(conditions) => !all_hold(conditions, request),
            Self::Any(groups) => groups.iter().any(|group| all_hold(group, request)),
        }
    }
}

/// Whether all of them hold.
pub fn all_hold(conditions: &[Condition], request: &Request<'_>) -> bool {
    conditions.iter().all(|condition| condition.holds(request))
}

impl Host {
    /// As for a path.
    pub(super) fn width(&self) -> Width {
        match self {
            Self::Exact(_) => Width::Exact,
            Self::Below(name) => Width::Part(Reverse(name.len())),
        }
    }

    /// `example.com`, `*.example.com`, `::1`, which a request writes in brackets.
    pub fn new(written: &str) -> Self {
        if let Ok(address) = written.parse::<Ipv6Addr>() {
            return Self::Exact(format!("[{address}]"));
        }
        let written = written.to_ascii_lowercase();
        match written.strip_prefix('*') {
            Some(below) => Self::Below(below.to_owned()),
            None => Self::Exact(written),
        }
    }

    /// The hosts that are both.
    pub fn and(&self, other: &Self) -> Option<Self> {
        let (narrow, wide) = match (self, other) {
            (Self::Exact(_), _) => (self, other),
            (_, Self::Exact(_)) => (other, self),
            (Self::Below(one), Self::Below(two)) if one.len() >= two.len() => (self, other),
            _ => (other, self),
        };
        let is_within = match (narrow, wide) {
            (Self::Exact(host), wide) => wide.holds(host),
            (Self::Below(one), Self::Below(two)) => one.ends_with(two.as_str()),
            (Self::Below(_), Self::Exact(_)) => false,
        };
        is_within.then(|| narrow.clone())
    }

    /// Whether it is this host.
    pub fn holds(&self, host: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == host,
            Self::Below(below) => host.len() > below.len() && host.ends_with(below.as_str()),
        }
    }
}

impl PathCondition {
    /// Less is more specific: exact before a pattern before the longest prefix.
    pub fn width(&self) -> Width {
        match self {
            Self::Exact(_) => Width::Exact,
            Self::Pattern(_) => Width::Pattern,
            Self::Prefix(prefix) if !prefix.is_empty() => Width::Part(Reverse(prefix.len())),
            Self::Prefix(_) | Self::Any => Width::Any,
        }
    }

    /// Whether it holds for this path.
    pub fn holds(&self, path: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(exact) => exact == path,
            Self::Prefix(prefix) => path
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/')),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

fn hold(tests: &[Test], value: Option<&[u8]>) -> bool {
    tests.iter().any(|test| test.holds(value))
}

impl Test {
    /// Whether it holds for a value, or for none.
    pub fn holds(&self, value: Option<&[u8]>) -> bool {
        match (self, value) {
            (Self::Absent, value) => value.is_none(),
            (_, None) => false,
            (Self::Present, Some(_)) => true,
            (Self::Exact(exact), Some(value)) => exact.as_bytes() == value,
            (Self::Prefix(prefix), Some(value)) => value.starts_with(prefix.as_bytes()),
            (Self::Pattern(pattern), Some(value)) => {
                pattern.is_match(&String::from_utf8_lossy(value))
            }
        }
    }
}

/// The first parameter of this name, read as forms are (WHATWG URL, section 5.1).
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(found, _)| found == name)
        .map(|(_, value)| value)
}

/// The first cookie of this name, as it was sent (RFC 6265, section 4.2.1). Browsers send whatever they were given: not all
/// of it is text.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let fields = headers.get_all(COOKIE).iter();
    let mut pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.find_map(|pair| {
        let (found, value) = pair.trim_ascii().split_at_checked(name.len())?;
        let value = value.strip_prefix(b"=")?;
        (found == name.as_bytes()).then_some(value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(condition: &Condition, fields: &[(&'static str, &str)], query: &str) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        condition.holds(&Request {
            host: "h",
            path: "/",
            query: Some(query),
            method: &Method::GET,
            headers: &headers,
            client: Some([10, 1, 2, 3].into()),
        })
    }

    fn exact(value: &str) -> Vec<Test> {
        vec![Test::Exact(value.to_owned())]
    }

    #[test]
    fn one_field_of_several_is_enough() {
        let env = |test| Condition::Header(HeaderName::from_static("env"), vec![test]);
        let fields = [("env", "blue"), ("env", "green")];
        assert!(holds(&env(Test::Exact("green".to_owned())), &fields, ""));
        assert!(holds(&env(Test::Prefix("gr".to_owned())), &fields, ""));
        assert!(holds(&env(Test::Present), &fields, ""));
        assert!(!holds(&env(Test::Absent), &fields, ""));
        assert!(holds(&env(Test::Absent), &[], ""));
        assert!(!holds(&env(Test::Exact(String::new())), &[], ""));
    }

    #[test]
    fn a_parameter_is_decoded_and_the_first_one_counts() {
        let is = |name: &str, value: &str| Condition::Query(name.to_owned(), exact(value));
        for (query, name, value, expected) in [
            ("a=1&b=2", "b", "2", true),
            ("a=1&a=2", "a", "2", false),
            ("x%5By%5D=a+b%26", "x[y]", "a b&", true),
            ("flag", "flag", "", true),
            ("", "flag", "", false),
            ("a=%FF", "a", "\u{fffd}", true),
        ] {
            assert_eq!(holds(&is(name, value), &[], query), expected, "{query}");
        }
    }

    #[test]
    fn a_cookie_is_found_in_whichever_field_it_came() {
        let is = |name: &str, value: &str| Condition::Cookie(name.to_owned(), exact(value));
        let fields = [
            ("cookie", "a=1; b=x=y"),
            ("cookie", "c=%20; a=2; n=\u{e9}; e=1"),
        ];
        for (name, value, expected) in [
            ("a", "1", true),
            ("a", "2", false),
            ("b", "x=y", true),
            ("c", "%20", true),
            ("d", "", false),
            ("e", "1", true),
        ] {
            assert_eq!(holds(&is(name, value), &fields, ""), expected, "{name}");
        }
    }

    #[test]
    fn not_turns_all_of_it_around() {
        let post = Condition::Method(vec![Method::POST]);
        let near = Condition::Client(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(holds(&near, &[], ""));
        assert!(holds(
            &Condition::Not(vec![post.clone(), near.clone()]),
            &[],
            ""
        ));
        assert!(!holds(&Condition::Not(vec![near.clone()]), &[], ""));
        assert!(holds(
            &Condition::Any(vec![vec![post], vec![near]]),
            &[],
            ""
        ));
    }

    #[test]
    fn a_wildcard_is_for_what_is_below() {
        let below = Host::new("*.Example.com");
        assert!(below.holds("a.example.com") && below.holds("a.b.example.com"));
        assert!(!below.holds("example.com") && !below.holds("aexample.com"));
    }
}
