//! Simulations of `ring_hash` and `maglev`: who gets what, who moves, and how far a hot key spreads. Nothing in them is left to chance.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

use crate::component::{Surroundings, build};
use crate::config::Component;
use crate::hash::hash;
use crate::turns::Purpose;
use crate::upstream::balance::{Asked, KINDS, NOUN, Picker, Policy, Tried};
use crate::upstream::{Endpoint, InFlight};

const KEYS: u64 = 20_000;

fn policy(name: &str, more: &Value) -> Arc<dyn Policy> {
    let mut options = json!({ "key": "client" });
    let more = more.as_object().cloned().unwrap_or_default();
    options.as_object_mut().unwrap().extend(more);
    let written = Component::with(name, &options);
    let built = build(NOUN, KINDS, &written, &Surroundings::default());
    built.unwrap_or_else(|wrong| panic!("{wrong:?}")).made
}

fn both() -> [(&'static str, Arc<dyn Policy>); 2] {
    ["ring_hash", "maglev"].map(|name| (name, policy(name, &json!({}))))
}

fn server(host: u8, weight: u16) -> Arc<Endpoint> {
    let address = ([10, 0, 0, host], 80).into();
    Arc::new(Endpoint::new(address, weight, Arc::default(), None))
}

/// `10.0.0.0`, `10.0.0.1` and so on.
fn servers(weights: &[u16]) -> Vec<Arc<Endpoint>> {
    let hosts = (0..).zip(weights);
    hosts.map(|(host, weight)| server(host, *weight)).collect()
}

fn asked(tried: &Tried, key: Option<u64>) -> Asked<'_> {
    Asked {
        tried,
        purpose: Purpose::Serve,
        key,
        now: Instant::now(),
    }
}

fn key(number: u64) -> u64 {
    hash(7, &number.to_le_bytes())
}

/// Whose each key is.
fn owners(policy: &dyn Policy, ready: &[Arc<Endpoint>]) -> Vec<SocketAddr> {
    let picker = policy.picker(ready);
    let owner = |number| pick(&*picker, ready, Tried::NONE, Some(key(number)));
    (0..KEYS).map(owner).collect()
}

fn pick(
    picker: &dyn Picker,
    ready: &[Arc<Endpoint>],
    tried: &Tried,
    key: Option<u64>,
) -> SocketAddr {
    picker.pick(ready, &asked(tried, key)).unwrap().address()
}

/// The largest deviation of a server's share from what its weight says, as a part of that.
fn deviation(owners: &[SocketAddr], ready: &[Arc<Endpoint>]) -> f64 {
    let mut counts: BTreeMap<SocketAddr, f64> = BTreeMap::new();
    for owner in owners {
        *counts.entry(*owner).or_default() += 1.0;
    }
    let weights: f64 = ready.iter().map(|server| f64::from(server.weight())).sum();
    let off = ready.iter().map(|server| {
        let due = owners.len() as f64 * f64::from(server.weight()) / weights;
        let got = counts.get(&server.address()).copied().unwrap_or_default();
        (got / due - 1.0).abs()
    });
    off.fold(0.0, f64::max)
}

/// From whom to whom keys went.
fn moves(before: &[SocketAddr], after: &[SocketAddr]) -> Vec<(SocketAddr, SocketAddr)> {
    let pairs = before.iter().copied().zip(after.iter().copied());
    pairs.filter(|(from, to)| from != to).collect()
}

fn share(part: usize) -> f64 {
    part as f64 / KEYS as f64
}

/// Theory for a ring: with `n` points of a server the share has a standard deviation of about `1/sqrt(n)`, 8 % for 160. For
/// a table of 65537: one place in 6553. Beside that, 2000 keys of a server are 2000 +- 45, about 2 %.
#[test]
fn shares_follow_the_weights() {
    for (name, policy) in both() {
        let most = if name == "maglev" { 0.07 } else { 0.25 };
        for weights in [&[1; 10][..], &[1, 2, 3, 4], &[7, 7, 7], &[10, 1]] {
            let ready = servers(weights);
            let off = deviation(&owners(&*policy, &ready), &ready);
            assert!(off < most, "{name} {weights:?}: {off}");
        }
    }
}

/// 65537 keys that are the places of the table themselves: nobody is off by more than a percent.
#[test]
fn the_places_of_the_table_are_even_to_a_percent() {
    let policy = policy("maglev", &json!({}));
    for weights in [&[1; 100][..], &[1, 2, 3, 4]] {
        let ready = servers(weights);
        let picker = policy.picker(&ready);
        let owners: Vec<SocketAddr> = (0..65_537)
            .map(|place| pick(&*picker, &ready, Tried::NONE, Some(place)))
            .collect();
        let off = deviation(&owners, &ready);
        assert!(off < 0.01, "{weights:?}: {off}");
    }
}

/// More points, more even: 4000 for each.
#[test]
fn more_replicas_make_shares_more_even() {
    let ready = servers(&[1; 5]);
    let off = |replicas: u16| {
        let policy = policy("ring_hash", &json!({ "replicas": replicas }));
        deviation(&owners(&*policy, &ready), &ready)
    };
    assert!(off(1000) < 0.1 && off(1) > 0.3, "{} {}", off(1000), off(1));
}

/// One of ten: about a tenth of the keys. On the ring they are its own and nobody else's; the table moves a few more (the paper's
/// section 5.3): 0.3 % of all, against 10 %.
#[test]
fn who_leaves_or_joins_moves_its_own_keys() {
    for (name, policy) in both() {
        let all = servers(&[1; 10]);
        let (gone, left) = all.split_last().unwrap();
        let (before, after) = (owners(&*policy, &all), owners(&*policy, left));
        let moved = moves(&before, &after);
        let own = moved.iter().filter(|(from, _)| *from == gone.address());
        let (own, besides) = (own.clone().count(), moved.len() - own.count());
        assert!((0.075..0.125).contains(&share(own)), "{name}: {own}");
        let most = if name == "maglev" { 0.01 } else { 0.0 };
        assert!(share(besides) <= most, "{name}: {besides} besides");
        // Everybody takes some of them.
        let heirs: std::collections::BTreeSet<SocketAddr> =
            moved.iter().map(|(_, to)| *to).collect();
        assert_eq!(heirs.len(), 9, "{name}");
    }
}

/// From 1 to 2 beside nine others of 1: from 1/10 to 2/11 of the keys.
#[test]
fn a_weight_that_changes_moves_what_it_gains() {
    for (name, policy) in both() {
        let (mut light, mut heavy) = ([1; 10], [1; 10]);
        (light[3], heavy[3]) = (1, 2);
        let (light, heavy) = (servers(&light), servers(&heavy));
        let moved = moves(&owners(&*policy, &light), &owners(&*policy, &heavy));
        let gained = moved
            .iter()
            .filter(|(_, to)| *to == heavy[3].address())
            .count();
        let due = 2.0 / 11.0 - 0.1;
        assert!((share(gained) - due).abs() < 0.03, "{name}: {gained}");
        let most = if name == "maglev" { 0.01 } else { 0.0 };
        let besides = moved.len() - gained;
        assert!(share(besides) <= most, "{name}: {besides} besides");
    }
}

#[test]
fn the_order_of_the_file_does_not_matter() {
    for (name, policy) in both() {
        let ready = servers(&[1, 5, 2, 1, 1, 3]);
        let turned: Vec<_> = ready.iter().rev().cloned().collect();
        assert_eq!(
            owners(&*policy, &ready),
            owners(&*policy, &turned),
            "{name}"
        );
    }
}

#[test]
fn a_key_falls_to_the_same_server_in_every_process() {
    for (name, policy) in both() {
        let ready = servers(&[1; 10]);
        let hosts: Vec<u8> = owners(&*policy, &ready)
            .iter()
            .take(8)
            .map(|owner| match owner.ip() {
                std::net::IpAddr::V4(ip) => ip.octets()[3],
                std::net::IpAddr::V6(_) => unreachable!(),
            })
            .collect();
        let known = match name {
            "maglev" => [4, 6, 3, 3, 5, 8, 5, 1],
            _ => [4, 3, 8, 1, 3, 1, 7, 6],
        };
        assert_eq!(hosts, known, "{name}");
    }
}

/// A server that failed the request is not asked again while another is ready, and its keys go to all of the others.
#[test]
fn who_was_tried_is_passed_over() {
    for (name, policy) in both() {
        let ready = servers(&[1000, 1, 1]);
        let picker = policy.picker(&ready);
        let mut second = BTreeMap::new();
        for number in 0..200 {
            let mut tried = Tried::default();
            for round in 0..3 {
                let server = picker.pick(&ready, &asked(&tried, Some(key(number))));
                let address = server.unwrap().address();
                assert!(!tried.contains(address), "{name}");
                tried.add(address);
                if round == 1 {
                    *second.entry(address).or_insert(0) += 1;
                }
            }
            let last = picker.pick(&ready, &asked(&tried, Some(key(number))));
            assert!(last.is_none(), "{name}");
        }
        let evenly = ready[1..]
            .iter()
            .all(|server| second[&server.address()] > 40);
        assert!(evenly, "{name}: {second:?}");
    }
}

#[test]
fn nobody_to_pick_is_not_a_crash() {
    for (name, policy) in both() {
        let picker = policy.picker(&[]);
        for key in [None, Some(5)] {
            assert!(
                picker.pick(&[], &asked(Tried::NONE, key)).is_none(),
                "{name}"
            );
        }
    }
}

#[test]
fn without_a_key_requests_are_spread_by_weight() {
    for (name, policy) in both() {
        let ready = servers(&[1, 3]);
        let picker = policy.picker(&ready);
        let heavy = (0..4000)
            .filter(|_| pick(&*picker, &ready, Tried::NONE, None) == ready[1].address())
            .count();
        assert!((2600..3400).contains(&heavy), "{name}: {heavy}");
    }
}

/// Requests of one key that all stay under way: how many each server has in the end, and at no moment more than the bound.
fn under_way(
    policy: &dyn Policy,
    ready: &[Arc<Endpoint>],
    count: u32,
    bound: Option<f64>,
) -> Vec<usize> {
    let picker = policy.picker(ready);
    let mut held: Vec<InFlight> = Vec::new();
    for all in 1..=count {
        let server = picker.pick(ready, &asked(Tried::NONE, Some(key(1))));
        held.push(server.unwrap().enter());
        if let Some(bound) = bound {
            within(bound * f64::from(all), ready);
        }
    }
    ready.iter().map(|server| server.in_flight()).collect()
}

/// That nobody has more than its share of so much, rounded up.
fn within(all: f64, ready: &[Arc<Endpoint>]) {
    let weights: f64 = ready.iter().map(|server| f64::from(server.weight())).sum();
    for server in ready {
        let most = (all * f64::from(server.weight()) / weights).ceil();
        assert!(server.in_flight() as f64 <= most, "{server:?} of {all}");
    }
}

#[test]
fn a_hot_key_fills_nobody_above_the_bound() {
    for name in ["ring_hash", "maglev"] {
        let free = policy(name, &json!({}));
        let bounded = policy(name, &json!({ "bounded_load": "125%" }));
        for (weights, at_least) in [(&[1; 10][..], 8), (&[4, 2, 1, 1], 2)] {
            let busy = |counts: Vec<usize>| counts.iter().filter(|count| **count > 0).count();
            let alone = under_way(&*free, &servers(weights), 200, None);
            assert_eq!(busy(alone), 1, "{name}");
            let spread = under_way(&*bounded, &servers(weights), 200, Some(1.25));
            assert!(busy(spread) >= at_least, "{name}");
        }
        // While nobody has anything to do, all keys are where they belong.
        let ready = servers(&[1; 10]);
        assert_eq!(owners(&*bounded, &ready), owners(&*free, &ready));
    }
}

/// Whoever is full takes it all the same if everybody else failed.
#[test]
fn a_full_server_is_better_than_none() {
    for name in ["ring_hash", "maglev"] {
        let policy = policy(name, &json!({ "bounded_load": "100%" }));
        let ready = servers(&[1, 1]);
        let _busy: Vec<InFlight> = (0..10).map(|_| ready[0].enter()).collect();
        let mut tried = Tried::default();
        tried.add(ready[1].address());
        let picked = pick(&*policy.picker(&ready), &ready, &tried, Some(1));
        assert_eq!(picked, ready[0].address());
    }
}

/// These would have more than eleven million.
#[test]
fn a_ring_has_at_most_a_million_points_and_keeps_its_shares() {
    let policy = policy("ring_hash", &json!({ "replicas": 1000 }));
    let mut weights = [1000; 12];
    weights[0] = 500;
    let ready = servers(&weights);
    let off = deviation(&owners(&*policy, &ready), &ready);
    assert!(off < 0.1, "{off}");
}
