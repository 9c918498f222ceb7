//! From a `match:` as it was written to what the table of routes is made of: names and paths in their normal form,
//! expressions compiled, `any` taken apart into matches of their own.

use std::collections::HashSet;

use http::Method;
use http::header::HeaderName;
use regex::{Regex, RegexBuilder};

use super::Match;
use super::condition::{Condition, Host, PathCondition, Test};
use super::path::normalise;
use crate::config::nearest::nearest;
use crate::config::{self, Diagnostic, OneOrMany, PATH_MAX, Span, Spanned, ValueMatch, code};

/// Those that people ask with.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What one expression may become, in bytes.
const EXPRESSION_MAX: usize = 10 << 20;

/// A route of more alternatives is a table, and belongs behind the proxy.
const ALTERNATIVES_MAX: usize = 1000;

/// Every way in which a request can be what was written.
///
/// # Errors
/// Everything that is wrong with it. `route` is the name to point at for what concerns all of it.
pub fn matches(
    route: &Spanned<String>,
    written: &config::Match,
) -> Result<Vec<Match>, Vec<Diagnostic>> {
    let mut reader = Reader::new("route", route);
    let alternatives = reader.alternatives(written);
    if reader.wrong.is_empty() && alternatives.is_empty() {
        reader.wrong.push(
            Diagnostic::error(
                code::NEVER_MATCHES,
                format!("route `{route}` can never match"),
            )
            .at(route.span)
            .label("no host is in all of its lists"),
        );
    }
    if reader.wrong.is_empty() {
        Ok(alternatives.into_iter().map(Alternative::finish).collect())
    } else {
        Err(reader.wrong)
    }
}

/// What is wrong with a list that has nothing in it.
const NONE: &str = "an empty list: nothing is one of none";

/// What was written, as conditions that all must hold. `subject` is what they decide about, by its kind and its name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn conditions(
    noun: &'static str,
    subject: &Spanned<String>,
    written: &config::Match,
) -> Result<Vec<Condition>, Vec<Diagnostic>> {
    let mut reader = Reader::new(noun, subject);
    config::match_syntax(&format!("{noun} `{subject}`"), written, &mut reader.wrong);
    if has_empty_list(written) {
        reader.never(NONE);
    }
    let conditions = reader.all(written);
    if reader.wrong.is_empty() && conditions.is_empty() {
        reader.wrong.push(
            Diagnostic::error(
                code::NO_CONDITION,
                format!("no condition in {noun} `{subject}`"),
            )
            .at(subject.span)
            .label("it would hold for every request"),
        );
    }
    if reader.wrong.is_empty() {
        Ok(conditions)
    } else {
        Err(reader.wrong)
    }
}

/// Whether there is one of hosts or clients in it; the file's check says so of a route.
fn has_empty_list(written: &config::Match) -> bool {
    let any = written.any.iter().flatten();
    let mut within = written.not.iter().flatten().chain(any);
    written.host.as_ref().is_some_and(OneOrMany::is_empty)
        || written.client.as_ref().is_some_and(OneOrMany::is_empty)
        || within.any(has_empty_list)
}

/// One way, still with all its conditions on the path. No hosts means any.
#[derive(Clone, Default)]
struct Alternative {
    hosts: Vec<Host>,
    paths: Vec<PathCondition>,
    conditions: Vec<Condition>,
}

impl Alternative {
    /// Both at once; none if no host satisfies both.
    fn and(&self, other: &Self) -> Option<Self> {
        let hosts = match (self.hosts.as_slice(), other.hosts.as_slice()) {
            ([], hosts) | (hosts, []) => hosts.to_vec(),
            (these, those) => {
                let pairs = these
                    .iter()
                    .flat_map(|one| those.iter().map(move |other| (one, other)));
                let both: HashSet<Host> = pairs.filter_map(|(one, other)| one.and(other)).collect();
                if both.is_empty() {
                    return None;
                }
                both.into_iter().collect()
            }
        };
        Some(Self {
            hosts,
            paths: [self.paths.as_slice(), &other.paths].concat(),
            conditions: [self.conditions.as_slice(), &other.conditions].concat(),
        })
    }

    /// The most specific condition on the path finds the route, the others are conditions like any.
    fn finish(mut self) -> Match {
        self.paths.sort_by_key(PathCondition::width);
        let mut paths = self.paths.into_iter();
        let path = paths.next().unwrap_or_default();
        self.conditions.extend(paths.map(Condition::Path));
        Match {
            hosts: self.hosts,
            path,
            conditions: self.conditions,
        }
    }
}

struct Reader<'f> {
    noun: &'static str,
    subject: &'f Spanned<String>,
    wrong: Vec<Diagnostic>,
}

impl<'f> Reader<'f> {
    fn new(noun: &'static str, subject: &'f Spanned<String>) -> Self {
        Self {
            noun,
            subject,
            wrong: Vec::new(),
        }
    }

    fn alternatives(&mut self, written: &config::Match) -> Vec<Alternative> {
        let own = Alternative {
            hosts: hosts(written),
            paths: self.paths(written),
            conditions: self.conditions(written),
        };
        let Some(any) = &written.any else {
            return vec![own];
        };
        if any.is_empty() {
            self.never("`any` is empty: nothing is one of none");
        }
        let inner: Vec<Alternative> = any.iter().flat_map(|one| self.alternatives(one)).collect();
        let both: Vec<Alternative> = inner.iter().filter_map(|inner| own.and(inner)).collect();
        let rules: usize = both.iter().map(|one| one.hosts.len().max(1)).sum();
        if rules > ALTERNATIVES_MAX {
            self.wrong.push(
                Diagnostic::error(
                    code::MATCH_TOO_LARGE,
                    format!("{} `{}` has {rules} alternatives", self.noun, self.subject),
                )
                .at(self.subject.span)
                .label(format!("at most {ALTERNATIVES_MAX}, hosts times `any`")),
            );
            return Vec::new();
        }
        both
    }

    fn never(&mut self, message: &str) {
        self.wrong.push(
            Diagnostic::error(
                code::NEVER_MATCHES,
                format!("{} `{}` can never match", self.noun, self.subject),
            )
            .at(self.subject.span)
            .label(message),
        );
    }

    /// All of it as conditions, within a `not`.
    fn all(&mut self, written: &config::Match) -> Vec<Condition> {
        let mut all = Vec::new();
        let hosts = hosts(written);
        if !hosts.is_empty() {
            all.push(Condition::Host(hosts));
        }
        all.extend(self.paths(written).into_iter().map(Condition::Path));
        all.extend(self.conditions(written));
        if let Some(any) = &written.any {
            all.push(Condition::Any(
                any.iter().map(|one| self.all(one)).collect(),
            ));
        }
        all
    }

    fn paths(&mut self, written: &config::Match) -> Vec<PathCondition> {
        let exact = written.path.as_ref().and_then(|path| self.path(path));
        let prefix = written
            .path_prefix
            .as_ref()
            .and_then(|path| self.path(path));
        let pattern = written.path_regex.as_ref();
        let pattern = pattern.and_then(|pattern| self.path_expression(pattern));
        let prefix = prefix.map(|prefix| prefix.trim_end_matches('/').to_owned());
        let all = [
            exact.map(PathCondition::Exact),
            prefix.map(PathCondition::Prefix),
            pattern.map(PathCondition::Pattern),
        ];
        all.into_iter().flatten().collect()
    }

    /// One that no path in its normal form can fit would be a route that is not there.
    fn path_expression(&mut self, written: &Spanned<String>) -> Option<Regex> {
        let wrong = |label: &str| {
            Diagnostic::error(
                code::PATH_REGEX,
                format!("no path fits `{}`", written.value),
            )
            .at(written.span)
            .label(label)
        };
        if written.starts_with(|first: char| first.is_ascii_alphanumeric()) {
            let problem = wrong("a path begins with `/`");
            self.wrong
                .push(problem.help(format!("write `/{}`", written.value)));
            return None;
        }
        if !written.is_ascii() || written.contains(' ') {
            self.wrong
                .push(wrong("paths are compared percent-encoded: `%20`, `%C3%A9`"));
            return None;
        }
        self.expression(written, written.span)
    }

    fn path(&mut self, written: &Spanned<String>) -> Option<String> {
        if written.len() > PATH_MAX {
            // The file's check said so.
            return None;
        }
        let wrong = |why: String| {
            Diagnostic::error(
                code::PATH,
                format!("no request has the path `{}`", written.value),
            )
            .at(written.span)
            .label(why)
        };
        match normalise(written) {
            Err(why) => {
                self.wrong.push(wrong(why.to_string()));
                None
            }
            Ok(normal) if has_other_segments(&normal, written) => {
                let problem = wrong("paths are compared without `//`, `/./` and `/../`".to_owned());
                self.wrong.push(problem.help(format!("write `{normal}`")));
                None
            }
            Ok(normal) => Some(normal.into_owned()),
        }
    }

    fn conditions(&mut self, written: &config::Match) -> Vec<Condition> {
        let mut conditions = Vec::new();
        if let Some(methods) = &written.method {
            conditions.push(Condition::Method(self.list(methods, Self::method)));
        }
        for (name, tests) in written.header.iter() {
            if let Ok(field) = HeaderName::from_bytes(name.as_bytes()) {
                conditions.push(Condition::Header(field, self.list(tests, Self::test)));
            }
        }
        for (name, tests) in written.query.iter() {
            conditions.push(Condition::Query(
                name.value.clone(),
                self.list(tests, Self::test),
            ));
        }
        for (name, tests) in written.cookie.iter() {
            conditions.push(Condition::Cookie(
                name.value.clone(),
                self.list(tests, Self::test),
            ));
        }
        if let Some(networks) = &written.client {
            conditions.push(Condition::Client(
                networks.iter().map(|one| one.get()).collect(),
            ));
        }
        for one in written.not.iter().flatten() {
            let all = self.all(one);
            if all.is_empty() {
                self.never("`not` of nothing never holds");
            }
            conditions.push(Condition::Not(all));
        }
        conditions
    }

    fn list<W, T>(
        &mut self,
        written: &OneOrMany<Spanned<W>>,
        read: fn(&mut Self, &Spanned<W>) -> Option<T>,
    ) -> Vec<T> {
        if written.is_empty() {
            self.never(NONE);
        }
        written.iter().filter_map(|one| read(self, one)).collect()
    }

    fn method(&mut self, written: &Spanned<String>) -> Option<Method> {
        let upper = written.to_ascii_uppercase();
        let wrong = |label: &str| {
            Diagnostic::error(code::METHOD, format!("`{}` is no method", written.value))
                .at(written.span)
                .label(label)
        };
        match Method::from_bytes(written.as_bytes()) {
            Ok(method) if upper == written.value => Some(method),
            Ok(_) => {
                let problem = wrong("methods are in upper case (RFC 9110, section 9.1)");
                let meant = nearest(&upper, METHODS).unwrap_or(&upper);
                self.wrong.push(problem.help(format!("write `{meant}`")));
                None
            }
            Err(_) => {
                let problem = wrong("expected one such as `GET`");
                self.wrong.push(match written.contains([' ', ',']) {
                    true => problem.help("several are a list: `[ GET, HEAD ]`"),
                    false => problem,
                });
                None
            }
        }
    }

    fn test(&mut self, written: &Spanned<ValueMatch>) -> Option<Test> {
        test(written)
            .map_err(|problem| self.wrong.push(*problem))
            .ok()
    }

    fn expression(&mut self, written: &str, span: Span) -> Option<Regex> {
        expression(written, span)
            .map_err(|problem| self.wrong.push(*problem))
            .ok()
    }
}

/// A test of a value.
///
/// # Errors
/// Its expression is none.
pub fn test(written: &Spanned<ValueMatch>) -> Result<Test, Box<Diagnostic>> {
    Ok(match &written.value {
        ValueMatch::Exact(value) => Test::Exact(value.clone()),
        ValueMatch::Prefix(value) => Test::Prefix(value.clone()),
        ValueMatch::Present(true) => Test::Present,
        ValueMatch::Present(false) => Test::Absent,
        ValueMatch::Regex(value) => Test::Pattern(expression(value, written.span)?),
    })
}

/// An expression for the whole of something: anchored at both ends.
///
/// # Errors
/// It is none, or becomes too large.
pub fn expression(written: &str, span: Span) -> Result<Regex, Box<Diagnostic>> {
    let fine = RegexBuilder::new(written)
        .size_limit(EXPRESSION_MAX)
        .build();
    let anchored = fine.and_then(|_| {
        let anchored = format!("^(?:{written})$");
        RegexBuilder::new(&anchored)
            .size_limit(EXPRESSION_MAX)
            // A value with an escaped end of line is a value like any.
            .dot_matches_new_line(true)
            .build()
    });
    anchored.map_err(|error| Box::new(no_expression(written, &error).at(span)))
}

fn no_expression(written: &str, error: &regex::Error) -> Diagnostic {
    if let regex::Error::CompiledTooBig(_) = error {
        return Diagnostic::error(
            code::REGEX,
            format!("the expression `{written}` is too large"),
        )
        .label("it becomes more than 10 MiB")
        .help("repeat less often, or use `path_prefix`");
    }
    // The engine draws a picture around the sentence.
    let text = error.to_string();
    let sentence = text.lines().last().unwrap_or_default();
    Diagnostic::error(code::REGEX, format!("`{written}` is no regular expression"))
        .label(sentence.trim_start_matches("error: "))
        .note("the syntax is that of the Rust crate `regex`: linear time, no look-around, no back-references")
}

/// Other than by the spelling of characters.
fn has_other_segments(normal: &str, written: &str) -> bool {
    normal.matches('/').count() != written.matches('/').count()
        || written
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
}

fn hosts(written: &config::Match) -> Vec<Host> {
    let hosts = written.host.iter().flatten();
    hosts.map(|host| Host::new(host)).collect()
}
