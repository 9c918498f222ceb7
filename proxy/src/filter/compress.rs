//! `compress`: makes answers smaller for clients that can read them so (RFC 9110, sections 8.4 and 12.5.3).
//!
//! ```yaml
//! filters:
//!   - compress
//!   - compress: { algorithms: [ zstd, gzip ], types: [ "text/*", application/json ], min_size: 4KiB }
//! ```
//!
//! Of what a client likes best the file's first is taken. Left alone are answers that are encoded already, parts of one, those
//! without a body, those that say `no-transform`, and those of other types. Each piece is sent when it comes. A strong `ETag`
//! becomes a weak one, for the bytes are others.

mod accept;
mod encoder;

use std::sync::Arc;

use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, HeaderName,
};
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::accept::Accepted;
use self::encoder::Encoder;
use super::fields::{Fields, vary};
use super::{Filter, Request, Response, Verdict};
use crate::component::{Kind, Options};
use crate::config::{Diagnostic, OneOrMany, Size, Spanned, code};

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "compress",
    "makes answers smaller for clients that can read them so",
    build,
);

/// Types that shrink. What is compressed by itself, as pictures are, only gets larger.
const TYPES: [&str; 14] = [
    "text/*",
    "application/javascript",
    "application/json",
    "application/ld+json",
    "application/manifest+json",
    "application/problem+json",
    "application/wasm",
    "application/xml",
    "application/xhtml+xml",
    "application/rss+xml",
    "application/atom+xml",
    "font/otf",
    "font/ttf",
    "image/svg+xml",
];

/// Below, the fields that are added take what is saved.
const SIZE_MIN: u64 = 1024;

/// Digests of the bytes as they were (RFC 9530).
const DIGESTS: [HeaderName; 4] = [
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-md5"),
];

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// What may be used, the best first. Default: `[ zstd, br, gzip ]`.
    #[serde(default = "algorithms")]
    algorithms: OneOrMany<Spanned<Algorithm>>,
    /// What shrinks: `application/json`, `text/*`. Default: text, scripts, JSON, XML, SVG and uncompressed fonts.
    #[serde(default = "types")]
    types: OneOrMany<Spanned<String>>,
    /// Smaller ones are left alone, if their size is known before. Default: `1KiB`.
    #[serde(default = "min_size")]
    min_size: Spanned<Size>,
}

fn algorithms() -> OneOrMany<Spanned<Algorithm>> {
    Algorithm::ALL.into_iter().map(Spanned::from).collect()
}

fn types() -> OneOrMany<Spanned<String>> {
    let types = TYPES.iter().copied();
    types.map(|kind| kind.to_owned().into()).collect()
}

fn min_size() -> Spanned<Size> {
    Size::from_bytes(SIZE_MIN).into()
}

/// A way to compress, by its name in `Content-Encoding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Algorithm {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Br,
    /// RFC 1952.
    Gzip,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Zstd, Self::Br, Self::Gzip];

    const fn name(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Br => "br",
            Self::Gzip => "gzip",
        }
    }
}

struct Compress {
    algorithms: Vec<Algorithm>,
    shared: Arc<Settings>,
}

struct Settings {
    /// In lower case; those that end with `/` are for all that begins so.
    types: Vec<String>,
    min_size: u64,
}

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let algorithms = written.algorithms.iter();
    let algorithms: Vec<Algorithm> = algorithms.map(|algorithm| algorithm.value).collect();
    let mut wrong = Vec::new();
    let types = written
        .types
        .iter()
        .filter_map(|kind| {
            let read = media_type(kind);
            if read.is_none() {
                let message = format!("`{}` is no media type", kind.value);
                let problem = Diagnostic::error(code::MEDIA_TYPE, message).at(kind.span);
                wrong.push(problem.label("such as `application/json` or `text/*`"));
            }
            read
        })
        .collect();
    if algorithms.is_empty() || written.types.is_empty() {
        let problem = Diagnostic::error(code::NOTHING_TO_DO, "a filter that compresses nothing")
            .at(options.span());
        wrong.push(problem.label("an empty list"));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Arc::new(Compress {
        algorithms,
        shared: Arc::new(Settings {
            types,
            min_size: written.min_size.bytes(),
        }),
    }))
}

/// `text/*` becomes `text/`.
fn media_type(written: &str) -> Option<String> {
    let (kind, subtype) = written.split_once('/')?;
    let is_token = |text: &str| HeaderName::from_bytes(text.as_bytes()).is_ok();
    match subtype {
        "*" if is_token(kind) => Some(format!("{}/", kind.to_ascii_lowercase())),
        _ if is_token(kind) && is_token(subtype) && subtype != "*" => {
            Some(written.to_ascii_lowercase())
        }
        _ => None,
    }
}

impl Filter for Compress {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let accepted = Accepted::read(request.headers.get_all(ACCEPT_ENCODING));
        let algorithm = accepted.best(&self.algorithms);
        let settings = Arc::clone(&self.shared);
        Verdict::Then(Box::new(move |response| {
            settings.apply(algorithm, response)
        }))
    }
}

impl Settings {
    fn apply(&self, algorithm: Option<Algorithm>, response: &mut Response<'_>) {
        if response.status == StatusCode::NOT_MODIFIED {
            return self.not_modified(algorithm, response.headers);
        }
        if !self.shrinks(response.status, response.headers) {
            return;
        }
        vary(response.headers, "Accept-Encoding");
        let Some(algorithm) = algorithm else {
            return;
        };
        // The answer to HEAD says what that to GET would (RFC 9110, section 9.3.2).
        if response.facts.method != Method::HEAD {
            let Some(encoder) = Encoder::new(algorithm, length(response.headers)) else {
                return;
            };
            response.body.push(Box::new(encoder));
        }
        let fields = &mut *response.headers;
        fields.insert(
            &CONTENT_ENCODING,
            HeaderValue::from_static(algorithm.name()),
        );
        fields.remove(&CONTENT_LENGTH);
        // A part of these bytes cannot be asked for.
        fields.remove(&ACCEPT_RANGES);
        for digest in &DIGESTS {
            fields.remove(digest);
        }
        weaken(fields);
    }

    /// Says what the whole answer would (RFC 9110, section 15.4.5), as far as that is known without it.
    fn not_modified(&self, algorithm: Option<Algorithm>, fields: &mut dyn Fields) {
        let kind = fields.get(&CONTENT_TYPE);
        if kind.is_some_and(|kind| !self.is_known(kind)) {
            return;
        }
        vary(fields, "Accept-Encoding");
        if algorithm.is_some() {
            weaken(fields);
        }
    }

    fn shrinks(&self, status: StatusCode, fields: &dyn Fields) -> bool {
        let has_body = !status.is_informational()
            && !matches!(
                status,
                StatusCode::NO_CONTENT
                    | StatusCode::RESET_CONTENT
                    | StatusCode::PARTIAL_CONTENT
                    | StatusCode::NOT_MODIFIED
            );
        let is_free = fields.get(&CONTENT_ENCODING).is_none()
            && fields.get(&CONTENT_RANGE).is_none()
            && !fields.all(&CACHE_CONTROL).iter().any(forbids_transforming);
        has_body
            && is_free
            && length(fields).is_none_or(|length| length >= self.min_size.max(1))
            && fields
                .get(&CONTENT_TYPE)
                .is_some_and(|kind| self.is_known(kind))
    }

    fn is_known(&self, kind: &HeaderValue) -> bool {
        let kind = kind.to_str().unwrap_or_default();
        let kind = kind
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        self.types.iter().any(|known| {
            *known == kind || (known.ends_with('/') && kind.starts_with(known.as_str()))
        })
    }
}

/// The bytes are others, though they mean the same (RFC 9110, section 8.8.1).
fn weaken(fields: &mut dyn Fields) {
    let tag = fields.get(&ETAG).map(HeaderValue::as_bytes);
    let strong = tag.filter(|tag| !tag.starts_with(b"W/"));
    let weak = strong.and_then(|tag| HeaderValue::from_bytes(&[b"W/", tag].concat()).ok());
    if let Some(weak) = weak {
        fields.insert(&ETAG, weak);
    }
}

/// If it is known before.
fn length(fields: &dyn Fields) -> Option<u64> {
    fields.get(&CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// RFC 9110, section 7.7, and RFC 9111, section 5.2.2.6.
fn forbids_transforming(cache_control: &HeaderValue) -> bool {
    let mut words = cache_control
        .as_bytes()
        .split(|byte| *byte == b',')
        .map(<[u8]>::trim_ascii);
    words.any(|word| word.eq_ignore_ascii_case(b"no-transform"))
}
