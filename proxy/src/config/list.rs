//! A list of servers by itself, as a file of its own or a registry's answer has it: what stands behind `servers:`, in YAML or
//! JSON. Nothing is put in for `${...}`: whoever writes the list may be somebody else than who writes the routing file.

use super::check;
use super::code::Code;
use super::decode::decode;
use super::diagnostic::{Diagnostic, Report};
use super::document::{self, NODES_MAX, Node, Root, Value};
use super::source::Source;
use super::spanned::Spanned;
use super::upstream::Server;
use super::{code, not_text};

/// Reads a list. `name` is what it is called in messages.
///
/// # Errors
/// Everything that is wrong with it. A list of nobody is wrong, too.
pub fn servers(name: &str, bytes: &[u8]) -> Result<Vec<Spanned<Server>>, Report> {
    read(name, bytes, |mut root| {
        if root.value == Value::List(Vec::new()) {
            return Err(vec![nobody().at(root.span).label("an empty list")]);
        }
        let decoded = decode::<Vec<Spanned<Server>>>(&mut root, None);
        let mut found = decoded.diagnostics;
        let servers = decoded.value.unwrap_or_default();
        check::listed(&servers, &mut found);
        Ok((servers, found))
    })
}

/// Reads one server by itself: `10.0.0.7:80`, or `{ address, weight, ... }`.
///
/// # Errors
/// Everything that is wrong with it.
pub fn server(name: &str, bytes: &[u8]) -> Result<Server, Report> {
    read(name, bytes, |mut root| {
        let decoded = decode::<Spanned<Server>>(&mut root, None);
        let mut found = decoded.diagnostics;
        match decoded.value {
            Some(server) => {
                check::listed(std::slice::from_ref(&server), &mut found);
                Ok((server.value, found))
            }
            None => Err(found),
        }
    })
}

type Found<T> = Result<(T, Vec<Diagnostic>), Vec<Diagnostic>>;

fn read<T>(name: &str, bytes: &[u8], make: impl FnOnce(Node) -> Found<T>) -> Result<T, Report> {
    let whole = String::from_utf8_lossy(bytes);
    let source = Source::new(name, &whole);
    if let Err(error) = std::str::from_utf8(bytes) {
        return Err(Report::new(source, vec![not_text(error.valid_up_to())]));
    }
    let text = whole.strip_prefix('\u{feff}').unwrap_or(&whole);
    let read = document::read(text, 0, NODES_MAX);
    let mut found = read.diagnostics;
    let made = match read.root {
        Root::Node(root) => make(root),
        Root::Empty => Err(vec![nobody()]),
        Root::Unreadable => Err(Vec::new()),
    };
    let made = match made {
        Ok((made, more)) => {
            found.extend(more);
            Some(made)
        }
        Err(more) => {
            found.extend(more);
            None
        }
    };
    let found = found.into_iter().map(in_one_line).collect();
    let report = Report::new(source, found);
    made.filter(|_| report.errors() == 0).ok_or(report)
}

/// Of these a message says what is there, and a label what is expected.
const BY_LABEL: [Code; 3] = [code::WRONG_TYPE, code::NO_VALUE, code::OUT_OF_BOUNDS];

/// What is wrong with a list is told behind what it is called, and without the text: what is expected belongs to the message.
fn in_one_line(mut diagnostic: Diagnostic) -> Diagnostic {
    if let Some(rest) = diagnostic.message.strip_prefix("the file ") {
        diagnostic.message = format!("it {rest}");
    }
    let is_told = BY_LABEL.contains(&diagnostic.code);
    let expected = diagnostic
        .label
        .take_if(|label| is_told && label.starts_with("expected"));
    if let Some(expected) = expected {
        diagnostic.message += &format!(", {expected}");
    }
    diagnostic
}

fn nobody() -> Diagnostic {
    Diagnostic::error(code::NO_SERVERS, "the list names no server")
        .help("write at least one, such as `[ \"127.0.0.1:5252\" ]`")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `line:column message` of everything that is wrong.
    fn wrong(text: &str) -> Vec<String> {
        let report = servers("list", text.as_bytes()).unwrap_err();
        let said = |one: &Diagnostic| match one.span {
            Some(span) => {
                let (line, column) = report.source.position(span.start);
                format!("{line}:{column} {}", one.message)
            }
            None => one.message.clone(),
        };
        report.diagnostics.iter().map(said).collect()
    }

    #[test]
    fn a_list_is_yaml_or_json() {
        let yaml = "# ours\n- api:80\n- { address: '10.0.0.7:80', weight: 2, priority: 1 }\n";
        let json = "[\n\t\"api:80\",\r\n\t{\"address\": \"10.0.0.7:80\",\t\"weight\":2,\n\t\"priority\" : 1}\n]";
        let inline =
            "\u{feff}[\"api:80\",{\"address\":\"10.0.0.7:80\",\"weight\":2,\"priority\":1}]";
        let list = servers("list", yaml.as_bytes()).unwrap();
        assert_eq!(list[0].address.to_string(), "api:80");
        assert_eq!(
            (list[1].weight.value, list[1].priority.unwrap().value),
            (2, 1)
        );
        for other in [json, inline] {
            let other = servers("list", other.as_bytes()).unwrap();
            let told = |list: &[Spanned<Server>]| {
                serde_json::to_string(&list.iter().map(|one| &one.value).collect::<Vec<_>>())
                    .unwrap()
            };
            assert_eq!(told(&other), told(&list));
        }
        let one = server("one", b"{ address: 'a:1', backup: true }").unwrap();
        assert!(one.is_backup());
        assert_eq!(
            server("one", b"10.0.0.7:80").unwrap().address.to_string(),
            "10.0.0.7:80"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let cases = [
            ("- a:80\n- b\n", "2:3 `b` has no port"),
            (
                "- a:80\n- { address: 'b:80', wieght: 2 }\n",
                "2:22 unknown key `wieght`",
            ),
            (
                "[\"a:80\", {\"address\": \"b:80\", \"weight\": 0}]",
                "1:40 `weight` is the number `0`",
            ),
            ("- a:80\n- a:80\n", "2:3 server `a:80` is twice in the list"),
            ("[]", "1:1 the list names no server"),
            ("", "the list names no server"),
            ("[\"a:80\"", "1:1 "),
            ("<html>not found</html>", "1:1 "),
            (
                "servers: [ 'a:80' ]",
                "1:1 it is a group of keys, expected a list (`[ ... ]`)",
            ),
            (
                "[[]]",
                "1:2 an item is a list, expected a server such as `\"api:5252\"` or ",
            ),
            (
                "[{ address: 'a:80', weight: 0 }]",
                "1:29 `weight` is the number `0`, expected a whole number from 1 to 1000",
            ),
            ("- ${HOME}:80", "1:3 `$` cannot be part of a host name"),
        ];
        for (text, expected) in cases {
            let found = wrong(text);
            assert!(found[0].starts_with(expected), "{text}: {found:?}");
        }
        let both = wrong("- a\n- b:80\n- c\n");
        assert_eq!(both.len(), 2, "{both:?}");
        assert!(servers("list", b"- a:80\n- \xff:80\n").is_err());
        for (value, what) in [
            ("[a:80]", "is a list"),
            ("80", "is the number `80`"),
            ("true", "is `true`"),
            ("~", "has no value"),
        ] {
            let report = server("one", value.as_bytes()).unwrap_err();
            let said = &report.diagnostics[0].message;
            let expected = format!("it {what}, expected a server such as ");
            assert!(said.starts_with(&expected), "{value}: {said}");
        }
        assert!(server("one", b"").is_err());
    }
}
