//! Clients that come back, to the same proxy and to others, with cookies of its own and with forged ones.

use std::time::Instant;

use http::HeaderMap;
use http::header::COOKIE;
use serde_json::{Value, json};

use super::*;
use crate::component::{Surroundings, build};
use crate::turns::Purpose;
use crate::upstream::balance::Tried;

const SECRET: &str = "correct horse battery staple";

fn policy(options: &Value) -> Arc<dyn Policy> {
    let written = Component::with("sticky", options);
    let built = build(NOUN, KINDS, &written, &Surroundings::default());
    built.unwrap_or_else(|wrong| panic!("{wrong:?}")).made
}

fn usual() -> Arc<dyn Policy> {
    policy(&json!({ "cookie": "shop", "secret": SECRET }))
}

fn servers(ports: impl Iterator<Item = u16>) -> Vec<Arc<Endpoint>> {
    let endpoint = |port| Endpoint::new(([10, 0, 0, 1], port).into(), 1, Arc::default(), None);
    ports.map(|port| Arc::new(endpoint(port))).collect()
}

/// Who answers a request with this cookie, and the cookie that the answer brings.
fn answer(
    policy: &dyn Policy,
    ready: &[Arc<Endpoint>],
    sent: &str,
    tried: &Tried,
) -> (u16, Option<String>) {
    let headers = HeaderMap::from_iter([(COOKIE, sent.parse().unwrap())]);
    let key = policy.key(&Request {
        headers: &headers,
        path: "/",
        query: None,
        client: None,
    });
    let asked = Asked {
        tried,
        purpose: Purpose::Serve,
        key,
        now: Instant::now(),
    };
    let server = policy.picker(ready).pick(ready, &asked).unwrap().clone();
    let cookie = policy.cookie(key, &server);
    let cookie = cookie.map(|cookie| cookie.to_str().unwrap().to_owned());
    (server.address().port(), cookie)
}

fn pair(cookie: &str) -> String {
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn a_client_stays_over_changes_restarts_and_proxies() {
    let (before, ready) = (usual(), servers(1..9));
    for _ in 0..20 {
        let (first, cookie) = answer(&*before, &ready, "a=b", Tried::NONE);
        let sent = format!("a=b; {}", pair(&cookie.unwrap()));
        let fewer = servers([first, 20, 21].into_iter());
        for (policy, ready) in [(&before, &ready), (&usual(), &ready), (&usual(), &fewer)] {
            let again = answer(&**policy, ready, &sent, Tried::NONE);
            assert_eq!(again, (first, None));
        }
    }
}

#[test]
fn a_client_whose_server_is_out_or_failed_moves_on_with_a_new_cookie() {
    let (policy, ready) = (usual(), servers(1..4));
    let (first, cookie) = answer(&*policy, &ready, "a=b", Tried::NONE);
    let sent = pair(&cookie.unwrap());
    let left = servers((1..4).filter(|port| *port != first));
    let (second, cookie) = answer(&*policy, &left, &sent, Tried::NONE);
    assert_ne!(second, first);
    let moved = pair(&cookie.unwrap());
    assert_eq!(
        answer(&*policy, &ready, &moved, Tried::NONE),
        (second, None)
    );
    let mut tried = Tried::default();
    tried.add(([10, 0, 0, 1], first).into());
    let (third, cookie) = answer(&*policy, &ready, &sent, &tried);
    assert!(third != first && cookie.is_some());
}

/// Those who come with one are spread like those who come with none.
#[test]
fn a_forged_cookie_counts_as_none() {
    let (policy, ready) = (usual(), servers(1..4));
    let (_, cookie) = answer(&*policy, &ready, "a=b", Tried::NONE);
    let cookie = pair(&cookie.unwrap());
    let (_, value) = cookie.split_once('=').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(value).unwrap();
    let flipped = (0..64).map(|bit: usize| {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        URL_SAFE_NO_PAD.encode(bytes)
    });
    let others = ["", "x", "AAAAAAAAAAA", "AAAAAAAAAAE", "=", "10.0.0.1:1"].map(str::to_owned);
    let (longer, shorter) = (format!("{value}A"), value[1..].to_owned());
    for forged in flipped.chain(others).chain([longer, shorter]) {
        let sent = format!("shop={forged}");
        let ports = [(); 3].map(|()| {
            let (port, cookie) = answer(&*policy, &ready, &sent, Tried::NONE);
            assert!(cookie.is_some(), "{forged}");
            port
        });
        assert!(ports[0] != ports[1] && ports[1] != ports[2], "{forged}");
    }
}

#[test]
fn a_cookie_is_of_one_secret_and_says_nothing_of_the_address() {
    let ready = servers(1..2);
    let values = [
        json!({ "cookie": "shop", "secret": SECRET }),
        json!({ "cookie": "shop", "secret": "another one of them" }),
        json!({ "cookie": "shop", "secret": "one that is a third" }),
    ]
    .map(|options| {
        answer(&*policy(&options), &ready, "a=b", Tried::NONE)
            .1
            .unwrap()
    });
    assert!(values[0] != values[1] && values[1] != values[2] && values[0] != values[2]);
    assert_eq!(
        values[0],
        "shop=UFjl4k1My3s; Path=/; HttpOnly; SameSite=Lax"
    );
}

#[test]
fn attributes_are_those_of_the_file() {
    let options = json!({
        "cookie": "s", "secret": SECRET, "max_age": "1h", "path": "/shop", "secure": true, "http_only": false, "same_site": "none"
    });
    let (_, cookie) = answer(&*policy(&options), &servers(1..2), "a=b", Tried::NONE);
    let cookie = cookie.unwrap();
    let (_, attributes) = cookie.split_once(';').unwrap();
    assert_eq!(
        attributes,
        " Path=/shop; Max-Age=3600; Secure; SameSite=None"
    );
}

/// Those without a cookie by its key; those whose server is gone all over the rest.
#[test]
fn who_is_new_is_picked_for_by_the_policy_within() {
    let within = json!({ "ring_hash": { "key": "path" } });
    let policy = policy(&json!({ "cookie": "s", "secret": SECRET, "balance": within }));
    let (ready, left) = (servers(1..9), servers(2..9));
    let ports: Vec<u16> = (0..10)
        .map(|_| answer(&*policy, &ready, "a=b", Tried::NONE).0)
        .collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    let alone = servers(1..2);
    let (_, cookie) = answer(&*policy, &alone, "a=b", Tried::NONE);
    let gone = pair(&cookie.unwrap());
    let to: std::collections::BTreeSet<u16> = (0..100)
        .map(|_| answer(&*policy, &left, &gone, Tried::NONE).0)
        .collect();
    assert!(to.len() > 3, "{to:?}");
}
