//! `${NAME}` and `${NAME:-default}`: values from the environment. `${file:path}`: what a file holds, without its last line
//! break; a secret.
//!
//! Names with a dot (`${client.ip}`), and `${route}`, are left for those who know the request.
//!
//! They are put in after the file is parsed, so that a value can never change the structure of the file. `$$` stands
//! for a `$`; a `$` before anything else is just that. Keys are taken as they are written. What is put in, and what `$$` stands
//! for, is text also where it looks like `${client.ip}`: its place is kept ([`Value::Scalar`], [`super::Phrase`]).

use std::borrow::Cow;

use super::code;
use super::diagnostic::Diagnostic;
use super::document::{Node, Value};
use super::phrase;
use super::secrets::{Secrets, tells};
use super::spanned::Span;

/// How a variable is looked up.
pub type Lookup<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// What `${...}` stands for.
pub(super) trait Values {
    /// The value of a variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// What is written at a place.
    fn written(&self, place: Span) -> &str;

    /// What a file holds that is named at a place, or why that cannot be used.
    fn file(&mut self, place: Span, path: &str) -> Result<String, String>;
}

/// Puts them into all values. A value that cannot be completed is reported and marked as broken.
pub(super) fn substitute(
    node: &mut Node,
    values: &mut impl Values,
    secrets: &mut Secrets,
    diagnostics: &mut Vec<Diagnostic>,
) {
    let span = node.span;
    match &mut node.value {
        Value::List(items) => items
            .iter_mut()
            .for_each(|item| substitute(item, values, secrets, diagnostics)),
        Value::Map(entries) => entries
            .iter_mut()
            .for_each(|(_, value)| substitute(value, values, secrets, diagnostics)),
        Value::Scalar {
            text,
            quoted,
            literal,
        } if text.contains('$') => match expand(text, span, values) {
            Ok(expanded) => {
                // `"${PORT}"` is a number if the variable is one: within braces, YAML wants the quotes.
                *quoted &= !is_one_variable(text);
                *literal = expanded.literal();
                *text = expanded.text;
                if !expanded.secrets.is_empty() {
                    secrets.note(span, text, &expanded.secrets);
                }
            }
            Err(fault) => {
                diagnostics.push(fault.into_diagnostic(span, values.written(span)));
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
    File { path: String, why: String },
    FileWithDefault(String),
}

#[derive(Debug, Default)]
struct Expanded {
    text: String,
    /// The parts of it that came from files.
    secrets: Vec<String>,
    /// Where in it something is named that a request has.
    names: Vec<usize>,
}

fn expand(value: &str, place: Span, values: &mut impl Values) -> Result<Expanded, Fault> {
    let mut out = Expanded::default();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        out.text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            out.text.push('$');
            rest = after;
        } else if let Some(after) = after.strip_prefix('{') {
            let (inner, after) = after.split_once('}').ok_or(Fault::Unclosed)?;
            out.put(inner, place, values)?;
            rest = after;
        } else {
            out.text.push('$');
            rest = after;
        }
    }
    out.text.push_str(rest);
    Ok(out)
}

impl Expanded {
    /// Where a `${` in it begins no name.
    fn literal(&self) -> Vec<usize> {
        let all = self.text.match_indices("${").map(|(at, _)| at);
        all.filter(|at| self.names.binary_search(at).is_err())
            .collect()
    }

    fn put(&mut self, inner: &str, place: Span, values: &mut impl Values) -> Result<(), Fault> {
        if let Some(path) = inner.strip_prefix("file:") {
            let secret = file(path, place, values)?;
            self.text.push_str(&secret);
            self.secrets.push(secret);
        } else if is_of_a_request(inner) {
            self.names.push(self.text.len());
            self.text.push_str("${");
            self.text.push_str(inner);
            self.text.push('}');
        } else {
            let value = variable(inner, values)?;
            self.text.push_str(&value);
            // Its name says what it is.
            if tells(inner.split(":-").next().unwrap_or(inner)) && !value.is_empty() {
                self.secrets.push(value);
            }
        }
        Ok(())
    }
}

fn file(path: &str, place: Span, values: &mut impl Values) -> Result<String, Fault> {
    if path.contains(":-") {
        return Err(Fault::FileWithDefault(path.to_owned()));
    }
    let read = match path {
        "" => Err("the name of a file is due".to_owned()),
        path => values.file(place, path),
    };
    read.map_err(|why| Fault::File {
        path: path.to_owned(),
        why,
    })
}

/// The way back: every text of an effective file becomes one that stands for it. What says itself how it is written stays that.
pub(crate) fn escape(value: &mut serde_json::Value) {
    use serde_json::Value as Json;
    if let Some(written) = phrase::unmarked(value) {
        *value = written.into();
        return;
    }
    match value {
        Json::Array(items) => items.iter_mut().for_each(escape),
        Json::Object(entries) => entries.values_mut().for_each(escape),
        Json::String(text) if text.contains('$') => *text = written(text, &|_| true),
        _ => {}
    }
}

/// No name of a value of a request is longer, in bytes.
const NAME_MAX: usize = 1024;

/// What is written for a text. `may_be_name` is whether a `${` at a place may begin a name.
pub(super) fn written(text: &str, may_be_name: &dyn Fn(usize) -> bool) -> String {
    let mut out = String::with_capacity(text.len() + 1);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let place = text.len() - after.len() - 1;
        let inner = after.strip_prefix('{').and_then(|after| {
            let mut near = after.bytes().take(NAME_MAX);
            after.get(..near.position(|byte| byte == b'}')?)
        });
        let is_name = inner.is_some_and(is_of_a_request) && may_be_name(place);
        let is_read = after.starts_with(['$', '{']) && !is_name;
        out.push_str(if is_read { "$$" } else { "$" });
        rest = after;
    }
    out + rest
}

/// What a text of an effective file stands for, but for names.
pub(crate) fn plain(written: &str) -> Cow<'_, str> {
    if written.contains("$$") {
        written.replace("$$", "$").into()
    } else {
        written.into()
    }
}

/// `${client.ip}`, `${route}`: known when a request comes. No variable has such a name.
fn is_of_a_request(inner: &str) -> bool {
    inner == "route" || (inner.contains('.') && !inner.contains(":-"))
}

fn variable(inner: &str, values: &impl Values) -> Result<String, Fault> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Fault::Misnamed(inner.to_owned()));
    }
    match (values.variable(name), default) {
        // As in a shell: `:-` also replaces what is set but empty.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Fault::Missing(name.to_owned())),
    }
}

impl Fault {
    /// `written` is what stands at the place of the value.
    fn into_diagnostic(self, span: Span, written: &str) -> Diagnostic {
        match self {
            Self::Missing(name) => Diagnostic::error(
                code::VARIABLE_NOT_SET,
                format!("the environment variable `{name}` is not set"),
            )
            .at(within(span, written, &format!("${{{name}")))
            .label("not set")
            .help(format!("set it, or give a default: `${{{name}:-default}}`")),
            Self::Unclosed => Diagnostic::error(code::VARIABLE_OPEN, "a `${` without its `}`")
                .at(within(span, written, "${"))
                .label("never closed")
                .help("write `$$` for a plain `$`"),
            Self::Misnamed(inner) => Diagnostic::error(
                code::VARIABLE_NAME,
                format!("`{inner}` is not the name of an environment variable"),
            )
            .at(within(span, written, &format!("${{{inner}")))
            .label("names are made of letters, digits and `_`")
            .help("a default follows `:-`, as in `${PORT:-8080}`; write `$$` for a plain `$`"),
            Self::File { path, why } => {
                let message = match path.as_str() {
                    "" => "`${file:}` names no file".to_owned(),
                    path => format!("cannot use the file `{path}` as a value"),
                };
                Diagnostic::error(code::VALUE_FILE, message)
                    .at(within(span, written, &format!("${{file:{path}")))
                    .label(why)
                    .note("a relative file is looked for beside the file that names it")
            }
            Self::FileWithDefault(inner) => {
                Diagnostic::error(code::VALUE_FILE, "a file has no default")
                    .at(within(span, written, &format!("${{file:{inner}")))
                    .label("`:-` is for variables")
                    .help("put the default into a file, and name that one")
            }
        }
    }
}

/// The place of the substitution within its value, up to its brace, as far as it can be found in the text.
fn within(span: Span, written: &str, beginning: &str) -> Span {
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

    struct Given;

    impl Values for Given {
        fn variable(&self, name: &str) -> Option<String> {
            match name {
                "A" => Some("1".to_owned()),
                "EMPTY" => Some(String::new()),
                "NESTED" => Some("${A}".to_owned()),
                _ => None,
            }
        }

        fn written(&self, _: Span) -> &str {
            ""
        }

        fn file(&mut self, _: Span, path: &str) -> Result<String, String> {
            match path {
                "in.a/token" => Ok("${A}: [".to_owned()),
                _ => Err("missing".to_owned()),
            }
        }
    }

    fn expanded(value: &str) -> Option<String> {
        expand(value, Span::default(), &mut Given)
            .ok()
            .map(|expanded| expanded.text)
    }

    fn escaped(text: &str) -> String {
        written(text, &|_| true)
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
            ("x ${file:in.a/token}${A}", "x ${A}: [1"),
            ("${client.ip} ${route}", "${client.ip} ${route}"),
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
        // Names that never end are looked at once each.
        let open = "${client.ip".repeat(100_000);
        assert_eq!(escaped(&open), open.replace('$', "$$"));
    }

    #[test]
    fn what_cannot_be_completed_is_refused() {
        for value in [
            "${NO}",
            "${A",
            "${}",
            "${A B}",
            "${A-1}",
            "${file:}",
            "${file:no}",
            "${file:in.a/token:-x}",
        ] {
            assert_eq!(expanded(value), None, "{value}");
        }
    }
}
