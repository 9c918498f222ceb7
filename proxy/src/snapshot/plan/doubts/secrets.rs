//! Secrets that stand in the file: whoever may read it, or its history, has them. The environment is the place for them.
//!
//! What came from elsewhere is told by how the value was written: `${NAME}` stands in the text of the file in its place. What is
//! looked at are values that let somebody in: fields that a server is given, what a route asks for, cookies that a client is
//! given. `places` knows their names; `tidegate print` masks all of them, and more.

use super::super::Plan;
use crate::config::document::{Node, Value};
use crate::config::secrets::{is_about_a_secret, tells};
use crate::config::{
    Component, Diagnostic, Loaded, Match, Source, Span, Spanned, ValueMatch, code,
};
use crate::snapshot::places::Place;

/// Shorter values, and `true` and `false`, are switches.
const SHORTEST: usize = 4;

/// Words before the secret itself (RFC 9110, section 11.1).
const SCHEMES: [&str; 5] = ["bearer", "basic", "digest", "token", "apikey"];

/// What the names of cookies have in them that say who somebody is.
const SESSIONS: [&str; 4] = ["sess", "auth", "sid", "jwt"];

pub(super) fn check(loaded: &Loaded<Plan>, found: &mut Vec<Diagnostic>) {
    let file = &loaded.file;
    let mut doubts = Doubts {
        source: &loaded.source,
        found,
    };
    let named = file.filters.iter().map(|(_, filter)| filter);
    let in_place = file.routes.iter().flat_map(|(_, route)| &route.filters);
    let upstreams = file.upstreams.iter().map(|(_, upstream)| upstream);
    let others = upstreams.flat_map(|one| {
        let asked = one.health_check.iter().chain(&one.discover);
        one.balance.iter().chain(asked)
    });
    for component in named.chain(in_place).chain(others) {
        doubts.component(component);
    }
    for (_, route) in file.routes.iter() {
        doubts.conditions(&route.matches);
        let fields = route.respond.iter().flat_map(|end| end.headers.iter());
        for (name, value) in fields {
            doubts.given(name, value.span, value);
        }
    }
}

struct Doubts<'d> {
    source: &'d Source,
    found: &'d mut Vec<Diagnostic>,
}

impl Doubts<'_> {
    fn component(&mut self, component: &Component) {
        let Some(options) = &component.options else {
            return;
        };
        match component.name.value.as_str() {
            "response_headers" => {
                for (name, value) in options
                    .entries()
                    .iter()
                    .flat_map(|(_, part)| part.entries())
                {
                    for value in items(value) {
                        let text = value.text().unwrap_or_default();
                        self.given(name.text().unwrap_or_default(), value.span, text);
                    }
                }
            }
            _ => self.within(options, Place::options()),
        }
    }

    fn within(&mut self, node: &Node, place: Place) {
        for item in items(node) {
            for (name, value) in item.entries() {
                let name = name.text().unwrap_or_default();
                match place.says_secret(name) {
                    true => self.values(name, value),
                    false => self.within(value, place.below(name)),
                }
            }
        }
    }

    /// All that is below a name that says secret; a comparison is one of its kind.
    fn values(&mut self, name: &str, node: &Node) {
        for item in items(node) {
            match &item.value {
                Value::Scalar { text, .. } => self.value(name, item.span, text),
                _ => item
                    .entries()
                    .iter()
                    .filter(|(key, _)| key.text() != Some("regex"))
                    .for_each(|(_, value)| self.values(name, value)),
            }
        }
    }

    fn conditions(&mut self, asked: &Match) {
        let place = Place::options().below("header");
        let fields = asked.header.iter().chain(asked.cookie.iter());
        for (name, values) in fields.chain(asked.query.iter()) {
            if place.says_secret(name) {
                values.iter().for_each(|value| self.condition(name, value));
            }
        }
        let inner = asked.not.iter().flatten().chain(asked.any.iter().flatten());
        inner.for_each(|inner| self.conditions(inner));
    }

    fn condition(&mut self, name: &str, value: &Spanned<ValueMatch>) {
        match &value.value {
            ValueMatch::Exact(text) | ValueMatch::Prefix(text) => {
                self.value(name, value.span, text);
            }
            ValueMatch::Regex(_) | ValueMatch::Present(_) => {}
        }
    }

    /// A field that a client is given: what it is told is its own, but for what it comes back with.
    fn given(&mut self, name: &str, place: Span, text: &str) {
        if name.eq_ignore_ascii_case("set-cookie") {
            self.value(name, place, text);
        }
    }

    fn value(&mut self, name: &str, place: Span, text: &str) {
        let is_secret = match name.to_ascii_lowercase().as_str() {
            "cookie" => text.split(';').any(is_of_a_session),
            "set-cookie" => text.split(';').take(1).any(is_of_a_session),
            _ => !is_about_a_secret(name) && is_worth_something(text),
        };
        if is_secret && self.is_plain(place) {
            self.found.push(secret(name, place));
        }
    }

    /// Whether it stands in the file as it is.
    fn is_plain(&self, place: Span) -> bool {
        let written = self.source.written(place);
        !written.contains("${") || has_default(written)
    }
}

/// One or several.
fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(several) => several,
        _ => std::slice::from_ref(node),
    }
}

/// `session=0123456789`, not `theme=dark`.
fn is_of_a_session(cookie: &str) -> bool {
    let (name, value) = cookie.split_once('=').unwrap_or(("", cookie));
    let name = name.trim().to_ascii_lowercase();
    let says = tells(&name) || SESSIONS.iter().any(|part| name.contains(part));
    says && !is_about_a_secret(&name) && is_worth_something(value)
}

/// Not what stands before a secret, and no switch.
fn is_worth_something(text: &str) -> bool {
    let text = text.trim();
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    let text = match SCHEMES.contains(&first.to_ascii_lowercase().as_str()) {
        true => rest.trim(),
        false => text,
    };
    text.len() >= SHORTEST && !matches!(text, "true" | "false")
}

/// Whether a variable in it has a default that is worth something.
fn has_default(written: &str) -> bool {
    let mut variables = written
        .split("${")
        .skip(1)
        .filter_map(|rest| rest.split_once('}'));
    variables.any(|(inner, _)| {
        let default = inner.split_once(":-").map(|(_, default)| default);
        default.is_some_and(|default| default.len() >= SHORTEST)
    })
}

/// The value itself is only shown where it stands.
fn secret(name: &str, place: Span) -> Diagnostic {
    let variable: String = name
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    Diagnostic::warning(
        code::PLAIN_SECRET,
        format!("the secret in `{name}` is written in plain text"),
    )
    .at(place)
    .label("known to everyone who can read the file")
    .help(format!(
        "write `\"${{{variable}}}\"` and set this variable where Tidegate is started, or `\"${{file:PATH}}\"` and put it into a file"
    ))
}
