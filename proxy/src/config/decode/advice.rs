//! What to write where keys are due and something else stands: as far as it can be guessed from what is written.

use super::subject::Where;
use crate::config::document::{Node, Value, is_number, shortened};

/// What to write where keys are expected.
pub(super) fn keys(known: &[&str], place: &Where<'_>) -> Option<String> {
    let key = place.key.and_then(Node::text).unwrap_or_default();
    if known.contains(&key) {
        return Some(format!(
            "`{key}` is one of those keys itself: indent it as far as the others"
        ));
    }
    let text = match &place.node.value {
        Value::List(_) => return Some("keys have no `- ` in front".to_owned()),
        _ => place.node.text()?,
    };
    let word = text.split_once(':').map(|(word, _)| word);
    if let Some(word) = word.filter(|word| known.contains(word)) {
        return Some(format!("a space is missing after `{word}:`"));
    }
    let inner = instead(known, text)?;
    // The options of a component are a tree of their own.
    let key = if key.is_empty() { &place.path } else { key };
    Some(format!("write `{key}: {{ {inner} }}`"))
}

/// The key of the known ones that a single value stands for, with its value.
fn instead(known: &[&str], text: &str) -> Option<String> {
    let has = |key: &str| known.contains(&key);
    let short = shortened(text);
    match known {
        [only] if is_number(text) || text.contains(':') => Some(format!("{only}: {short}")),
        [only] => Some(format!("{only}: ...")),
        _ if has("path_prefix") && text.starts_with('/') => Some(format!("path_prefix: {short}")),
        _ if has("keep_query") => redirect(text),
        _ if has("path") && text.starts_with('/') => Some(format!("path: {short}")),
        _ if has("text") && has("status") => Some(match is_number(text) {
            true => format!("status: {short}"),
            false => format!("text: \"{short}\""),
        }),
        _ if has("reason") && is_number(text) => Some(format!("status: {short}")),
        _ if has("protocols") => Some(match text.parse::<u16>() {
            Ok(port) => format!("address: \"0.0.0.0:{port}\""),
            Err(_) => format!("address: \"{short}\""),
        }),
        _ if has("rate") && is_number(text) => Some(format!("rate: {short}/s")),
        _ if has("rate") && text.contains('/') => Some(format!("rate: {short}")),
        _ if has("expect") => Some("request: GET /, expect: { status: 200 }".to_owned()),
        _ => None,
    }
}

/// `https://example.com/x`, `/x`
fn redirect(text: &str) -> Option<String> {
    if text.starts_with('/') {
        return Some(format!("path: {}", shortened(text)));
    }
    let (scheme, rest) = text.split_once("://")?;
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) if !path.is_empty() => (host, format!(", path: /{}", shortened(path))),
        Some((host, _)) => (host, String::new()),
        None => (rest, String::new()),
    };
    let host = shortened(host);
    Some(match host.split_once(':') {
        Some((host, port)) => format!("scheme: {scheme}, host: {host}, port: {port}{path}"),
        None => format!("scheme: {scheme}, host: {host}{path}"),
    })
}

/// What to write where things with names are expected.
pub(super) fn names(place: &Where<'_>) -> Option<String> {
    let key = place.key.and_then(Node::text)?;
    let text = place.node.text()?;
    if !matches!(key, "header" | "query" | "cookie") {
        return None;
    }
    Some(match text.split_once(['=', ':']) {
        Some((name, value)) => format!("write `{key}: {{ {}: {} }}`", name.trim(), value.trim()),
        None => format!("write `{key}: {{ {text}: {{ present: true }} }}`"),
    })
}

/// What to write where one value is expected, and a list stands.
pub(super) fn one(place: &Where<'_>) -> Option<String> {
    let key = place.key.and_then(Node::text)?;
    let Value::List(items) = &place.node.value else {
        return None;
    };
    let texts: Vec<&str> = items.iter().filter_map(Node::text).collect();
    match (key, texts.as_slice()) {
        _ if place.item => None,
        (_, [only]) => Some(format!("write `{key}: {}`", shortened(only))),
        ("path" | "path_prefix" | "path_regex", [first, second, ..]) => Some(format!(
            "several are told apart by `any`: `any: [ {{ {key}: {} }}, {{ {key}: {} }} ]`",
            shortened(first),
            shortened(second)
        )),
        ("upstream", _) => {
            Some("a `split` shares requests among several: `split: { a: 1, b: 1 }`".to_owned())
        }
        _ => None,
    }
}
