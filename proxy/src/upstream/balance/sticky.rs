//! `balance: { sticky: ... }`: a client stays with the server that answered it first, by a cookie that the proxy sets.
//!
//! ```yaml
//! balance:
//!   sticky:
//!     cookie: shop
//!     secret: "${file:secrets/sticky}"   # the same on every proxy
//!     balance: round_robin               # who gets those that are new
//! ```
//!
//! The value is a MAC of the server's address (BLAKE2s keyed with the secret, RFC 7693, section 2.9; 63 bits of it): it names the server
//! to whoever has the secret and tells nobody else its address. Nothing is stored, so that it outlives reloads and restarts, and
//! other proxies with the same secret understand it. A cookie that names no server of this moment (forged, of another upstream, of a
//! server that is out or gone) counts as none, and the answer brings a new one.
//!
//! What a cookie can do is choose among the servers: without a `secret`, anybody who guesses a server's address could make the cookie
//! that leads there, and find out whether a guess is right. So there is no `sticky` without one.
//!
//! A pick is one look into a hash map, an answer one MAC.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use blake2::digest::consts::U8;
use blake2::digest::{KeyInit, Mac};
use blake2::{Blake2s256, Blake2sMac, Digest};
use http::HeaderValue;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ring_hash::name;
use super::{Asked, KINDS, NOUN, Picker, Policy, Request, round_robin};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::{
    Component, Diagnostic, Duration, HOST_PREFIX, Spanned, code, cookie_prefix, field_name,
};
use crate::route::condition::cookie;
use crate::upstream::Endpoint;

pub(super) const KIND: Kind<Arc<dyn Policy>> = Kind::new::<Written>(
    "sticky",
    "the server that answered first, by a cookie that the proxy sets",
    build,
);

/// A shorter one can be guessed.
const SECRET_MIN: usize = 16;

/// Set in every key that came from a cookie, and in no other.
const FROM_COOKIE: u64 = 1;

/// The value of a cookie: eight bytes in base64.
const LENGTH: usize = 11;

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Its name: one for each upstream that a browser comes to.
    cookie: Spanned<String>,
    /// What its values are signed with, at least 16 characters; the same on every proxy.
    secret: Spanned<String>,
    /// How long it is kept, counted from when it was set. Default: until the browser is closed.
    max_age: Option<Spanned<Duration>>,
    /// Below which path it is sent. Default: `/`.
    #[serde(default = "everywhere")]
    #[schemars(with = "places::Path", extend("default" = "/"))]
    path: Spanned<String>,
    /// Whether it is sent over HTTPS only. Default: `false`.
    #[serde(default)]
    secure: bool,
    /// Whether scripts cannot read it. Default: `true`.
    #[serde(default = "yes")]
    http_only: bool,
    /// Whether it comes with requests that other sites lead to. Default: `lax`.
    #[serde(default = "lax")]
    same_site: Spanned<SameSite>,
    /// How a server is picked for a client that has no cookie yet. Default: `round_robin`.
    #[serde(default = "in_turn")]
    #[schemars(with = "places::Policy", extend("default" = "round_robin"))]
    balance: Component,
}

/// Whether a cookie comes with requests that other sites lead to (RFC 6265bis, section 5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SameSite {
    /// With links only.
    Lax,
    /// Never.
    Strict,
    /// Always; needs `secure`.
    None,
}

fn everywhere() -> Spanned<String> {
    "/".to_owned().into()
}

const fn yes() -> bool {
    true
}

fn lax() -> Spanned<SameSite> {
    SameSite::Lax.into()
}

fn in_turn() -> Component {
    Component::bare(round_robin::KIND.name)
}

struct Sticky {
    cookie: String,
    /// What stands behind its value.
    attributes: String,
    mac: Blake2sMac<U8>,
    first: Arc<dyn Policy>,
    identity: String,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Policy>, Vec<Diagnostic>> {
    let mut written: Written = options.decode()?;
    let mut wrong = mistakes(&written);
    let first = if written.balance.name.value == KIND.name {
        wrong.push(within_itself(&written.balance.name));
        None
    } else {
        let first = options.component(NOUN, KINDS, &written.balance);
        first.map_err(|problems| wrong.extend(problems)).ok()
    };
    let Some(first) = first.filter(|_| wrong.is_empty()) else {
        return Err(wrong);
    };
    written.balance = first.effective;
    options.are(&written);
    Ok(Arc::new(Sticky::new(&written, first.made)))
}

fn mistakes(written: &Written) -> Vec<Diagnostic> {
    let mut wrong = Vec::new();
    wrong.extend(field_name(&written.cookie).err().map(|problem| *problem));
    wrong.extend(prefixed(written));
    let secret = &written.secret;
    if secret.len() < SECRET_MIN {
        let message = format!("`secret` has {} characters", secret.chars().count());
        wrong.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, message)
                .at(secret.span)
                .label(format!("expected at least {SECRET_MIN}: fewer can be guessed"))
                .help("put what `head -c 32 /dev/urandom | base64` says into a file, and write `\"${file:PATH}\"`"),
        );
    }
    let path = &written.path;
    let is_sendable = |letter: char| letter.is_ascii_graphic() && letter != ';';
    if !path.starts_with('/') || !path.chars().all(is_sendable) {
        let message = format!("`{}` cannot be the path of a cookie", path.escape_debug());
        let label = "expected `/`, then visible ASCII without `;` (RFC 6265, section 4.1.1)";
        wrong.push(
            Diagnostic::error(code::PATH, message)
                .at(path.span)
                .label(label),
        );
    }
    if let Some(age) = &written.max_age
        && age.get().as_secs() == 0
    {
        let message = format!("`max_age` is `{}`", age.value);
        let label = "expected at least `1s`: a cookie of no age is deleted";
        wrong.push(
            Diagnostic::error(code::OUT_OF_BOUNDS, message)
                .at(age.span)
                .label(label),
        );
    }
    let same_site = &written.same_site;
    if same_site.value == SameSite::None && !written.secure {
        let message = "`same_site: none` without `secure`";
        wrong.push(
            Diagnostic::error(code::MISSING_KEY, message)
                .at(same_site.span)
                .label("browsers refuse such a cookie")
                .help("add `secure: true`, where clients come over HTTPS"),
        );
    }
    wrong
}

/// What a name promises to browsers, and the cookie does not keep.
fn prefixed(written: &Written) -> Vec<Diagnostic> {
    let (cookie, path) = (&written.cookie, &written.path);
    let Some(prefix) = cookie_prefix(cookie) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    if !written.secure {
        let message = format!("`cookie: {cookie}` without `secure`");
        wrong.push(
            Diagnostic::error(code::MISSING_KEY, message)
                .at(cookie.span)
                .label(format!("browsers refuse `{prefix}` then"))
                .help(format!(
                    "add `secure: true`, where clients come over HTTPS, or take a name without `{prefix}`"
                )),
        );
    }
    if prefix == HOST_PREFIX && path.value != "/" {
        let message = format!("`{path}` cannot be the path of `{cookie}`");
        wrong.push(
            Diagnostic::error(code::PATH, message)
                .at(path.span)
                .label(format!(
                    "browsers refuse `{prefix}` with a path other than `/`"
                ))
                .help("leave `path` out, or take a name with `__Secure-`"),
        );
    }
    wrong
}

fn within_itself(name: &Spanned<String>) -> Diagnostic {
    Diagnostic::error(code::POLICY_WITHIN, "`sticky` within `sticky`")
        .at(name.span)
        .label("says how those are spread that have no cookie yet")
        .help("write another policy here, or leave `balance` out for `round_robin`")
}

impl Sticky {
    fn new(written: &Written, first: Arc<dyn Policy>) -> Self {
        let key = Blake2s256::digest(&written.secret.value);
        let attributes = attributes(written);
        Self {
            identity: format!(
                "{} {} {attributes} {} {}",
                KIND.name,
                written.cookie.value,
                // Not the key itself: who compares policies need not know it.
                URL_SAFE_NO_PAD.encode(Blake2s256::digest(key)),
                first.identity()
            ),
            cookie: written.cookie.value.clone(),
            attributes,
            mac: Blake2sMac::new(&key),
            first,
        }
    }

    /// What a cookie says for this server.
    fn mark(&self, address: SocketAddr) -> u64 {
        let mac = Mac::chain_update(self.mac.clone(), name(address));
        u64::from_be_bytes(mac.finalize().into_bytes().into()) | FROM_COOKIE
    }
}

fn attributes(written: &Written) -> String {
    let mut attributes = format!("; Path={}", written.path.value);
    if let Some(age) = &written.max_age {
        attributes += &format!("; Max-Age={}", age.get().as_secs());
    }
    if written.secure {
        attributes += "; Secure";
    }
    if written.http_only {
        attributes += "; HttpOnly";
    }
    attributes
        + match written.same_site.value {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        }
}

/// What a cookie says, if the proxy may have written it.
fn said(value: &[u8]) -> Option<u64> {
    let mut bytes = [0; 8];
    let is_whole = value.len() == LENGTH
        && URL_SAFE_NO_PAD.decode_slice_unchecked(value, &mut bytes) == Ok(bytes.len());
    let mark = u64::from_be_bytes(bytes);
    (is_whole && mark & FROM_COOKIE != 0).then_some(mark)
}

impl Policy for Sticky {
    fn identity(&self) -> String {
        self.identity.clone()
    }

    fn takes_time(&self) -> bool {
        self.first.takes_time()
    }

    fn picker(&self, ready: &[Arc<Endpoint>]) -> Box<dyn Picker> {
        let marks = (0..)
            .zip(ready)
            .map(|(at, server)| (self.mark(server.address()), at));
        Box::new(Kept {
            marks: marks.collect(),
            first: self.first.picker(ready),
        })
    }

    fn key(&self, request: &Request<'_>) -> Option<u64> {
        let said = cookie(request.headers, &self.cookie).and_then(said);
        said.or_else(|| Some(self.first.key(request)? & !FROM_COOKIE))
    }

    fn keeps(&self, server: &Endpoint) -> Option<u64> {
        Some(self.mark(server.address()))
    }

    fn cookie(&self, key: Option<u64>, server: &Endpoint) -> Option<HeaderValue> {
        let mark = self.mark(server.address());
        if key == Some(mark) {
            return None;
        }
        let value = URL_SAFE_NO_PAD.encode(mark.to_be_bytes());
        HeaderValue::try_from(format!("{}={value}{}", self.cookie, self.attributes)).ok()
    }
}

/// Whom each cookie names. The map hashes with a key of its own and compares numbers, so that how long it takes does not tell how
/// much of a guess is right.
struct Kept {
    marks: HashMap<u64, usize>,
    first: Box<dyn Picker>,
}

impl Picker for Kept {
    fn pick<'a>(&self, ready: &'a [Arc<Endpoint>], asked: &Asked<'_>) -> Option<&'a Arc<Endpoint>> {
        let Some(mark) = asked.key.filter(|key| key & FROM_COOKIE != 0) else {
            return self.first.pick(ready, asked);
        };
        let named = self.marks.get(&mark).and_then(|at| ready.get(*at));
        let named = named.filter(|server| !asked.tried.contains(server.address()));
        // Its clients are spread, and do not follow one another.
        named.or_else(|| {
            self.first.pick(
                ready,
                &Asked {
                    key: None,
                    ..*asked
                },
            )
        })
    }
}

#[cfg(test)]
mod tests;
