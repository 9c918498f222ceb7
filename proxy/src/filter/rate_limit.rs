//! `rate_limit`: so many requests, and no more, per client, per value of a field or a cookie, or in all.
//!
//! ```yaml
//! filters:
//!   - rate_limit: { rate: 100/s }                                 # per client
//!   - rate_limit: { rate: 30/m, burst: 10, by: { header: X-Api-Key } }
//!   - rate_limit: { rate: 1000/s, by: route }
//! ```
//!
//! A token bucket: it holds `burst` requests, and `rate` fills it. It is kept as the one moment at which it will be full, which is
//! the generic cell rate algorithm (ITU-T I.371, annex A). A request above the limit gets 429 with `Retry-After`; every answer
//! says how it stands in `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers-10). Addresses of IPv6 count
//! by their /64, which is one customer's.

mod buckets;

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use http::header::{HeaderName, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::buckets::{Buckets, Level};
use super::{Filter, Request, Response, Verdict};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, Rate, Spanned, code, field_name};
use crate::error::Failure;
use crate::route::condition::cookie;
use crate::turns::Purpose;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "rate_limit",
    "so many requests in a time, and no more",
    build,
);

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// About 10 MiB when all are in use.
const KEYS: u32 = 100_000;
const KEYS_MAX: u32 = 10_000_000;

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// `100/s`, `30/m`, `1000/h`.
    rate: Spanned<Rate>,
    /// How many may come at once. Default: as many as the rate allows in its span.
    #[schemars(range(min = 1, max = 10_000_000))]
    burst: Option<Spanned<u32>>,
    /// Whose requests are counted together. Default: `client`.
    #[serde(default = "by")]
    by: Spanned<By>,
    /// How many of them are remembered; of more, who was not heard of for longest is forgotten. Default: 100000.
    #[serde(default = "keys")]
    #[schemars(range(min = 1, max = 10_000_000))]
    keys: Spanned<u32>,
}

fn by() -> Spanned<By> {
    By::Client.into()
}

fn keys() -> Spanned<u32> {
    KEYS.into()
}

/// Whose requests are counted together.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum By {
    /// Those of one address.
    Client,
    /// Those with the same value of this field; those without it are one more.
    Header(Spanned<String>),
    /// Those with the same value of this cookie; those without it are one more.
    Cookie(Spanned<String>),
    /// All that the route takes.
    Route,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Client,
    Header(HeaderName),
    Cookie(String),
    Route,
}

struct RateLimit {
    key: Key,
    keys: u32,
    rate: Rate,
    burst: u32,
    policy: HeaderValue,
    /// Those of the file before, if they still fit.
    counted: OnceLock<Arc<Counted>>,
}

struct Counted {
    buckets: Buckets,
    /// Nobody can choose keys that fall together.
    hasher: RandomState,
    since: Instant,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let mut written: Written = options.decode()?;
    let rate = written.rate.value;
    let burst = *written.burst.get_or_insert(rate.count.into());
    options.are(&written);
    let mut wrong = Vec::new();
    let mut bounded = |key: &str, given: Spanned<u32>, most: u32| {
        if !(1..=most).contains(&given.value) {
            let message = format!("`{key}` is the number `{}`", given.value);
            let label = format!("expected a whole number from 1 to {most}");
            let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message);
            wrong.push(problem.at(given.span).label(label));
        }
        given.value
    };
    let burst = bounded("burst", burst, 10_000_000);
    let keys = bounded("keys", written.keys, KEYS_MAX);
    let key = match written.by.value {
        By::Client => Ok(Key::Client),
        By::Route => Ok(Key::Route),
        By::Header(name) => field_name(&name).map(Key::Header),
        By::Cookie(name) => field_name(&name).map(|_| Key::Cookie(name.value)),
    };
    let key = key.map_err(|problem| wrong.push(*problem)).ok();
    let Some(key) = key.filter(|_| wrong.is_empty()) else {
        return Err(wrong);
    };
    // What the bucket holds, and how long it takes to fill.
    let fills_in = rate.span.as_secs_f64() * f64::from(burst) / f64::from(rate.count);
    let policy = format!("\"{}\";q={burst};w={}", key.noun(), fills_in.ceil());
    Ok(Arc::new(RateLimit {
        key,
        keys,
        rate,
        burst,
        policy: HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("")),
        counted: OnceLock::new(),
    }))
}

impl Key {
    const fn noun(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Header(_) => "header",
            Self::Cookie(_) => "cookie",
            Self::Route => "route",
        }
    }
}

impl RateLimit {
    fn counted(&self) -> &Arc<Counted> {
        self.counted.get_or_init(|| {
            Arc::new(Counted {
                buckets: Buckets::new(self.rate, self.burst, self.keys),
                hasher: RandomState::new(),
                since: Instant::now(),
            })
        })
    }

    fn key_of(&self, request: &Request<'_>, hasher: &RandomState) -> u64 {
        let mut hash = hasher.build_hasher();
        match &self.key {
            Key::Client => request.facts.client.map(customer).hash(&mut hash),
            Key::Header(name) => {
                let value = request.headers.get(name);
                value.map(HeaderValue::as_bytes).hash(&mut hash);
            }
            Key::Cookie(name) => cookie(request.headers, name).hash(&mut hash),
            Key::Route => request.facts.route.hash(&mut hash),
        }
        hash.finish()
    }

    fn say(&self, level: Level, fields: &mut impl FnMut(HeaderName, HeaderValue)) {
        let left = format!(
            "\"{}\";r={};t={}",
            self.key.noun(),
            level.left,
            whole_seconds(level.full_in)
        );
        fields(POLICY, self.policy.clone());
        if let Ok(left) = HeaderValue::try_from(left) {
            fields(LIMIT, left);
        }
    }
}

/// Rounded up: whoever waits that long has waited long enough.
fn whole_seconds(span: Duration) -> u64 {
    span.as_secs() + u64::from(span.subsec_nanos() > 0)
}

/// One customer has a whole /64 of IPv6 addresses (RFC 6177).
fn customer(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
    }
}

impl Filter for RateLimit {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let counted = self.counted();
        let key = self.key_of(request, &counted.hasher);
        let taken = match request.facts.purpose {
            Purpose::Serve => counted.buckets.take(key, counted.since.elapsed()),
            Purpose::Ask => counted.buckets.look(key, counted.since.elapsed()),
        };
        match taken {
            Ok(level) => {
                let mut said = Vec::with_capacity(2);
                self.say(level, &mut |name, value| said.push((name, value)));
                Verdict::Then(Box::new(move |response: &mut Response<'_>| {
                    for (name, value) in said {
                        // Beside those of another limit: both are lists.
                        response.headers.append(&name, value);
                    }
                }))
            }
            Err(refused) => {
                let mut headers = HeaderMap::new();
                self.say(refused.level, &mut |name, value| {
                    headers.insert(name, value);
                });
                let seconds = whole_seconds(refused.next_in).max(1);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
                Verdict::Refuse(Failure::RateLimited, headers)
            }
        }
    }

    fn go_on_from(&self, before: &dyn Filter) {
        let before: &dyn std::any::Any = before;
        let Some(before) = before.downcast_ref::<Self>() else {
            return;
        };
        let is_same = before.key == self.key
            && before.keys == self.keys
            && before.rate == self.rate
            && before.burst == self.burst;
        if is_same {
            // It is new: nothing was counted yet.
            let _ = self.counted.set(Arc::clone(before.counted()));
        }
    }
}
