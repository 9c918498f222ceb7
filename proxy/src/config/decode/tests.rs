//! The decoder over all shapes of serde's data model, and that no mistake hides another.

use serde::Deserialize;

use super::*;
use crate::config::document::{self, Value};
use crate::config::{Named, OneOrMany, Span};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Everything {
    text: String,
    number: Option<i64>,
    fraction: Option<f64>,
    flag: Option<bool>,
    letter: Option<char>,
    list: Option<Vec<u8>>,
    pair: Option<(u8, String)>,
    map: Option<std::collections::BTreeMap<String, u8>>,
    kind: Option<Kind>,
    newtype: Option<Newtype>,
    named: Option<Named<u8>>,
    raw: Option<Node>,
    one: Option<OneOrMany<Spanned<String>>>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Unit,
    Newtype(u8),
    Full { a: u8 },
}

#[derive(Debug, Deserialize, PartialEq)]
struct Newtype(u8);

fn decoded<T: DeserializeOwned>(text: &str) -> (Option<T>, Vec<String>) {
    let read = document::read(text, 0, document::NODES_MAX);
    assert_eq!(read.diagnostics, []);
    let document::Root::Node(mut root) = read.root else {
        panic!("no tree in {text}");
    };
    let decoded = decode(&mut root, None);
    let messages = decoded
        .diagnostics
        .into_iter()
        .map(|diagnostic| diagnostic.message)
        .collect();
    (decoded.value, messages)
}

fn good(text: &str) -> Everything {
    let (value, messages) = decoded(text);
    assert_eq!(messages, [] as [&str; 0]);
    value.unwrap()
}

fn bad(text: &str) -> Vec<String> {
    decoded::<Everything>(text).1
}

#[test]
fn every_shape_is_decoded() {
    let all = good(
        "{ text: on, number: -5, fraction: 1.5, flag: true, letter: x, list: [ 1, 2 ], pair: [ 1, a ], map: { a: 1 }, \
         newtype: 7, named: { b: 2, a: 1 }, raw: { x: [ y ] }, one: a }",
    );
    assert_eq!(
        (
            all.text.as_str(),
            all.number,
            all.fraction,
            all.flag,
            all.letter
        ),
        ("on", Some(-5), Some(1.5), Some(true), Some('x'))
    );
    assert_eq!(
        (all.list, all.pair),
        (Some(vec![1, 2]), Some((1, "a".to_owned())))
    );
    assert_eq!((all.map.unwrap()["a"], all.newtype), (1, Some(Newtype(7))));
    let named = all.named.unwrap();
    assert_eq!(
        (
            named.names().collect::<Vec<_>>(),
            named.get("a"),
            named.len()
        ),
        (vec!["b", "a"], Some(&1), 2)
    );
    assert!(matches!(
        all.raw.unwrap().get("x").unwrap().value,
        Value::List(_)
    ));
    assert_eq!(all.one.unwrap().iter().count(), 1);
}

#[test]
fn every_kind_of_variant_is_decoded() {
    assert_eq!(good("{ text: a, kind: unit }").kind, Some(Kind::Unit));
    assert_eq!(
        good("{ text: a, kind: { newtype: 3 } }").kind,
        Some(Kind::Newtype(3))
    );
    assert_eq!(
        good("{ text: a, kind: { full: { a: 3 } } }").kind,
        Some(Kind::Full { a: 3 })
    );
    assert_eq!(bad("{ text: a, kind: newtype }").len(), 1);
    assert_eq!(bad("{ text: a, kind: { unit: 3 } }").len(), 1);
    assert_eq!(bad("{ text: a, kind: { unit: , full: } }").len(), 1);
}

#[test]
fn places_are_kept() {
    let one = good("{ text: a, one: [ x, \"y\" ] }").one.unwrap();
    let spans: Vec<Span> = one.iter().map(|text| text.span).collect();
    assert_eq!(spans, [Span::new(18, 19), Span::new(21, 24)]);
}

#[test]
fn no_mistake_hides_another() {
    let messages = bad(
        "{ text: [ a ], number: x, flag: yes, list: [ 1, a, 300 ], map: { a: b, c: d }, named: { a: x, b: y }, other: 1 }",
    );
    assert_eq!(messages.len(), 10, "{messages:?}");
}

#[test]
fn what_follows_from_a_mistake_is_not_said() {
    assert_eq!(bad("{ text: [ a ] }").len(), 1);
    assert_eq!(bad("{ txt: a }"), ["unknown key `txt`"]);
    assert_eq!(bad("{ number: 1 }"), ["the key `text` is missing"]);
}

#[test]
fn a_name_with_a_broken_section_is_still_known() {
    let (value, messages) = decoded::<Named<u8>>("{ a: x, b: 2 }");
    let named = value.unwrap();
    assert_eq!((messages.len(), named.len()), (1, 1));
    assert_eq!(
        named
            .written()
            .map(|name| name.value.as_str())
            .collect::<Vec<_>>(),
        ["b", "a"]
    );
}

#[test]
fn a_key_without_a_value_is_a_mistake_but_for_named_things() {
    assert_eq!(
        bad("{ text: , number: }"),
        ["`text` has no value", "`number` has no value"]
    );
    assert!(good("{ text: a, named: }").named.unwrap().is_empty());
}

#[test]
fn the_number_of_errors_is_bounded() {
    let text = format!("[{}]", "x,".repeat(1000));
    let (value, messages) = decoded::<Vec<u8>>(&text);
    assert!(
        value.is_none() && messages.len() == ERRORS_MAX + 1,
        "{}",
        messages.len()
    );
}
