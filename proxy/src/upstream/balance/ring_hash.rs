//! `balance: { ring_hash: ... }`: equal keys to equal servers; who leaves or joins moves nobody else.
//!
//! ```yaml
//! balance: { ring_hash: { key: { header: X-User }, replicas: 160, bounded_load: 125% } }
//! ```
//!
//! A ring of points (Karger et al., "Consistent Hashing and Random Trees", 1997; libketama, 2007): each server has `replicas` of
//! them for each unit of its weight, and a key belongs to the server of the next one. Where a server's points lie follows from
//! its address alone. A pick is a binary search; a point is 10 bytes, and there are at most a million (10 MiB, made in 50 ms):
//! a ring that would have more is thinned out by halves.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keyed::key::{self, Key};
use super::keyed::preference::{self, Bound};
use super::{Asked, Picker, Policy, Request};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Factor, Spanned, code};
use crate::hash::hash;
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<Written>(
    "ring_hash",
    "the same server for the same key; an edit moves only who must move",
    build,
);

/// As many as libketama has; the shares of equal servers then differ by about 8 %.
const REPLICAS: u16 = 160;
const REPLICAS_MAX: u16 = 1000;

/// Of all servers. It is 10 MiB, and made in about 50 ms.
const POINTS_MAX: u64 = 1 << 20;

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What of a request decides. One that has none of it falls anywhere.
    key: Spanned<key::Written>,
    /// Points on the ring for each unit of a server's weight: more of them make shares more even. Default: 160.
    #[serde(default = "replicas")]
    #[schemars(range(min = 1, max = 1000))]
    replicas: Spanned<u16>,
    /// Who has more in flight than so much of its share is passed over. Default: nobody is.
    bounded_load: Option<Spanned<Factor>>,
}

fn replicas() -> Spanned<u16> {
    REPLICAS.into()
}

#[derive(Debug)]
struct RingHash {
    key: Key,
    replicas: u16,
    bounded_load: Option<Factor>,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let mut wrong = Vec::new();
    let key = Key::read(&written.key);
    let key = key.map_err(|problem| wrong.push(*problem)).ok();
    let replicas = written.replicas;
    if !(1..=REPLICAS_MAX).contains(&replicas.value) {
        let message = format!("`replicas` is the number `{}`", replicas.value);
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message).at(replicas.span);
        let label = format!("expected a whole number from 1 to {REPLICAS_MAX}");
        wrong.push(problem.label(label));
    }
    match key {
        Some(key) if wrong.is_empty() => Ok(Arc::new(RingHash {
            key,
            replicas: replicas.value,
            bounded_load: written.bounded_load.map(|factor| factor.value),
        })),
        _ => Err(wrong),
    }
}

impl Policy for RingHash {
    fn identity(&self) -> String {
        format!("{self:?}")
    }

    fn takes_time(&self) -> bool {
        true
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        let bound = self.bounded_load.map(|factor| Bound::new(factor, ready));
        Box::new(Ring::new(ready, self.replicas, bound))
    }

    fn key(&self, request: &Request<'_>) -> Option<u64> {
        self.key.of(request)
    }
}

/// The points in their order, and beside them whose each is.
struct Ring {
    points: Box<[u64]>,
    owners: Box<[u16]>,
    bound: Option<Bound>,
}

impl Ring {
    fn new(ready: &[Arc<Endpoint>], replicas: u16, bound: Option<Bound>) -> Self {
        let wanted: Vec<u64> = ready
            .iter()
            .map(|server| u64::from(server.weight()) * u64::from(replicas))
            .collect();
        let thinned = thinned(&wanted);
        let mut points = Vec::new();
        for (owner, (server, wanted)) in (0_u16..).zip(ready.iter().zip(wanted)) {
            let name = name(server.address());
            let of_it = (0..(wanted >> thinned).max(1)).map(|replica| hash(replica, &name));
            points.extend(of_it.map(|point| (point, owner)));
        }
        points.sort_unstable();
        let (points, owners): (Vec<_>, Vec<_>) = points.into_iter().unzip();
        Self {
            points: points.into(),
            owners: owners.into(),
            bound,
        }
    }
}

/// How often the points have to be halved.
fn thinned(wanted: &[u64]) -> u32 {
    let at = |halved: u32| wanted.iter().map(|wanted| wanted >> halved).sum::<u64>();
    (0..u64::BITS)
        .find(|halved| at(*halved) <= POINTS_MAX)
        .unwrap_or_default()
}

/// What a server's points follow from.
pub(super) fn name(address: SocketAddr) -> Vec<u8> {
    let mut name = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    name.extend(address.port().to_be_bytes());
    name
}

impl Picker for Ring {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        let key = asked.key.unwrap_or_else(|| fastrand::u64(..));
        let next = self.points.partition_point(|point| *point < key);
        let (before, after) = self.owners.split_at_checked(next)?;
        let order = after.iter().chain(before).copied();
        preference::first(ready, asked, key, self.bound, order)
    }
}
