//! The file's own tests: each is a request, what must become of it, and the difference where something else does.

use std::path::Path;
use std::sync::Arc;

use http::header::{HeaderName, LOCATION};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::course::{Course, Supposed, course};
use super::explain::reason_against;
use super::question::{NoQuestion, Question};
use crate::config::secrets::{SHOWN, is_of_a_secret};
use crate::config::{
    self, Diagnostic, FieldName, Loaded, Named, Report, Spanned, ValueMatch, code,
};
use crate::filter::Catalogue;
use crate::route::matching;
use crate::snapshot::{Plan, Snapshot};

/// Reads a file, makes its plan and runs its tests.
///
/// # Errors
/// Everything that is wrong with it, or every test that fails.
pub fn load(path: &Path, filters: &Catalogue) -> Result<Loaded<Plan>, Report> {
    Plan::load(path, filters).and_then(prove)
}

/// Runs the tests of a file that is right otherwise.
///
/// # Errors
/// Every test that fails, and how.
pub fn prove(loaded: Loaded<Plan>) -> Result<Loaded<Plan>, Report> {
    if loaded.file.tests.is_empty() {
        return Ok(loaded);
    }
    let snapshot = Arc::new(Snapshot::still(&loaded.made));
    let all = loaded.file.tests.iter();
    let failures: Vec<Diagnostic> = all
        .flat_map(|(name, test)| failures(name, test, &snapshot))
        .collect();
    if failures.is_empty() {
        Ok(loaded)
    } else {
        Err(Report::new(loaded.source, failures).after(loaded.inputs))
    }
}

/// Runs a test; what is wrong.
fn failures(
    name: &Spanned<String>,
    test: &config::Test,
    snapshot: &Arc<Snapshot>,
) -> Vec<Diagnostic> {
    let supposed = match supposed(test.answer.as_ref()) {
        Ok(supposed) => supposed,
        Err(problem) => return vec![*problem],
    };
    match course(snapshot, &question(&test.request), &supposed) {
        Ok(course) => Verdict {
            name,
            snapshot,
            course: &course,
        }
        .of(test),
        Err(why) => vec![no_question(name, &test.request, &why)],
    }
}

fn question(written: &config::Question) -> Question {
    let mut question = Question::new(&written.method, &written.url);
    let headers = written.headers.iter();
    let headers = headers.map(|(name, value)| (name.value.clone(), value.value.clone()));
    question.headers = headers.collect();
    if let Some(client) = &written.client {
        question.client = client.value.0;
    }
    question
}

fn no_question(name: &str, written: &config::Question, why: &NoQuestion) -> Diagnostic {
    let place = match why {
        NoQuestion::Method(_) => written.method.span,
        NoQuestion::Url(_) => written.url.span,
        NoQuestion::Field(field, _) => {
            let mut headers = written.headers.iter();
            let found = headers.find(|(name, _)| name.value == *field);
            found.map_or(written.url.span, |(_, value)| value.span)
        }
    };
    Diagnostic::error(
        code::NO_REQUEST,
        format!("the test `{name}` asks for nothing that can be asked"),
    )
    .at(place)
    .label(why.to_string())
}

fn supposed(written: Option<&config::Answer>) -> Result<Supposed, Box<Diagnostic>> {
    let mut supposed = Supposed::default();
    let Some(written) = written else {
        return Ok(supposed);
    };
    if let Some(status) = written.status {
        supposed.status = StatusCode::from_u16(status.value).unwrap_or_default();
    }
    for (name, value) in written.headers.iter() {
        let read = HeaderName::from_bytes(name.as_bytes()).ok();
        match read.zip(HeaderValue::from_str(value).ok()) {
            Some((name, value)) => drop(supposed.headers.append(name, value)),
            None => {
                let message = format!("`{}` cannot be the value of a field", value.escape_debug());
                let problem = Diagnostic::error(code::FIELD_VALUE, message).at(value.span);
                let label = "visible ASCII, spaces and tabs (RFC 9110, section 5.5)";
                return Err(Box::new(problem.label(label)));
            }
        }
    }
    Ok(supposed)
}

/// What became of a test's request, beside what was expected.
struct Verdict<'t> {
    name: &'t Spanned<String>,
    snapshot: &'t Snapshot,
    course: &'t Course,
}

impl Verdict<'_> {
    fn of(&self, test: &config::Test) -> Vec<Diagnostic> {
        let (expect, course) = (&test.expect, self.course);
        let sent = course.sent.as_ref();
        let answer = course.answer.as_ref();
        let location = answer.and_then(|answer| answer.headers.get(LOCATION));
        let location = location.filter(|_| self.is_ours()).map(text);
        let reason = course.failure.map(|failure| failure.label().to_owned());
        let path = sent.map(|sent| String::from_utf8_lossy(sent.raw_path()).into_owned());
        let mut wrong: Vec<Diagnostic> = Vec::new();
        wrong.extend(self.route(expect));
        wrong.extend(self.upstream(expect));
        wrong.extend(self.same(&expect.redirect, location, "it is not sent elsewhere"));
        wrong.extend(self.status(test));
        wrong.extend(self.same(&expect.reason, reason, "it is not refused"));
        wrong.extend(self.same(&expect.path, path, "no server is asked"));
        let sent = sent.map(|sent| &sent.headers);
        wrong.extend(self.fields(&expect.request_headers, sent, "the server gets"));
        let answer = answer.map(|answer| &answer.headers);
        wrong.extend(self.fields(&expect.response_headers, answer, "the client gets"));
        wrong.extend(self.body(expect));
        wrong
    }

    /// Whether the answer is the proxy's own.
    fn is_ours(&self) -> bool {
        self.course.sent.is_none()
    }

    fn fails(&self, at: config::Span, label: impl Into<String>) -> Diagnostic {
        let message = format!("the test `{}` fails", self.name.value);
        let problem = Diagnostic::error(code::TEST_FAILS, message)
            .at(at)
            .label(label);
        match self.course.failure {
            Some(failure) => problem.note(format!(
                "it is refused: {} `{}`",
                failure.status(),
                failure.label()
            )),
            None => problem,
        }
    }

    fn route(&self, expect: &config::Expect) -> Option<Diagnostic> {
        let expected = expect.route.as_ref()?;
        let found = self
            .course
            .exchange
            .route()
            .map(|route| route.name.as_str());
        if found == Some(expected.as_str()) {
            return None;
        }
        let label = match found {
            Some(found) => format!("it takes route `{found}`"),
            None => "no route takes it".to_owned(),
        };
        let problem = self.fails(expected.span, label);
        Some(match reason_against(self.snapshot, self.course, expected) {
            Some(why) => problem.note(format!("`{expected}` does not take it: {why}")),
            None => problem,
        })
    }

    fn upstream(&self, expect: &config::Expect) -> Option<Diagnostic> {
        let expected: Vec<&Spanned<String>> = expect.upstream.as_ref()?.iter().collect();
        let first = expected.first()?;
        let found = self.course.upstreams();
        let mut wanted: Vec<&str> = expected.iter().map(|name| name.as_str()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        if found == wanted {
            return None;
        }
        let label = match found.as_slice() {
            [] => "no server is asked".to_owned(),
            [one] => format!("it goes to `{one}`"),
            several => format!("it goes to one of `{}`, by turn", several.join("`, `")),
        };
        let problem = self.fails(first.span, label);
        Some(match found.len() {
            0 | 1 => problem,
            _ => problem.help(format!("write `upstream: [ {} ]`", found.join(", "))),
        })
    }

    fn status(&self, test: &config::Test) -> Option<Diagnostic> {
        let expected = test.expect.status?;
        if !self.is_ours() && test.answer.is_none() {
            let problem = self.fails(expected.span, "a server answers, nobody knows how");
            return Some(problem.help("say what it is taken to answer: `answer: { status: 200 }`"));
        }
        let answer = self.course.answer.as_ref();
        let of_failure = self.course.failure.map(|failure| failure.status());
        let found = answer.map(|answer| answer.status.as_u16()).or(of_failure)?;
        (found != expected.value)
            .then(|| self.fails(expected.span, format!("it is answered with {found}")))
    }

    fn same(
        &self,
        expected: &Option<Spanned<String>>,
        found: Option<String>,
        otherwise: &str,
    ) -> Option<Diagnostic> {
        let expected = expected.as_ref()?;
        match found {
            Some(found) if found == expected.value => None,
            Some(found) => Some(self.fails(expected.span, format!("it is `{found}`"))),
            None => Some(self.fails(expected.span, otherwise)),
        }
    }

    fn fields(
        &self,
        expected: &Named<Spanned<ValueMatch>, FieldName>,
        found: Option<&HeaderMap>,
        gets: &str,
    ) -> Vec<Diagnostic> {
        let one = |(name, written): (&Spanned<String>, &Spanned<ValueMatch>)| {
            let Some(found) = found else {
                let who = gets.trim_end_matches(" gets");
                return Some(self.fails(written.span, format!("{who} gets nothing")));
            };
            let test = match matching::test(written) {
                Ok(test) => test,
                Err(problem) => return Some(*problem),
            };
            let values: Vec<&HeaderValue> = found.get_all(name.as_str()).iter().collect();
            let holds = match values.as_slice() {
                [] => test.holds(None),
                values => values
                    .iter()
                    .any(|value| test.holds(Some(value.as_bytes()))),
            };
            (!holds).then(|| self.fails(written.span, instead(gets, name, &values, written)))
        };
        expected.iter().filter_map(one).collect()
    }

    fn body(&self, expect: &config::Expect) -> Option<Diagnostic> {
        let expected = expect.body.as_ref()?;
        let Some(body) = &self.course.body else {
            return Some(self.fails(expected.span, "the answer is not the proxy's own"));
        };
        match matching::test(expected) {
            Ok(test) if test.holds(Some(body)) => None,
            Ok(_) => {
                let body: String = String::from_utf8_lossy(body).chars().take(200).collect();
                Some(self.fails(expected.span, format!("it is `{}`", body.escape_debug())))
            }
            Err(problem) => Some(*problem),
        }
    }
}

/// What is found in the place of what a field has to be. A secret is not shown, only that it is another one.
fn instead(gets: &str, name: &str, found: &[&HeaderValue], expected: &ValueMatch) -> String {
    let values: Vec<String> = found.iter().map(|value| text(value)).collect();
    match expected {
        _ if values.is_empty() => format!("{gets} no `{name}`"),
        ValueMatch::Present(_) if is_of_a_secret(name) => format!("{gets} `{SHOWN}`"),
        _ if is_of_a_secret(name) => format!("{gets} another value, a secret that is not shown"),
        _ => format!("{gets} `{}`", values.join("` and `")),
    }
}

fn text(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}
