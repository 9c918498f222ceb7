//! What is wrong with a file that is not YAML, in our words: the parser's are about tokens, the reader's about lines.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use super::Node;
use super::conflict;
use super::surroundings::Surroundings;
use crate::config::code;
use crate::config::diagnostic::Diagnostic;
use crate::config::quotes;
use crate::config::spanned::Span;

/// Where keys belong.
const ONE_COLUMN: &str = "keys of one group stand in one column";

/// Nothing was written.
pub(in crate::config) fn empty() -> Diagnostic {
    Diagnostic::error(code::FILE_EMPTY, "the file is empty")
        .help("the least that works is `listeners: { web: { address: \"0.0.0.0:80\" } }`")
}

/// A `---` in the middle.
pub(super) fn second_document(span: Span) -> Diagnostic {
    Diagnostic::error(code::SECOND_DOCUMENT, "a second document begins here")
        .at(span)
        .label("the routing file is one document")
        .help("remove the `---`, or what follows it")
}

/// `[a]: b` and the like.
pub(super) fn odd_key(key: &Node) -> Diagnostic {
    let diagnostic = Diagnostic::error(code::ODD_KEY, "a key must be a word").at(key.span);
    match key.value {
        super::Value::Null => diagnostic.label("nothing before the colon"),
        _ => diagnostic
            .label(format!("this is {}", key.describe()))
            .help("put it into quotes if it is meant as text"),
    }
}

/// `!name`
pub(super) fn odd_tag(tag: &str, span: Span) -> Diagnostic {
    Diagnostic::error(
        code::TAG,
        format!("the tag `{}` means nothing here", super::shortened(tag)),
    )
    .at(span)
    .label("not one of YAML's own")
    .help("remove it; put text that begins with `!` into quotes")
}

/// The parser's error at its place.
pub(super) fn diagnostic(text: &str, error: &ScanError) -> Diagnostic {
    let at = error.marker().byte_offset().unwrap_or(text.len());
    let near = Surroundings::new(text, at);
    if let Some(conflict) = conflict::indented(&near) {
        return conflict;
    }
    let mut problem = explained(error.kind(), &near);
    let start = problem.span.map_or(at, |span| span.start);
    let (_, line) = Surroundings::new(text, start).line();
    quotes::explain_line(&mut problem, line);
    problem
}

fn explained(kind: &ErrorKind, near: &Surroundings<'_>) -> Diagnostic {
    match kind {
        ErrorKind::TabInIndentation
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabNotAllowed
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => tab(near),
        ErrorKind::UnknownAnchor => alias(near),
        ErrorKind::UnexpectedCharacter { character } => character_at_start(*character, near),
        ErrorKind::UnclosedQuotedScalar | ErrorKind::DocumentIndicatorInQuotedScalar => {
            quote(near.here())
        }
        ErrorKind::InvalidQuotedScalarIndent => match near.open_quote() {
            Some(open) => quote(open),
            None => indentation(near),
        },
        ErrorKind::InvalidTrailingDoubleQuotedScalar
        | ErrorKind::InvalidTrailingSingleQuotedScalar => after_quote(near),
        ErrorKind::UnknownQuotedScalarEscape => escape(near),
        ErrorKind::MisplacedFlowCollectionEnd => superfluous(near),
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => mismatch(*open, *close, near),
        kind if is_flow(kind) => flow(near),
        ErrorKind::MappingValueNotAllowed => colon(near),
        ErrorKind::BlockSequenceEntryNotAllowed => dash(near),
        ErrorKind::ExpectedBlockSequenceEntry => key_among_items(near),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => no_colon(near),
        kind if is_indentation(kind) => indentation(near),
        kind => Diagnostic::error(code::NOT_YAML, "YAML does not allow this")
            .at(near.word())
            .label("here")
            .note(kind.to_string()),
    }
}

fn is_flow(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::UnclosedFlowCollection { .. }
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofImplicitFlowMapping
            | ErrorKind::InvalidColonPlacement
            | ErrorKind::BlockEntryInFlowCollection
            | ErrorKind::InvalidFlowScalarIndent
    )
}

fn is_indentation(kind: &ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::InvalidIndentation
            | ErrorKind::InvalidBlockScalarIndent
            | ErrorKind::ExpectedDocumentStart
            | ErrorKind::ExpectedNodeContent
    )
}

fn tab(near: &Surroundings<'_>) -> Diagnostic {
    Diagnostic::error(code::TAB, "a tab in the indentation")
        .at(near.tabs())
        .label("YAML is indented with spaces")
        .help("replace each tab with two spaces")
}

fn alias(near: &Surroundings<'_>) -> Diagnostic {
    let word = near.word_text();
    let name = word.trim_start_matches('*');
    Diagnostic::error(code::ALIAS, format!("nothing is called `&{name}`"))
        .at(near.word())
        .label("a `*` in front stands for something named with `&` above")
        .help(format!(
            "put it into quotes if it is meant as text: `\"{word}\"`"
        ))
}

fn character_at_start(character: char, near: &Surroundings<'_>) -> Diagnostic {
    let shown = if character == '`' {
        "a backtick".to_owned()
    } else {
        format!("`{}`", character.escape_debug())
    };
    Diagnostic::error(code::NEEDS_QUOTES, format!("{shown} cannot begin a value"))
        .at(near.here())
        .label("YAML keeps this character for itself")
        .help("put the value into quotes")
}

fn quote(open: Span) -> Diagnostic {
    Diagnostic::error(code::QUOTES, "a quote is never closed")
        .at(open)
        .label("opened here")
}

fn after_quote(near: &Surroundings<'_>) -> Diagnostic {
    Diagnostic::error(code::QUOTES, "something follows a closing quote")
        .at(near.word())
        .label("not part of the quoted text")
        .help(if near.open_bracket().is_some() {
            "a comma is missing, or the quotes must go around all of it"
        } else {
            "the quotes must go around all of it"
        })
}

fn escape(near: &Surroundings<'_>) -> Diagnostic {
    let (span, written) = near.backslash();
    Diagnostic::error(
        code::ESCAPE,
        format!("`{written}` has no meaning within double quotes"),
    )
    .at(span)
    .label("unknown")
    .help("write `\\\\` for a backslash, or use single quotes, in which it means itself")
}

fn superfluous(near: &Surroundings<'_>) -> Diagnostic {
    let bracket = near.first_char();
    Diagnostic::error(code::BRACKETS, format!("a `{bracket}` too many"))
        .at(near.here())
        .label("nothing is open here")
}

fn mismatch(open: char, close: char, near: &Surroundings<'_>) -> Diagnostic {
    let due = closing(open);
    Diagnostic::error(code::BRACKETS, format!("`{open}` is closed by `{close}`"))
        .at(near.here())
        .label(format!("needs its `{due}`"))
}

fn closing(open: char) -> char {
    if open == '[' { ']' } else { '}' }
}

/// Within brackets something is missing: a comma, or the bracket's end.
fn flow(near: &Surroundings<'_>) -> Diagnostic {
    if let Some((span, written)) = near.variable() {
        return Diagnostic::error(
            code::NEEDS_QUOTES,
            "`${...}` needs quotes within `{ }` and `[ ]`",
        )
        .at(span)
        .label("YAML takes these braces for its own")
        .help(format!("write `\"{written}\"`; a number stays a number"));
    }
    let Some((open, bracket)) = near.open_bracket() else {
        return unclosed(near);
    };
    let due = closing(bracket);
    if near.on_line_of(open) && !near.at_end() {
        if near.follows_bracket() && near.word_text().starts_with(':') {
            return Diagnostic::error(code::NEEDS_QUOTES, "an address with brackets needs quotes")
                .at(near.word())
                .label("YAML takes the brackets before this for a list")
                .help("write `\"[::]:80\"`");
        }
        if near.follows_quote() {
            return after_quote(near);
        }
        return Diagnostic::error(
            code::COMMA_MISSING,
            format!("a comma or `{due}` is missing"),
        )
        .at(near.word())
        .label("before this");
    }
    let diagnostic = Diagnostic::error(code::BRACKETS, format!("`{bracket}` is never closed"))
        .at(Span::new(open, open + 1))
        .label(format!("needs its `{due}`"));
    if near.at_end() {
        diagnostic
    } else {
        diagnostic.related(near.word(), "does not belong inside any more")
    }
}

/// The text ends before a bracket does.
fn unclosed(near: &Surroundings<'_>) -> Diagnostic {
    match near.end().open_bracket() {
        Some((open, bracket)) => {
            Diagnostic::error(code::BRACKETS, format!("`{bracket}` is never closed"))
                .at(Span::new(open, open + 1))
                .label(format!("needs its `{}`", closing(bracket)))
        }
        None => indentation(near),
    }
}

/// A colon where a value has begun already.
fn colon(near: &Surroundings<'_>) -> Diagnostic {
    if let Some(value) = near.value_with_colon() {
        return Diagnostic::error(code::SECOND_COLON, "a second `: ` on one line")
            .at(near.here())
            .label("a value cannot be a key")
            .help(format!(
                "put the value into quotes if the colon is part of it: `\"{value}\"`"
            ));
    }
    match near.line_above() {
        Some((span, above)) if !above.contains(':') => no_colon_after(span, above),
        _ => indentation(near),
    }
}

fn no_colon(near: &Surroundings<'_>) -> Diagnostic {
    let (span, line) = near.line();
    no_colon_after(span, line)
}

fn no_colon_after(span: Span, line: &str) -> Diagnostic {
    Diagnostic::error(
        code::COLON_MISSING,
        format!("a `:` is missing after `{}`", super::shortened(line)),
    )
    .at(span)
    .label("expected a key and a colon")
    .help("a space follows the colon, if a value does")
}

fn dash(near: &Surroundings<'_>) -> Diagnostic {
    Diagnostic::error(code::LIST_MISPLACED, "a list cannot begin here")
        .at(near.here())
        .label("a `-` needs a line of its own")
        .help("write `[ a, b ]`, or put each `- item` on a line below the key")
}

fn key_among_items(near: &Surroundings<'_>) -> Diagnostic {
    if near.line().1.starts_with('-') {
        return indentation(near);
    }
    Diagnostic::error(code::LIST_MISPLACED, "a key among the items of a list")
        .at(near.word())
        .label("expected `- `, as above")
        .help("things with a name have no `-`: write `name:` in each case")
}

fn indentation(near: &Surroundings<'_>) -> Diagnostic {
    let (span, line) = near.line();
    let diagnostic = Diagnostic::error(
        code::INDENTATION,
        "the indentation of this line does not fit",
    )
    .at(span);
    if line.starts_with("- ") || line == "-" {
        return diagnostic
            .label("a list item that stands in no list's column")
            .help("the items of one list stand in one column");
    }
    match near.line_above() {
        Some((above, text))
            if near.indent() > near.indent_at(above.start) && !text.ends_with(':') =>
        {
            diagnostic
                .label("deeper than the line above")
                .related(above, "this has a value already")
                .help(ONE_COLUMN)
        }
        _ if !line.contains(':') => no_colon(near),
        _ => diagnostic
            .label("no line above begins in this column")
            .help(ONE_COLUMN),
    }
}
