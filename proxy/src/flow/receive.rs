//! First stage: names the request, checks its bounds and finds its route.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use uuid::Uuid;

use super::Exchange;
use super::forward::{CLAIMS, check_length};
use super::onward::Passage;
use crate::error::Failure;
use crate::route::condition::Request;
use crate::route::path::normalise;
use crate::snapshot::{End, Limits};

/// The header that carries a request's id, in and out.
pub const REQUEST_ID: &str = "x-request-id";

/// An id that is longer was not made to be one.
const ID_LENGTH_MAX: usize = 128;

/// RFC 9113, section 6.5.2: what a field costs beside its name and value.
const H2_FIELD_OVERHEAD: u64 = 32;

/// Fills in the exchange.
///
/// # Errors
/// The reason for which the request is not served.
pub fn receive(
    request: &RequestHeader,
    head_size: Option<u64>,
    exchange: &mut Exchange,
) -> Result<(), Failure> {
    let fields = Fields::of(request);
    let given = fields.id.filter(|id| is_sound_id(id.as_bytes()));
    exchange.id = Some(given.cloned().unwrap_or_else(new_id));
    exchange.claims_origin = fields.claims_origin;
    check_head(request, head_size, &exchange.snapshot.limits)?;
    check_framing(&fields)?;
    check_target(request)?;
    let (host, path) = place(request)?;
    let found = exchange.snapshot.table.find(&Request {
        host: &host,
        path: &path,
        query: request.uri.query(),
        method: &request.method,
        headers: &request.headers,
        client: exchange.client.as_ref().map(|client| client.ip),
    });
    exchange.found = found;
    let Some(route) = exchange.route() else {
        check_length(request, exchange)?;
        return Err(Failure::NoRoute);
    };
    let passage = (!route.filters.is_empty())
        .then(|| Box::new(Passage::new(request, path.into_owned(), host.into_owned())));
    if let End::Split(_, split) = &route.end {
        let client = exchange.client.as_ref().map(|client| client.ip);
        let choice = split.choose(&request.headers, client, exchange.purpose);
        exchange.arm = choice.arm;
        exchange.cookie = choice.cookie;
    }
    exchange.passage = passage;
    Ok(())
}

/// The host and the path that routes are looked for by.
fn place(request: &RequestHeader) -> Result<(Cow<'_, str>, Cow<'_, str>), Failure> {
    let host = host(request).ok_or(Failure::BadRequest)?;
    let path = normalise(request.uri.path()).map_err(|_| Failure::BadRequest)?;
    Ok((host, path))
}

/// The same for whoever wants to say it; none if the request has none.
pub fn normal(request: &RequestHeader) -> Option<(String, String)> {
    let (host, path) = place(request).ok()?;
    Some((host.into_owned(), path.into_owned()))
}

/// The fields that matter here, found in one pass: each look-up by name would hash it.
#[derive(Default)]
struct Fields<'a> {
    id: Option<&'a HeaderValue>,
    length: Option<&'a HeaderValue>,
    coding: Option<&'a HeaderValue>,
    /// Its length, or its coding, is there twice.
    repeats_framing: bool,
    claims_origin: bool,
}

impl<'a> Fields<'a> {
    fn of(request: &'a RequestHeader) -> Self {
        let mut fields = Self::default();
        for (name, value) in &request.headers {
            match name.as_str() {
                "content-length" => {
                    fields.repeats_framing |= fields.length.replace(value).is_some()
                }
                "transfer-encoding" => {
                    fields.repeats_framing |= fields.coding.replace(value).is_some();
                }
                REQUEST_ID => fields.id = fields.id.or(Some(value)),
                name => fields.claims_origin |= CLAIMS.contains(&name),
            }
        }
        fields
    }
}

/// An id that sorts by time.
pub fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Uuid::now_v7().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("-"))
}

/// Visible ASCII: it is going to stand in logs and in a page.
fn is_sound_id(id: &[u8]) -> bool {
    (1..=ID_LENGTH_MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic)
}

fn check_head(
    request: &RequestHeader,
    head_size: Option<u64>,
    limits: &Limits,
) -> Result<(), Failure> {
    let size = head_size.unwrap_or_else(|| fields_size(request));
    let too_large =
        size > limits.header_size || request.headers.len() > usize::from(limits.header_count);
    if too_large {
        Err(Failure::HeadTooLarge)
    } else {
        Ok(())
    }
}

fn fields_size(request: &RequestHeader) -> u64 {
    let fields = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().len() + value.len()) as u64 + H2_FIELD_OVERHEAD);
    fields.sum::<u64>() + request.raw_path().len() as u64
}

/// What Pingora lets through although two readers may see two different ends of the body: a length that is repeated, a
/// coding that is applied twice (RFC 9112, sections 6.1 and 6.3).
fn check_framing(fields: &Fields<'_>) -> Result<(), Failure> {
    let is_length = |length: &HeaderValue| {
        !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
    };
    let is_chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    let is_plain = fields.length.is_none_or(is_length) && fields.coding.is_none_or(is_chunked);
    if is_plain && !fields.repeats_framing {
        Ok(())
    } else {
        Err(Failure::BadRequest)
    }
}

/// A path, a whole URL, or `*` for OPTIONS (RFC 9112, section 3.2). Pingora escapes what it cannot read and takes it for
/// a path.
fn check_target(request: &RequestHeader) -> Result<(), Failure> {
    let target = request.raw_path();
    let is_url = [b"http://".as_slice(), b"https://"].iter().any(|scheme| {
        target
            .get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    });
    let is_asterisk = target == b"*" && request.method == Method::OPTIONS;
    if target.starts_with(b"/") || is_url || is_asterisk {
        Ok(())
    } else {
        Err(Failure::BadRequest)
    }
}

/// The host as the client wrote it, port included.
pub fn host_as_sent(request: &RequestHeader) -> Option<&str> {
    let authority = request.uri.authority().map(|authority| authority.as_str());
    authority.or_else(|| request.headers.get(HOST)?.to_str().ok())
}

/// The host in lower case, without port. HTTP/1.0 may leave it out, HTTP/1.1 may not (RFC 9112, section 3.2).
pub(super) fn host(request: &RequestHeader) -> Option<Cow<'_, str>> {
    match host_as_sent(request) {
        Some(host) if is_sound_host(host) => {
            let name = without_port(host);
            let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
            Some(if is_lower {
                Cow::Borrowed(name)
            } else {
                Cow::Owned(name.to_ascii_lowercase())
            })
        }
        Some(_) => None,
        None if request.version <= Version::HTTP_10 && !request.headers.contains_key(HOST) => {
            Some(Cow::Borrowed(""))
        }
        None => None,
    }
}

/// RFC 3986, section 3.2.2: a name or an address in brackets, and digits for a port. An empty one is allowed.
fn is_sound_host(host: &str) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (host, ""),
    };
    let literal = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let is_name = match literal {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte)),
    };
    is_name && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn without_port(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_compared_without_port_and_final_dot() {
        for (given, expected) in [
            ("example.com", "example.com"),
            ("example.com:80", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(without_port(given), expected, "{given}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
        for sound in [
            "",
            "h",
            "a-b.example:80",
            "h:",
            "[::1]",
            "[::1]:80",
            "10.0.0.1:80",
        ] {
            assert!(is_sound_host(sound), "{sound:?}");
        }
        for odd in [
            "a b", "a/b", "a@b", "h:port", "a:1:2", "::1", "[::1", "[h]", "a\"b",
        ] {
            assert!(!is_sound_host(odd), "{odd:?}");
        }
    }

    #[test]
    fn the_end_of_a_body_is_said_once() {
        let check = |fields: &[(&'static str, &str)]| {
            let mut request = RequestHeader::build("POST", b"/", None).unwrap();
            for (name, value) in fields {
                request.append_header(*name, *value).unwrap();
            }
            check_framing(&Fields::of(&request)).is_ok()
        };
        assert!(check(&[]) && check(&[("content-length", "3")]));
        assert!(check(&[("transfer-encoding", "Chunked")]));
        assert!(!check(&[("content-length", "3"), ("content-length", "3")]));
        assert!(!check(&[("content-length", "3, 3")]) && !check(&[("content-length", "+3")]));
        assert!(!check(&[("transfer-encoding", "chunked, chunked")]));
    }

    #[test]
    fn a_target_is_a_path_or_a_url() {
        let check = |method, target: &str| {
            check_target(&RequestHeader::build(method, target.as_bytes(), None).unwrap()).is_ok()
        };
        assert!(check("GET", "/") && check("GET", "//a?b") && check("GET", "http://h/a"));
        assert!(check("OPTIONS", "*") && !check("GET", "*"));
        assert!(!check("GET", "%20/"));
    }

    #[test]
    fn an_id_is_visible_ascii_of_bounded_length() {
        assert!(is_sound_id(b"abc-123"));
        assert!(!is_sound_id(b""));
        assert!(!is_sound_id(b"a b"));
        assert!(!is_sound_id("ü".as_bytes()));
        assert!(!is_sound_id(&[b'a'; 129]));
    }
}
