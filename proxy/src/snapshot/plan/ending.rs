//! From the end of a route as it was written to what is done there.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::upstream::override_timeouts;
use super::{COPY_SIZE, MirrorSpec, TargetSpec};
use crate::component::Surroundings;
use crate::config::{self, Diagnostic, Named, Share, Spanned, code, cookie_prefix, field_name};
use crate::end::redirect::{NewPath, Redirect};
use crate::end::split::Sticky;
use crate::end::{PLAIN_TEXT, Reply, content_type};
use crate::route::path::normalise;
use crate::upstream::Spec;

/// Where a route ends.
pub enum EndSpec {
    /// One upstream answers.
    Upstream(TargetSpec),
    /// Several share the requests: each with its name and share.
    Split(Vec<(TargetSpec, String, u16)>, Option<Sticky>),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The proxy answers.
    Respond(Arc<Reply>),
}

/// What the ends of all routes need to know.
pub(super) struct Ends<'p> {
    pub(super) upstreams: &'p [Spec],
    pub(super) positions: &'p HashMap<String, usize>,
    pub(super) surroundings: &'p Surroundings,
}

impl Ends<'_> {
    /// None if the file's check has said why there is none.
    pub(super) fn end(&self, route: &config::Route) -> Result<Option<EndSpec>, Vec<Diagnostic>> {
        if let Some(upstream) = &route.upstream {
            return Ok(self
                .target(upstream, &route.timeouts)
                .map(EndSpec::Upstream));
        }
        if let Some(split) = &route.split {
            let arm = |(name, share): (&Spanned<String>, &Spanned<u16>)| {
                Some((
                    self.target(name, &route.timeouts)?,
                    name.value.clone(),
                    share.value,
                ))
            };
            let arms: Option<Vec<_>> = split.iter().map(arm).collect();
            let sticky = route.sticky.as_ref().map(|sticky| self::sticky(sticky));
            let sticky = sticky.transpose().map_err(|problem| vec![*problem])?;
            return Ok(arms.map(|arms| EndSpec::Split(arms, sticky)));
        }
        if let Some(redirect) = &route.redirect {
            return Ok(Some(EndSpec::Redirect(self::redirect(redirect, route))));
        }
        let respond = route.respond.as_ref();
        let reply = respond.map(|respond| self.reply(respond)).transpose()?;
        Ok(reply.map(|reply| EndSpec::Respond(Arc::new(reply))))
    }

    fn target(&self, name: &str, timeouts: &config::Timeouts) -> Option<TargetSpec> {
        let upstream = *self.positions.get(name)?;
        let spec = self.upstreams.get(upstream)?;
        Some(TargetSpec {
            upstream,
            timeouts: override_timeouts(timeouts, spec.timeouts),
        })
    }

    pub(super) fn mirror(&self, route: &config::Route) -> Option<MirrorSpec> {
        let mirror = route.mirror.as_ref()?;
        Some(MirrorSpec {
            target: self.target(&mirror.upstream, &config::Timeouts::default())?,
            share: mirror.share.unwrap_or(Share::ALL),
            body_size: mirror.body_size.map_or(COPY_SIZE, |size| size.bytes()),
        })
    }

    fn reply(&self, written: &config::Respond) -> Result<Reply, Vec<Diagnostic>> {
        let mut headers = fields(&written.headers)?;
        let (body, content_type) = match (&written.text, &written.file) {
            (Some(text), _) => (Bytes::from(text.value.clone()), Some(PLAIN_TEXT)),
            (None, Some(file)) => {
                let body = self.surroundings.file(file)?;
                (body.into(), Some(content_type(file)))
            }
            (None, None) => (Bytes::new(), None),
        };
        if let Some(content_type) = content_type {
            headers.entry(CONTENT_TYPE).or_insert(content_type);
        }
        let status = written.status.map_or(200, |status| status.value);
        Ok(Reply {
            status: StatusCode::from_u16(status).unwrap_or_default(),
            headers,
            body,
        })
    }
}

fn sticky(written: &config::Sticky) -> Result<Sticky, Box<Diagnostic>> {
    Ok(match written {
        config::Sticky::Cookie(cookie) => {
            field_name(cookie)?;
            match cookie_prefix(cookie) {
                Some(prefix) => return Err(Box::new(not_secure(cookie, prefix))),
                None => Sticky::Cookie(cookie.value.clone()),
            }
        }
        config::Sticky::Header(field) => Sticky::Header(field_name(field)?),
        config::Sticky::Client => Sticky::Client,
    })
}

fn not_secure(cookie: &Spanned<String>, prefix: &str) -> Diagnostic {
    let message = format!("`{cookie}` cannot be the cookie of a split");
    Diagnostic::error(code::FIELD_NAME, message)
        .at(cookie.span)
        .label(format!(
            "browsers refuse `{prefix}` where a cookie is not for HTTPS alone"
        ))
        .help("take a name without it")
}

fn redirect(written: &config::Redirect, route: &config::Route) -> Redirect {
    let text = |written: &Option<Spanned<String>>| written.as_ref().map(|text| text.value.clone());
    // What has no normal form is an error of the file's check.
    let path = |written: &Spanned<String>| {
        let normal = normalise(written).unwrap_or_default();
        normal.into_owned()
    };
    let beginning = |written: &Spanned<String>| path(written).trim_end_matches('/').to_owned();
    let whole = written.path.as_ref().map(path).map(NewPath::Whole);
    let prefix = match (&route.matches.path_prefix, &written.prefix) {
        (Some(from), Some(to)) => Some(NewPath::Prefix {
            from: beginning(from),
            to: beginning(to),
        }),
        _ => None,
    };
    let status = written.status.map(|status| status.value);
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    Redirect {
        scheme: text(&written.scheme),
        host: text(&written.host),
        port: written.port.map(|port| port.value),
        path: whole.or(prefix),
        status: status.unwrap_or(StatusCode::FOUND),
        keep_query: written.keep_query.unwrap_or(true),
    }
}

/// What frames an answer is not the file's to say.
const OURS: [&str; 3] = ["content-length", "transfer-encoding", "connection"];

fn fields(
    written: &Named<Spanned<String>, config::FieldName>,
) -> Result<HeaderMap, Vec<Diagnostic>> {
    let mut fields = HeaderMap::new();
    let mut wrong = Vec::new();
    for (name, value) in written.iter() {
        let field = HeaderName::from_bytes(name.as_bytes());
        match (field, HeaderValue::from_str(value)) {
            (Ok(field), _) if OURS.contains(&field.as_str()) => wrong.push(
                Diagnostic::error(
                    code::FIELD_OF_THE_PROXY,
                    format!("`{name}` is not the file's to say"),
                )
                .at(name.span)
                .label("the proxy frames its answers"),
            ),
            (Ok(field), Ok(value)) => drop(fields.insert(field, value)),
            _ => wrong.push(
                Diagnostic::error(
                    code::FIELD_VALUE,
                    format!("`{}` cannot be the value of a field", value.escape_debug()),
                )
                .at(value.span)
                .label("no line breaks or other control characters (RFC 9110, section 5.5)"),
            ),
        }
    }
    if wrong.is_empty() {
        Ok(fields)
    } else {
        Err(wrong)
    }
}
