//! `balance: { maglev: ... }`: equal keys to equal servers, by one look into a table; shares are even to a percent.
//!
//! ```yaml
//! balance: { maglev: { key: client, table_size: 65537 } }
//! ```
//!
//! Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4; weights as Envoy has
//! them. Each server wants the places of a table in an order of its own, which follows from its address, and they take turns until
//! the table is full. A pick is one division and one look; a table of 65537 is 128 KiB, and made in about 2 ms for 100 servers. When
//! servers come or go some keys move that would not have to, where `ring_hash` moves none: 0.3 % of all with ten servers, 0.6 % with a
//! hundred.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keyed::key::{self, Key};
use super::keyed::preference::{self, Bound};
use super::ring_hash::name;
use super::{Asked, Picker, Policy, Request};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Factor, Spanned, code};
use crate::hash::hash;
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<Written>(
    "maglev",
    "the same server for the same key, with even shares and the cheapest look-up",
    build,
);

/// The small one of the paper: even to a percent for up to some hundred servers.
const TABLE_SIZE: u32 = 65_537;
const SMALLEST: u32 = 101;
/// The last prime below 2^20: 2 MiB.
const LARGEST: u32 = 1_048_573;

/// A place that nobody has yet.
const FREE: u16 = u16::MAX;

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What of a request decides. One that has none of it falls anywhere.
    key: Spanned<key::Written>,
    /// Places in the table, a prime number: at least a hundred for each server. Default: 65537.
    #[serde(default = "table_size")]
    #[schemars(range(min = 101, max = 1_048_573))]
    table_size: Spanned<u32>,
    /// Who has more in flight than so much of its share is passed over. Default: nobody is.
    bounded_load: Option<Spanned<Factor>>,
}

fn table_size() -> Spanned<u32> {
    TABLE_SIZE.into()
}

#[derive(Debug)]
struct Maglev {
    key: Key,
    table_size: u32,
    bounded_load: Option<Factor>,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let mut wrong = Vec::new();
    let key = Key::read(&written.key);
    let key = key.map_err(|problem| wrong.push(*problem)).ok();
    wrong.extend(no_size(written.table_size));
    match key {
        Some(key) if wrong.is_empty() => Ok(Arc::new(Maglev {
            key,
            table_size: written.table_size.value,
            bounded_load: written.bounded_load.map(|factor| factor.value),
        })),
        _ => Err(wrong),
    }
}

/// What is wrong with a size.
fn no_size(size: Spanned<u32>) -> Option<Diagnostic> {
    let number = size.value;
    if !(SMALLEST..=LARGEST).contains(&number) {
        let message = format!("`table_size` is the number `{number}`");
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message).at(size.span);
        return Some(problem.label(format!("expected a prime from {SMALLEST} to {LARGEST}")));
    }
    if is_prime(number) {
        return None;
    }
    let below = (SMALLEST..number).rev().find(|below| is_prime(*below));
    let above = (number..=LARGEST).find(|above| is_prime(*above));
    let nearest: Vec<String> = below
        .into_iter()
        .chain(above)
        .map(|prime| format!("`{prime}`"))
        .collect();
    let message = format!("`table_size` is `{number}`, which is no prime number");
    Some(
        Diagnostic::error(code::TABLE_SIZE, message)
            .at(size.span)
            .label("servers step through the table, and would miss places of it")
            .help(format!("write {}", nearest.join(" or "))),
    )
}

fn is_prime(number: u32) -> bool {
    let mut factors = (2..).take_while(|factor| factor * factor <= number);
    number > 1 && !factors.any(|factor| number.is_multiple_of(factor))
}

impl Policy for Maglev {
    fn identity(&self) -> String {
        format!("{self:?}")
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        Box::new(Table {
            places: table(ready, self.table_size),
            bound: self.bounded_load.map(|factor| Bound::new(factor, ready)),
        })
    }

    fn key(&self, request: &Request<'_>) -> Option<u64> {
        self.key.of(request)
    }
}

/// A server that takes places.
struct Taker {
    server: u16,
    weight: u64,
    /// When it is its turn.
    due: u64,
    /// The place that it wants next, and how far it is from there to the one after.
    wants: u32,
    step: u32,
}

/// Whose each place is. Whoever has the largest weight takes one in each round, the others as often as theirs says.
fn table(ready: &[Arc<Endpoint>], size: u32) -> Box<[u16]> {
    let mut places = vec![FREE; usize::try_from(size).unwrap_or_default()];
    let mut takers: Vec<(_, Taker)> = (0..FREE)
        .zip(ready)
        .map(|(at, server)| (server.address(), Taker::new(at, server, size)))
        .collect();
    // Who comes first must not depend on the order of the file.
    takers.sort_by_key(|(address, _)| *address);
    let largest = takers.iter().map(|(_, taker)| taker.weight).max();
    let Some(largest) = largest else {
        return Box::default();
    };
    let mut free = size;
    for round in 1.. {
        for (_, taker) in &mut takers {
            if round * taker.weight < taker.due {
                continue;
            }
            if free == 0 {
                return places.into();
            }
            taker.due += largest;
            taker.take(&mut places, size);
            free -= 1;
        }
    }
    places.into()
}

impl Taker {
    fn new(at: u16, server: &Endpoint, size: u32) -> Self {
        let name = name(server.address());
        let below = |seed: u64, bound: u32| {
            let place = hash(seed, &name) % u64::from(bound);
            u32::try_from(place).unwrap_or_default()
        };
        Self {
            server: at,
            weight: server.weight().into(),
            due: 0,
            wants: below(0, size),
            step: below(1, size - 1) + 1,
        }
    }

    /// The next place of its order that is free. There is one: with a prime size the steps lead to all of them.
    fn take(&mut self, places: &mut [u16], size: u32) {
        for _ in 0..size {
            let place = usize::try_from(self.wants).ok();
            self.wants = (self.wants + self.step) % size;
            if let Some(place) = place.and_then(|place| places.get_mut(place))
                && *place == FREE
            {
                *place = self.server;
                return;
            }
        }
    }
}

struct Table {
    places: Box<[u16]>,
    bound: Option<Bound>,
}

impl Picker for Table {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        let key = asked.key.unwrap_or_else(|| fastrand::u64(..));
        let place = key.checked_rem(u64::try_from(self.places.len()).ok()?)?;
        let (before, after) = self.places.split_at_checked(usize::try_from(place).ok()?)?;
        let order = after.iter().chain(before).copied();
        preference::first(ready, asked, key, self.bound, order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_others() {
        let primes: Vec<u32> = (0..30).filter(|number| is_prime(*number)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!([TABLE_SIZE, SMALLEST, LARGEST].into_iter().all(is_prime));
    }

    #[test]
    fn a_size_that_is_no_prime_has_neighbours_that_are() {
        let said = no_size(65_536.into()).unwrap();
        assert!(format!("{:?}", said.remarks).contains("`65521` or `65537`"));
        assert!(no_size(65_537.into()).is_none());
    }
}
