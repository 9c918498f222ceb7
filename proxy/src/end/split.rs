//! `split:` upstreams that share the requests of a route.
//!
//! Without a key the shares are exact over each full turn. With one (`sticky: { header: ... }`, `sticky: client`) they are as
//! even as the keys, by weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted distributed hash tables", 2005):
//! an upstream that gains takes from the others what it gains, and nobody else moves, whatever the order of the file. A
//! cookie holds what a client was given by turn, whatever the shares become.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

use crate::hash::hash;
use crate::route::condition::cookie;
use crate::turns::{Purpose, smooth_order};

/// Upstreams with their shares.
#[derive(Debug)]
pub struct Split {
    arms: Vec<Arm>,
    order: Box<[u32]>,
    turn: Arc<AtomicUsize>,
    sticky: Option<Sticky>,
}

#[derive(Debug)]
struct Arm {
    share: u16,
    /// Of its name.
    seed: u64,
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
            seed: hash(0, name.as_bytes()),
            mark: format!("{:08x}", hash(0, name.as_bytes()) >> 32),
        };
        Self {
            arms: arms.iter().map(arm).collect(),
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
    pub fn choose(&self, headers: &HeaderMap, client: Option<IpAddr>, purpose: Purpose) -> Choice {
        if let Some(arm) = self.decided(headers, client) {
            return Choice { arm, cookie: None };
        }
        let arm = self.by_turn(purpose);
        Choice {
            arm,
            cookie: self.cookie(arm),
        }
    }

    /// Who gets it because of what it says, whoever's turn it is.
    pub fn decided(&self, headers: &HeaderMap, client: Option<IpAddr>) -> Option<usize> {
        match self.sticky.as_ref()? {
            Sticky::Cookie(name) => self.by_cookie(name, headers),
            Sticky::Header(name) => headers.get(name).map(|value| self.by_key(value.as_bytes())),
            Sticky::Client => client.map(|client| self.by_key(client.to_string().as_bytes())),
        }
    }

    /// The upstreams that have a turn.
    pub fn turns(&self) -> impl Iterator<Item = usize> {
        let arms = self.arms.iter().enumerate();
        arms.filter(|(_, arm)| arm.share > 0).map(|(arm, _)| arm)
    }

    /// The share of an upstream, relative to the others'.
    pub fn share(&self, arm: usize) -> u16 {
        self.arms.get(arm).map_or(0, |arm| arm.share)
    }

    /// What keeps a client where it was.
    pub fn sticky(&self) -> Option<&Sticky> {
        self.sticky.as_ref()
    }

    fn by_turn(&self, purpose: Purpose) -> usize {
        let turn = match purpose {
            Purpose::Serve => self.turn.fetch_add(1, Ordering::Relaxed),
            Purpose::Ask => self.turn.load(Ordering::Relaxed),
        };
        let place = turn.checked_rem(self.order.len()).unwrap_or_default();
        let arm = self.order.get(place).copied().unwrap_or_default();
        usize::try_from(arm).unwrap_or_default()
    }

    /// The arm with the highest score for this key.
    fn by_key(&self, key: &[u8]) -> usize {
        let scores = self.arms.iter().map(|arm| arm.score(key));
        let highest = scores
            .enumerate()
            .max_by(|(_, one), (_, other)| one.total_cmp(other));
        highest.map_or(0, |(arm, _)| arm)
    }

    /// One whose share is 0 keeps those that it has: it is on its way out, and they may be in the middle of something.
    fn by_cookie(&self, name: &str, headers: &HeaderMap) -> Option<usize> {
        let mark = cookie(headers, name)?;
        let mut arms = self.arms.iter();
        arms.position(|arm| arm.mark.as_bytes() == mark)
    }

    /// What keeps a client with its first upstream, if a cookie does.
    fn cookie(&self, arm: usize) -> Option<HeaderValue> {
        let Some(Sticky::Cookie(name)) = &self.sticky else {
            return None;
        };
        let mark = &self.arms.get(arm)?.mark;
        let cookie = format!("{name}={mark}; Path=/; HttpOnly; SameSite=Lax");
        HeaderValue::from_str(&cookie).ok()
    }
}

impl Arm {
    /// `-share / ln(u)` for a `u` between 0 and 1 that follows from name and key.
    fn score(&self, key: &[u8]) -> f64 {
        // Never 0 and never 1.
        let bits = u32::try_from(hash(self.seed, key) >> 32).unwrap_or_default();
        let unit = (f64::from(bits) + 0.5) / (f64::from(u32::MAX) + 1.0);
        -f64::from(self.share) / unit.ln()
    }
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
            counts[first.choose(&HeaderMap::new(), None, Purpose::Serve).arm] += 1;
        }
        assert_eq!(counts, [900, 100]);
        first.choose(&HeaderMap::new(), None, Purpose::Serve);
        let arms = [("blue", 1), ("green", 1)];
        let next = Split::new(&arms, None, first.turn());
        assert_eq!(next.choose(&HeaderMap::new(), None, Purpose::Serve).arm, 1);
    }

    /// Of 10,000 users: how many each arm has after, and how many moved, from where to where.
    fn moves(before: &[u16], after: &[u16]) -> ([u32; 3], Vec<(usize, usize)>) {
        let sticky = || Some(Sticky::Header(HeaderName::from_static("user")));
        let (before, after) = (split(before, sticky()), split(after, sticky()));
        let (mut counts, mut moved) = ([0; 3], Vec::new());
        for user in 0..10_000 {
            let headers = header("user", &format!("user-{user}"));
            let arms =
                [&before, &after].map(|split| split.choose(&headers, None, Purpose::Serve).arm);
            assert_eq!(before.choose(&headers, None, Purpose::Serve).arm, arms[0]);
            counts[arms[1]] += 1;
            if arms[0] != arms[1] {
                moved.push((arms[0], arms[1]));
            }
        }
        (counts, moved)
    }

    #[test]
    fn equal_keys_stay_together_and_only_those_move_that_an_arm_gains() {
        for (before, after, gained) in [
            ([80, 20, 0], [90, 10, 0], 1000),
            ([90, 10, 0], [90, 20, 0], 818),
            ([90, 10, 0], [9, 1, 0], 0),
            ([50, 30, 20], [60, 30, 20], 454),
            ([50, 50, 0], [50, 50, 50], 3333),
        ] {
            let (counts, moved) = moves(&before, &after);
            let total: u32 = after.iter().map(|share| u32::from(*share)).sum();
            for (count, share) in counts.iter().zip(after) {
                let fair = 10_000 * u32::from(share) / total;
                assert!(
                    count.abs_diff(fair) < 200,
                    "{before:?} {after:?}: {counts:?}"
                );
            }
            let gained = gained as usize;
            assert!(
                moved.len().abs_diff(gained) < 150,
                "{before:?} {after:?}: {}",
                moved.len()
            );
            let to: std::collections::HashSet<usize> = moved.iter().map(|(_, to)| *to).collect();
            assert!(to.len() <= 1, "only one gains: {to:?}");
        }
    }

    #[test]
    fn addresses_stay_where_they_are_and_a_request_without_a_key_takes_a_turn() {
        let by_client = split(&[1, 1], Some(Sticky::Client));
        let client = Some([192, 0, 2, 7].into());
        let first = by_client.choose(&HeaderMap::new(), client, Purpose::Serve);
        for _ in 0..10 {
            assert_eq!(
                by_client.choose(&HeaderMap::new(), client, Purpose::Serve),
                first
            );
        }
        let by_header = split(
            &[1, 1],
            Some(Sticky::Header(HeaderName::from_static("user"))),
        );
        let arms = [(); 2].map(|()| {
            by_header
                .choose(&HeaderMap::new(), client, Purpose::Serve)
                .arm
        });
        assert_eq!(arms, [0, 1]);
    }

    #[test]
    fn a_cookie_is_set_once_and_holds_even_when_the_share_is_gone() {
        let sticky = || Some(Sticky::Cookie("variant".to_owned()));
        let before = split(&[0, 1], sticky());
        let choice = before.choose(&HeaderMap::new(), None, Purpose::Serve);
        let set = choice.cookie.unwrap().to_str().unwrap().to_owned();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Lax"), "{set}");
        let sent = header("cookie", set.split(';').next().unwrap());
        let after = split(&[1, 0], sticky());
        assert_eq!(
            after.choose(&sent, None, Purpose::Serve),
            Choice {
                arm: 1,
                cookie: None
            }
        );
        let forged = header("cookie", "variant=x");
        assert!(after.choose(&forged, None, Purpose::Serve).cookie.is_some());
    }
}
