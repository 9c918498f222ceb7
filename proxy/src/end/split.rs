//! `split:` upstreams that share the requests of a route.
//!
//! Without a key the shares are exact over each full turn. With one (`sticky: { header: ... }`, `sticky: client`) they are as
//! even as the keys: a key's hash is a place on a line that is divided in the ratio of the shares, so when a share changes,
//! only the clients beside the border change sides. A cookie holds what a client was given by turn, whatever the shares
//! become.

use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fnv::FnvHasher;
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::route::condition::cookie;
use crate::turns::smooth_order;

/// Upstreams with their shares.
#[derive(Debug)]
pub struct Split {
    arms: Vec<Arm>,
    /// Of all shares.
    total: u64,
    order: Box<[u16]>,
    turn: Arc<AtomicUsize>,
    sticky: Option<Sticky>,
}

#[derive(Debug)]
struct Arm {
    share: u16,
    /// What a cookie says instead of the name, which is nobody's business.
    mark: String,
}

/// What keeps a client where it was.
#[derive(Debug, Clone)]
pub enum Sticky {
    /// A cookie of this name.
    Cookie(String),
    /// The value of this field.
    Header(HeaderName),
    /// Its address.
    Client,
}

/// Who gets a request.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// The position of the upstream.
    pub arm: usize,
    /// A `Set-Cookie` for the answer.
    pub cookie: Option<HeaderValue>,
}

impl Split {
    /// Names and shares. `turn` is where an earlier one like this stands.
    pub fn new(arms: &[(&str, u16)], sticky: Option<Sticky>, turn: Arc<AtomicUsize>) -> Self {
        let shares: Vec<u16> = arms.iter().map(|(_, share)| *share).collect();
        let arm = |(name, share): &(&str, u16)| Arm {
            share: *share,
            mark: format!("{:08x}", hash(name.as_bytes()) >> 32),
        };
        Self {
            arms: arms.iter().map(arm).collect(),
            total: shares.iter().map(|share| u64::from(*share)).sum(),
            order: smooth_order(&shares),
            turn,
            sticky,
        }
    }

    /// Where the turn stands, for one that takes this one's place.
    pub fn turn(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.turn)
    }

    /// Who gets this request.
    pub fn choose(&self, headers: &HeaderMap, client: Option<IpAddr>) -> Choice {
        match &self.sticky {
            Some(Sticky::Cookie(name)) => self.by_cookie(name, headers),
            Some(Sticky::Header(name)) => match headers.get(name) {
                Some(value) => self.without_cookie(self.by_key(value.as_bytes())),
                None => self.without_cookie(self.by_turn()),
            },
            Some(Sticky::Client) => match client {
                Some(client) => self.without_cookie(self.by_key(client.to_string().as_bytes())),
                None => self.without_cookie(self.by_turn()),
            },
            None => self.without_cookie(self.by_turn()),
        }
    }

    fn without_cookie(&self, arm: usize) -> Choice {
        Choice { arm, cookie: None }
    }

    fn by_turn(&self) -> usize {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let place = turn.checked_rem(self.order.len()).unwrap_or_default();
        self.order.get(place).map_or(0, |arm| usize::from(*arm))
    }

    fn by_key(&self, key: &[u8]) -> usize {
        let mut place = hash(key).checked_rem(self.total).unwrap_or_default();
        let found = self.arms.iter().position(|arm| {
            let share = u64::from(arm.share);
            let is_here = place < share;
            place = place.saturating_sub(share);
            is_here
        });
        found.unwrap_or_default()
    }

    /// One whose share is 0 keeps those that it has: it is on its way out, and they may be in the middle of something.
    fn by_cookie(&self, name: &str, headers: &HeaderMap) -> Choice {
        let mark = cookie(headers, name);
        if let Some(arm) = self
            .arms
            .iter()
            .position(|arm| Some(arm.mark.as_str()) == mark)
        {
            return self.without_cookie(arm);
        }
        let arm = self.by_turn();
        let mark = self.arms.get(arm).map_or("", |arm| arm.mark.as_str());
        let cookie = format!("{name}={mark}; Path=/; HttpOnly; SameSite=Lax");
        Choice {
            arm,
            cookie: HeaderValue::from_str(&cookie).ok(),
        }
    }
}

/// FNV-1a, its bits mixed by the finaliser of MurmurHash3: the remainder of FNV alone follows the last bytes of the key.
fn hash(key: &[u8]) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(key);
    let mut bits = hasher.finish();
    for factor in [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53] {
        bits = (bits ^ (bits >> 33)).wrapping_mul(factor);
    }
    bits ^ (bits >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(shares: &[u16], sticky: Option<Sticky>) -> Split {
        let names = ["blue", "green", "red"];
        let arms: Vec<(&str, u16)> = names.into_iter().zip(shares.iter().copied()).collect();
        Split::new(&arms, sticky, Arc::default())
    }

    fn header(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn shares_are_exact_over_a_turn_and_the_turn_goes_on_in_the_next_one() {
        let first = split(&[9, 1], None);
        let mut counts = [0; 2];
        for _ in 0..1000 {
            counts[first.choose(&HeaderMap::new(), None).arm] += 1;
        }
        assert_eq!(counts, [900, 100]);
        first.choose(&HeaderMap::new(), None);
        let arms = [("blue", 1), ("green", 1)];
        let next = Split::new(&arms, None, first.turn());
        assert_eq!(next.choose(&HeaderMap::new(), None).arm, 1);
    }

    #[test]
    fn equal_keys_stay_together_and_a_larger_share_takes_only_what_it_gains() {
        let sticky = || Some(Sticky::Header(HeaderName::from_static("user")));
        let (before, after) = (split(&[80, 20], sticky()), split(&[90, 10], sticky()));
        let (mut moved, mut second) = (0, 0);
        for user in 0..10_000 {
            let headers = header("user", &format!("user-{user}"));
            let arms = [&before, &after].map(|split| split.choose(&headers, None).arm);
            assert_eq!(before.choose(&headers, None).arm, arms[0]);
            assert!(
                !(arms[0] == 0 && arms[1] == 1),
                "nobody leaves the one that grows"
            );
            moved += usize::from(arms[0] != arms[1]);
            second += arms[0];
        }
        assert!((1850..2150).contains(&second), "{second}");
        assert!((850..1150).contains(&moved), "{moved}");
    }

    #[test]
    fn addresses_stay_where_they_are_and_a_request_without_a_key_takes_a_turn() {
        let by_client = split(&[1, 1], Some(Sticky::Client));
        let client = Some([192, 0, 2, 7].into());
        let first = by_client.choose(&HeaderMap::new(), client);
        for _ in 0..10 {
            assert_eq!(by_client.choose(&HeaderMap::new(), client), first);
        }
        let by_header = split(
            &[1, 1],
            Some(Sticky::Header(HeaderName::from_static("user"))),
        );
        let arms = [(); 2].map(|()| by_header.choose(&HeaderMap::new(), client).arm);
        assert_eq!(arms, [0, 1]);
    }

    #[test]
    fn a_cookie_is_set_once_and_holds_even_when_the_share_is_gone() {
        let sticky = || Some(Sticky::Cookie("variant".to_owned()));
        let before = split(&[0, 1], sticky());
        let choice = before.choose(&HeaderMap::new(), None);
        let set = choice.cookie.unwrap().to_str().unwrap().to_owned();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let sent = header("cookie", set.split(';').next().unwrap());
        let after = split(&[1, 0], sticky());
        assert_eq!(
            after.choose(&sent, None),
            Choice {
                arm: 1,
                cookie: None
            }
        );
        let forged = header("cookie", "variant=x");
        assert!(after.choose(&forged, None).cookie.is_some());
    }
}
