//! Routes and a request, made of bytes: the table finds what the reference finds. Few names and values, so that routes get
//! in each other's way.

#![no_main]

use std::net::IpAddr;
use std::sync::LazyLock;

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::arbitrary::{Result, Unstructured};
use libfuzzer_sys::fuzz_target;
use regex::Regex;
use tidegate::route::condition::{Condition, Host, PathCondition, Request, Test};
use tidegate::route::path::normalise;
use tidegate::route::{Entry, Match, Table, condition};

// The one that the crate's own tests use, with `condition`, `Entry` and `Match` above as its surroundings. It is no part of the
// crate as others see it, and a copy would be another opinion.
#[path = "../../proxy/src/route/reference.rs"]
mod reference;

/// A negation or a choice within another one, and no further.
const DEPTH_MAX: usize = 3;

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let written = [
        "/a.*",
        "/[ab]/b",
        "(/ab)+",
        "/",
        ".*b",
        "/a|/b",
        "/(?P<name>[^/]+)(/.*)?",
    ];
    let anchored = |pattern| Regex::new(&format!("^(?:{pattern})$")).expect("a pattern");
    written.map(anchored).into()
});

/// What is asked.
struct Asked {
    host: String,
    path: String,
    query: Option<&'static str>,
    method: Method,
    headers: HeaderMap,
    client: Option<IpAddr>,
}

impl Asked {
    fn new(bytes: &mut Unstructured<'_>) -> Result<Self> {
        let mut headers = HeaderMap::new();
        for _ in 0..bytes.int_in_range(0..=3)? {
            let name = bytes.choose(&["h1", "h2", "cookie"])?;
            let value = bytes.choose(&["1", "2", "", "c1=1", "c2=2; c1=2", ";c1", "c1=; c2"])?;
            headers.append(*name, HeaderValue::from_static(value));
        }
        let queries = [
            None,
            Some(""),
            Some("q1=1"),
            Some("q1=2&q2=1"),
            Some("q2&q1=1&q1=2"),
        ];
        let clients = [None, Some("10.1.0.1"), Some("10.2.0.1"), Some("fd00::1")];
        Ok(Self {
            // A client may well send a name without a label, or none.
            host: host(bytes, &["x", "a", "b", ""], 0)?,
            path: path(bytes)?,
            query: *bytes.choose(&queries)?,
            method: bytes
                .choose(&[Method::GET, Method::PUT, Method::DELETE])?
                .clone(),
            headers,
            client: bytes
                .choose(&clients)?
                .map(|client| client.parse().expect("an address")),
        })
    }

    fn request(&self) -> Request<'_> {
        Request {
            host: &self.host,
            path: &self.path,
            query: self.query,
            method: &self.method,
            headers: &self.headers,
            client: self.client,
        }
    }
}

fn list<T>(
    bytes: &mut Unstructured<'_>,
    count: std::ops::RangeInclusive<usize>,
    one: impl Fn(&mut Unstructured<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let count = bytes.int_in_range(count)?;
    (0..count).map(|_| one(bytes)).collect()
}

fn host(bytes: &mut Unstructured<'_>, labels: &[&'static str], least: usize) -> Result<String> {
    Ok(list(bytes, least..=4, |bytes| bytes.choose(labels).copied())?.join("."))
}

fn hosts(bytes: &mut Unstructured<'_>, least: usize) -> Result<Vec<Host>> {
    list(bytes, least..=2, |bytes| {
        let star = bytes.choose(&["", "*."])?;
        Ok(Host::new(&format!(
            "{star}{}",
            host(bytes, &["x", "a", "b"], 1)?
        )))
    })
}

/// In its normal form, as the table's are, and a request's by the time it gets there.
fn path(bytes: &mut Unstructured<'_>) -> Result<String> {
    let pieces = ["a", "b", "/", "/a", "/b", "/ab", ".", "%2F", "%", "\u{e9}"];
    let pieces = list(bytes, 0..=6, |bytes| bytes.choose(&pieces).copied())?.concat();
    let written = format!("/{pieces}");
    Ok(normalise(&written).map_or("/".to_owned(), |normal| normal.into_owned()))
}

fn path_condition(bytes: &mut Unstructured<'_>) -> Result<PathCondition> {
    // Many that take anything, so that what else is asked for decides; few patterns, which are slow to make.
    Ok(match bytes.int_in_range(0..=7)? {
        0..=2 => PathCondition::Any,
        3..=4 => PathCondition::Exact(path(bytes)?),
        5..=6 => PathCondition::Prefix(path(bytes)?.trim_end_matches('/').to_owned()),
        _ => PathCondition::Pattern(bytes.choose(&PATTERNS)?.clone()),
    })
}

fn tests(bytes: &mut Unstructured<'_>) -> Result<Vec<Test>> {
    list(bytes, 1..=2, |bytes| {
        let value = bytes.choose(&["1", "2", ""])?.to_string();
        Ok(match bytes.int_in_range(0..=3)? {
            0 => Test::Exact(value),
            1 => Test::Prefix(value),
            2 => Test::Present,
            _ => Test::Absent,
        })
    })
}

fn conditions(bytes: &mut Unstructured<'_>, least: usize, depth: usize) -> Result<Vec<Condition>> {
    list(bytes, least..=2, |bytes| condition(bytes, depth))
}

fn condition(bytes: &mut Unstructured<'_>, depth: usize) -> Result<Condition> {
    let kinds = if depth < DEPTH_MAX { 8 } else { 6 };
    Ok(match bytes.int_in_range(0..=kinds)? {
        0 => Condition::Method(vec![bytes.choose(&[Method::GET, Method::PUT])?.clone()]),
        1 => Condition::Header(
            HeaderName::from_static(bytes.choose(&["h1", "h2"])?),
            tests(bytes)?,
        ),
        2 => Condition::Query(bytes.choose(&["q1", "q2"])?.to_string(), tests(bytes)?),
        3 => Condition::Cookie(bytes.choose(&["c1", "c2"])?.to_string(), tests(bytes)?),
        4 => {
            let network = bytes.choose(&["10.0.0.0/8", "10.1.0.0/16", "fd00::/8"])?;
            Condition::Client(vec![network.parse().expect("a network")])
        }
        5 => Condition::Path(path_condition(bytes)?),
        6 => Condition::Host(hosts(bytes, 1)?),
        7 => Condition::Not(conditions(bytes, 1, depth + 1)?),
        _ => Condition::Any(list(bytes, 1..=2, |bytes| conditions(bytes, 1, depth + 1))?),
    })
}

fn entries(bytes: &mut Unstructured<'_>) -> Result<Vec<Entry>> {
    let mut entries = list(bytes, 0..=6, |bytes| {
        Ok(Entry {
            name: String::new(),
            priority: *bytes.choose(&[0, 0, 0, 1, -1])?,
            matches: list(bytes, 1..=2, |bytes| {
                Ok(Match {
                    hosts: if bytes.ratio(1, 2)? {
                        hosts(bytes, 1)?
                    } else {
                        Vec::new()
                    },
                    path: path_condition(bytes)?,
                    conditions: conditions(bytes, 0, 0)?,
                })
            })?,
        })
    })?;
    for (index, entry) in entries.iter_mut().enumerate() {
        entry.name = format!("{index:03}");
    }
    // The order of the file must not count.
    if !entries.is_empty() {
        let by = bytes.choose_index(entries.len())?;
        entries.rotate_left(by);
    }
    Ok(entries)
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = Unstructured::new(bytes);
    let (Ok(asked), Ok(entries)) = (Asked::new(&mut bytes), entries(&mut bytes)) else {
        return;
    };
    let request = asked.request();
    let table = Table::new(&entries).expect("patterns are small");
    let found = table.find(&request);
    let expected = reference::find(&entries, &request);
    assert_eq!(
        found.map(|found| found.route),
        expected,
        "{request:?} of {entries:?}"
    );
    if let Some(found) = found {
        table.captures(found, &asked.path, "name");
    }
});
