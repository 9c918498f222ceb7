//! YAML as people write it: what is short stands on one line.

use serde::ser::{Serialize, Serializer};
use serde_json::Value;
use serde_yaml::{FlowMap, FlowSeq};

/// What is longer has a line for each entry.
const LINE: usize = 88;

/// The file and its sections have a line for each entry, unless these are mere settings.
const WHOLE: usize = 2;

/// A value as text. Each value of it stands on one line, whatever is in it.
pub(super) fn text(value: &Value) -> Result<String, String> {
    let options = serde_yaml::ser_options! {
        compact_list_indent: false,
        prefer_block_scalars: false,
    };
    let text = serde_yaml::to_string_with_options(&Styled(value, WHOLE), options);
    // After a last line in braces the library leaves the end of the line out.
    text.map(|text| text.trim_end().to_owned() + "\n")
        .map_err(|error| error.to_string())
}

/// A value, and how many levels of it have a line for each entry in any case.
struct Styled<'v>(&'v Value, usize);

impl Serialize for Styled<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, levels) = *self;
        let is_flat = levels < WHOLE && !inner(value).any(|one| inner(one).next().is_some());
        let is_line = (levels == 0 || is_flat) && value.to_string().len() <= LINE;
        let below = levels.saturating_sub(1);
        match value {
            Value::Object(_) if is_line => FlowMap(value).serialize(serializer),
            Value::Array(_) if is_line => FlowSeq(value).serialize(serializer),
            Value::Object(entries) => {
                let entries = entries.iter();
                serializer.collect_map(entries.map(|(key, value)| (key, Styled(value, below))))
            }
            Value::Array(items) => {
                serializer.collect_seq(items.iter().map(|item| Styled(item, below)))
            }
            _ => value.serialize(serializer),
        }
    }
}

/// The values in a value.
fn inner(value: &Value) -> Box<dyn Iterator<Item = &Value> + '_> {
    match value {
        Value::Object(entries) => Box::new(entries.values()),
        Value::Array(items) => Box::new(items.iter()),
        _ => Box::new(std::iter::empty()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What other readers of YAML would take for something else, too.
    #[test]
    fn every_text_comes_back_as_that_text() {
        let odd = [
            "80",
            "1.10",
            "on",
            "yes",
            "~",
            "null",
            "",
            " ",
            "true",
            "0x1F",
            "1e3",
            "2026-12-01",
            "a: b",
            "# no",
            "- x",
            "[a]",
            "{a}",
            "a,b",
            "*.example.com",
            "&a",
            "!x",
            "|",
            ">",
            "@x",
            "`x`",
            "%x",
            "\"",
            "'",
            "\\d+",
            "a\nb\n",
            "\tx",
            "${client.ip}",
            "$${A}",
            "x #y",
            "x:",
            "?",
            "-",
            "<<",
            "é",
            "\u{feff}x",
            "=",
            ".",
            "1:30",
        ];
        let long = "word ".repeat(60);
        let odd: Vec<&str> = odd.into_iter().chain([long.as_str()]).collect();
        for text in odd {
            let value = json!({ "a": { "b": { text: text, "list": [text, { "c": text }] }, "d": { "e": [long, text] } } });
            let written = super::text(&value).unwrap();
            let read: Value = serde_yaml::from_str(&written).unwrap();
            assert_eq!(read, value, "{written}");
        }
    }

    #[test]
    fn what_is_short_stands_on_one_line() {
        let value = json!({ "upstreams": { "a": { "servers": [{ "address": "[::1]:80", "weight": 1 }], "timeouts": { "read": "1m" } } } });
        assert_eq!(
            super::text(&value).unwrap(),
            "upstreams:\n  a: {servers: [{address: \"[::1]:80\", weight: 1}], timeouts: {read: 1m}}\n"
        );
    }
}
