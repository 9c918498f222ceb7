//! Quotes of word processors and chats, which YAML takes for letters: what they seem to enclose has them in it.

use super::diagnostic::{Diagnostic, Remark};

/// Those that open, each with those that close.
const PAIRS: [(char, &[char]); 5] = [
    ('\u{201c}', &['\u{201d}', '\u{201c}']),
    ('\u{201e}', &['\u{201c}', '\u{201d}']),
    ('\u{201d}', &['\u{201d}']),
    ('\u{2018}', &['\u{2019}']),
    ('\u{2019}', &['\u{2019}']),
];

/// Adds to a finding what to write, where that is what is wrong with the text at its place.
pub(super) fn explain(finding: &mut Diagnostic, written: &str) {
    let Some((open, inner, close)) = enclosed(written) else {
        return;
    };
    // What else there is to say is about the text with these quotes.
    finding
        .remarks
        .retain(|remark| matches!(remark, Remark::Note(_)));
    finding.label = Some(format!("`{open}` and `{close}` are letters to YAML"));
    let help = format!("write `\"{inner}\"`, with plain quotes");
    finding.remarks.insert(0, Remark::Help(help));
}

/// The same for a line that is no YAML.
pub(super) fn explain_line(finding: &mut Diagnostic, line: &str) {
    let is_one = |c: &char| {
        PAIRS
            .iter()
            .any(|(open, close)| open == c || close.contains(c))
    };
    if let Some(quote) = line.chars().find(is_one) {
        let help = format!("`{quote}` is a letter to YAML: write `\"`");
        finding.remarks.insert(0, Remark::Help(help));
    }
}

fn enclosed(written: &str) -> Option<(char, &str, char)> {
    let (open, close) = (written.chars().next()?, written.chars().next_back()?);
    let (_, closing) = PAIRS.iter().find(|(one, _)| *one == open)?;
    let inner = written.strip_prefix(open)?.strip_suffix(close)?;
    closing.contains(&close).then_some((open, inner, close))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_enclosed_as_a_whole_is_meant_as_quoted() {
        let inner = |text| enclosed(text).map(|(_, inner, _)| inner);
        assert_eq!(inner("\u{201c}a\u{201d}"), Some("a"));
        assert_eq!(inner("\u{201e}a\u{201c}"), Some("a"));
        assert_eq!(inner("\u{2018}a\u{2019}"), Some("a"));
        for text in [
            "",
            "a",
            "\u{201c}",
            "\u{201c}a",
            "say \u{201c}a\u{201d}",
            "\"a\"",
        ] {
            assert_eq!(inner(text), None, "{text}");
        }
    }
}
