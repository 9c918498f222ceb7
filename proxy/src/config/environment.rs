//! `${NAME}` and `${NAME:-default}`: values from the environment.
//!
//! Names with a dot (`${client.ip}`), and `${route}`, are left for those who know the request.
//!
//! They are put in after the file is parsed, so that a value can never change the structure of the file. `$$` stands
//! for a `$`; a `$` before anything else is just that. Keys are taken as they are written.

use super::diagnostic::Diagnostic;
use super::document::{Node, Value};
use super::spanned::Span;

/// How a variable is looked up.
pub type Lookup<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// Puts the environment into all values. A value that cannot be completed is reported and marked as broken.
pub(super) fn substitute(
    node: &mut Node,
    text: &str,
    environment: &Lookup<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let span = node.span;
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| substitute(item, text, environment, diagnostics)),
        Value::Map(entries) => {
            entries
                .iter_mut()
                .for_each(|(_, value)| substitute(value, text, environment, diagnostics));
        }
        Value::Scalar {
            text: value,
            quoted,
        } if value.contains('$') => match expand(value, environment) {
            Ok(expanded) => {
                // `"${PORT}"` is a number if the variable is one: within braces, YAML wants the quotes.
                *quoted &= !is_one_variable(value);
                *value = expanded;
            }
            Err(fault) => {
                diagnostics.push(fault.into_diagnostic(span, text));
                node.value = Value::Broken;
            }
        },
        _ => {}
    }
}

/// Whether a value is a substitution and nothing else.
fn is_one_variable(value: &str) -> bool {
    let inner = value
        .strip_prefix("${")
        .and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| !inner.contains(['$', '}']))
}

enum Fault {
    Missing(String),
    Unclosed,
    Misnamed(String),
}

fn expand(value: &str, environment: &Lookup<'_>) -> Result<String, Fault> {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = after.split_once('}').ok_or(Fault::Unclosed)?;
            if is_of_a_request(inner) {
                out.push_str("${");
                out.push_str(inner);
                out.push('}');
            } else {
                out.push_str(&variable(inner, environment)?);
            }
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The way back: every text of an effective file becomes one that stands for it.
pub(crate) fn escape(value: &mut serde_json::Value) {
    use serde_json::Value as Json;
    match value {
        Json::Array(items) => items.iter_mut().for_each(escape),
        Json::Object(entries) => entries.values_mut().for_each(escape),
        Json::String(text) if text.contains('$') => *text = escaped(text),
        _ => {}
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let inner = after
            .strip_prefix('{')
            .and_then(|after| after.split_once('}'));
        let is_read = after.starts_with(['$', '{'])
            && !inner.is_some_and(|(inner, _)| is_of_a_request(inner));
        out.push_str(if is_read { "$$" } else { "$" });
        rest = after;
    }
    out + rest
}

/// `${client.ip}`, `${route}`: known when a request comes. No variable has such a name.
fn is_of_a_request(inner: &str) -> bool {
    inner == "route" || (inner.contains('.') && !inner.contains(":-"))
}

fn variable(inner: &str, environment: &Lookup<'_>) -> Result<String, Fault> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Fault::Misnamed(inner.to_owned()));
    }
    match (environment(name), default) {
        // As in a shell: `:-` also replaces what is set but empty.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault::Missing(name.to_owned())),
    }
}

impl Fault {
    fn into_diagnostic(self, span: Span, text: &str) -> Diagnostic {
        match self {
            Self::Missing(name) => {
                Diagnostic::error(format!("the environment variable `{name}` is not set"))
                    .at(within(span, text, &format!("${{{name}")))
                    .label("not set")
                    .help(format!("set it, or give a default: `${{{name}:-default}}`"))
            }
            Self::Unclosed => Diagnostic::error("a `${` without its `}`")
                .at(within(span, text, "${"))
                .label("never closed")
                .help("write `$$` for a plain `$`"),
            Self::Misnamed(inner) => Diagnostic::error(format!(
                "`{inner}` is not the name of an environment variable"
            ))
            .at(within(span, text, &format!("${{{inner}")))
            .label("names are made of letters, digits and `_`")
            .help("a default follows `:-`, as in `${PORT:-8080}`; write `$$` for a plain `$`"),
        }
    }
}

/// The place of the substitution within its value, up to its brace, as far as it can be found in the text.
fn within(span: Span, text: &str, beginning: &str) -> Span {
    let written = text.get(span.start..span.end).unwrap_or_default();
    let Some(start) = written.find(beginning) else {
        return span;
    };
    let length = written
        .get(start..)
        .and_then(|rest| rest.find('}'))
        .map_or(beginning.len(), |at| at + 1);
    Span::new(span.start + start, span.start + start + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(value: &str) -> Option<String> {
        let environment = |name: &str| match name {
            "A" => Some("1".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${A}".to_owned()),
            _ => None,
        };
        expand(value, &environment).ok()
    }

    #[test]
    fn variables_defaults_and_dollars() {
        for (value, want) in [
            ("${A}", "1"),
            ("a${A}b${A}", "a1b1"),
            ("${NO:-x}", "x"),
            ("${NO:-}", ""),
            ("${A:-x}", "1"),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("$${A}", "${A}"),
            ("$5 and $", "$5 and $"),
            ("${NESTED}", "${A}"),
        ] {
            assert_eq!(expanded(value).as_deref(), Some(want), "{value}");
        }
    }

    #[test]
    fn what_is_printed_is_read_as_it_was() {
        for text in [
            "$2y$10$eFEuUEw5",
            "${A}",
            "$${A}",
            "$$",
            "$",
            "a$",
            "${client.ip} ${route}",
            "${path.name}$1",
            "${A",
            "$$$x",
        ] {
            assert_eq!(
                expanded(&escaped(text)).as_deref(),
                Some(text),
                "{}",
                escaped(text)
            );
        }
        assert_eq!(escaped("/u/${path.name}/$1"), "/u/${path.name}/$1");
    }

    #[test]
    fn what_cannot_be_completed_is_refused() {
        for value in ["${NO}", "${A", "${}", "${A B}", "${A-1}"] {
            assert_eq!(expanded(value), None, "{value}");
        }
    }
}
