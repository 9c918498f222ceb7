//! What an answer has to be like.

use std::ops::RangeInclusive;

use regex::Regex;

use super::super::probe::{Answer, BODY_MAX};
use super::{Body, Http, Method, collect};
use crate::config::{Diagnostic, Spanned, code};
use crate::route::matching::expression;

/// What an answer has to be like.
#[derive(Debug)]
pub(super) struct Expected {
    statuses: Vec<RangeInclusive<u16>>,
    /// As they were written.
    said: String,
    body: Option<Wanted>,
}

#[derive(Debug)]
enum Wanted {
    Contains(String),
    Is(Regex),
}

impl Expected {
    pub(super) fn new(written: &Http) -> Result<Self, Vec<Diagnostic>> {
        let mut wrong = Vec::new();
        let statuses = collect(&mut wrong, statuses(&written.statuses));
        let body = written.body.as_ref();
        let body = collect(&mut wrong, body.map(wanted).transpose());
        if let (Method::Head, Some(body)) = (written.method.value, &written.body) {
            wrong.push(
                Diagnostic::error(code::BODY_NOT_SENT, "an answer to HEAD has no body")
                    .at(body.span)
                    .label("never found")
                    .related(written.method.span, "the method")
                    .help("ask with `method: GET`"),
            );
        }
        match (statuses, body) {
            (Some(statuses), Some(body)) if wrong.is_empty() => Ok(Self {
                statuses,
                said: said(&written.statuses),
                body,
            }),
            _ => Err(wrong),
        }
    }

    /// Whether it is. What is expected of a body is not told: it may be a secret, and so may the body.
    pub(super) fn judge(&self, answer: &Answer) -> Result<(), String> {
        let status = answer.status.as_u16();
        if !self.statuses.iter().any(|range| range.contains(&status)) {
            return Err(format!("it answered {status}, expected {}", self.said));
        }
        let Some(wanted) = &self.body else {
            return Ok(());
        };
        let body = String::from_utf8_lossy(&answer.body);
        let body = body.trim();
        let (is_it, not) = match wanted {
            Wanted::Contains(text) => (body.contains(text), "does not contain what it should"),
            Wanted::Is(expression) => (expression.is_match(body), "does not match the expression"),
        };
        let read = match answer.body.len() {
            BODY_MAX => "64 KiB or more, of which the first were read".to_owned(),
            length => format!("{length} B"),
        };
        match is_it {
            true => Ok(()),
            false => Err(format!("it answered {status}, but its body {not} ({read})")),
        }
    }
}

fn said(statuses: &[Spanned<String>]) -> String {
    let statuses: Vec<&str> = statuses.iter().map(|one| one.value.as_str()).collect();
    statuses.join(", ")
}

fn wanted(written: &Spanned<Body>) -> Result<Wanted, Vec<Diagnostic>> {
    let unclear = |message: &str| {
        let problem = Diagnostic::error(code::COMPARISON, message).at(written.span);
        vec![problem.label("expected `contains` or `regex`, with a text")]
    };
    match (&written.contains, &written.regex) {
        (Some(text), None) if text.is_empty() => {
            let problem = Diagnostic::error(code::COMPARISON, "every body contains an empty text");
            let problem = problem.at(text.span).label("this always holds");
            Err(vec![problem.help("remove `body` for any body")])
        }
        (Some(text), None) => Ok(Wanted::Contains(text.value.clone())),
        (None, Some(written)) => match expression(written, written.span) {
            Ok(expression) => Ok(Wanted::Is(expression)),
            Err(problem) => Err(vec![*problem]),
        },
        (Some(_), Some(_)) => Err(unclear("two comparisons where one is due")),
        (None, None) => Err(unclear("one comparison is due")),
    }
}

fn statuses(
    written: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<RangeInclusive<u16>>, Vec<Diagnostic>> {
    if written.is_empty() {
        let message = "an empty list: no answer would mean well";
        let problem = Diagnostic::error(code::HEALTHY_STATUS, message).at(written.span);
        return Err(vec![
            problem
                .label("expected at least one status")
                .help("remove the key for the default, 200 to 299"),
        ]);
    }
    let (mut ranges, mut wrong) = (Vec::new(), Vec::new());
    for text in written.iter() {
        match range(text) {
            Some(range) => ranges.push(range),
            None => wrong.push(no_status(text)),
        }
    }
    if wrong.is_empty() {
        Ok(ranges)
    } else {
        Err(wrong)
    }
}

fn no_status(text: &Spanned<String>) -> Diagnostic {
    let message = format!("`{}` is not a status or a range of statuses", text.value);
    let problem = Diagnostic::error(code::HEALTHY_STATUS, message)
        .at(text.span)
        .label("expected 100 to 599, such as `200` or `\"200-299\"`");
    match text.strip_suffix("xx").or(text.strip_suffix("XX")) {
        Some(hundred @ ("1" | "2" | "3" | "4" | "5")) => {
            problem.help(format!("write `\"{hundred}00-{hundred}99\"`"))
        }
        _ => problem,
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (100 <= from && from <= to && to <= 599).then_some(from..=to)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};

    use super::*;
    use crate::config::Span;

    fn expected(body: Wanted) -> Expected {
        Expected {
            statuses: vec![200..=204],
            said: "200-204".to_owned(),
            body: Some(body),
        }
    }

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_vec(),
            trailers: HeaderMap::new(),
        }
    }

    #[test]
    fn the_reason_says_what_was_found_and_what_was_expected() {
        let contains = expected(Wanted::Contains("ready".to_owned()));
        assert_eq!(
            contains.judge(&answer(200, b" not only ready, but")),
            Ok(())
        );
        let reason = |answer: &Answer| contains.judge(answer).unwrap_err();
        assert_eq!(
            reason(&answer(503, b"ready")),
            "it answered 503, expected 200-204"
        );
        assert_eq!(
            reason(&answer(204, b"starting")),
            "it answered 204, but its body does not contain what it should (8 B)"
        );
        let long = vec![b'x'; BODY_MAX];
        assert!(
            reason(&answer(200, &long)).ends_with("(64 KiB or more, of which the first were read)")
        );
    }

    #[test]
    fn an_expression_is_for_all_of_the_body_but_for_the_spaces_around_it() {
        let is = expected(Wanted::Is(
            expression("ok|fine.*", Span::default()).unwrap(),
        ));
        for (body, is_it) in [
            (&b"ok\r\n"[..], true),
            (b" ok", true),
            (b"ok!", false),
            (b"fine\nto\nthe end\n", true),
            (b"\xff ok", false),
        ] {
            assert_eq!(is.judge(&answer(200, body)).is_ok(), is_it, "{body:?}");
        }
    }
}
