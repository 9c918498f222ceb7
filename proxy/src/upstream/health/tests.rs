//! Tests of what makes two checks the same.

use super::*;
use crate::component::{Surroundings, build};

fn check(written: &str) -> Arc<Check> {
    let text = format!(
        "listeners: {{ w: {{ address: '0.0.0.0:1' }} }}\nupstreams: {{ a: {{ servers: [ '127.0.0.1:1' ], health_check: {written} }} }}"
    );
    let surroundings = Surroundings::default();
    let loaded = crate::config::parse("x", &text, &|_| None, None, |file, _| {
        let written = file.upstreams.get("a").unwrap();
        build(
            "",
            KINDS,
            written.health_check.as_ref().unwrap(),
            &surroundings,
        )
    });
    loaded.unwrap().made.made
}

/// Of two that ask otherwise, neither may answer for the other.
#[test]
fn whatever_decides_on_the_outcome_is_part_of_what_is_asked() {
    let checks = [
        "tcp",
        "{ tcp: { port: 2 } }",
        "{ tcp: { port: 3 } }",
        "http",
        "{ http: { port: 2 } }",
        "{ http: { method: HEAD } }",
        "{ http: { path: /a } }",
        "{ http: { host: a } }",
        "{ http: { headers: { a: b } } }",
        "{ http: { headers: { a: c } } }",
        "{ http: { statuses: [ 200 ] } }",
        "{ http: { body: { contains: a } } }",
        "{ http: { body: { contains: b } } }",
        "{ http: { body: { regex: a } } }",
        "{ http: { body: { regex: b } } }",
        "grpc",
        "{ grpc: { port: 2 } }",
        "{ grpc: { service: a } }",
        "{ grpc: { authority: a } }",
    ];
    for (at, one) in checks.iter().enumerate() {
        assert_eq!(check(one).identity(), check(one).identity());
        for other in checks.iter().skip(at + 1) {
            assert_ne!(check(one).asks(), check(other).asks(), "{one}, {other}");
        }
    }
}

#[test]
fn the_order_of_the_fields_is_not() {
    let fields = |fields: &str| check(&format!("{{ http: {{ headers: {{ {fields} }} }} }}"));
    let (one, other) = (fields("a: b, c: d"), fields("c: d, a: b"));
    assert_eq!(one.identity(), other.identity());
}

#[test]
fn the_pace_decides_how_often_something_is_asked_and_not_what() {
    let usual = check("tcp");
    for pace in [
        "interval: 1s",
        "down_interval: 2s",
        "timeout: 1s",
        "healthy_after: 1",
        "unhealthy_after: 1",
    ] {
        let other = check(&format!("{{ tcp: {{ {pace} }} }}"));
        assert_eq!(other.asks(), usual.asks(), "{pace}");
        assert_ne!(other.identity(), usual.identity(), "{pace}");
    }
    // What is left out is what is written.
    let written = check("{ tcp: { interval: 5s, down_interval: 1s } }");
    assert_eq!(written.identity(), usual.identity());
}
