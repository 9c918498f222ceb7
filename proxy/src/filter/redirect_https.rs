//! `redirect_https`: sends the client to the same place over HTTPS.
//!
//! ```yaml
//! filters:
//!   - redirect_https                                  # 308, to port 443
//!   - redirect_https: { port: 8443, status: 302 }
//! ```
//!
//! Every listener speaks plain HTTP: whoever comes by one has come without TLS. Where TLS ends in front of the proxy, ask what
//! that one says instead: `match: { header: { X-Forwarded-Proto: http } }` with a `redirect`.

use std::sync::Arc;

use http::{HeaderMap, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Filter, Request, Verdict};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::{Diagnostic, Spanned, code, sends_nobody};
use crate::end::redirect::{Place, Redirect};
use crate::error::Failure;

pub(super) const KIND: Kind<Arc<dyn Filter>> = Kind::new::<Written>(
    "redirect_https",
    "sends the client to the same place over HTTPS",
    build,
);

#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Written {
    /// Where HTTPS is served. Default: 443.
    #[serde(default = "port")]
    #[schemars(range(min = 1))]
    port: Spanned<u16>,
    /// 301, 302, 303, 307 or 308. Default: 308, which keeps the method.
    #[serde(default = "status")]
    #[schemars(with = "places::RedirectStatus")]
    status: Spanned<u16>,
}

/// Where HTTPS is served.
const PORT: u16 = 443;

fn port() -> Spanned<u16> {
    PORT.into()
}

fn status() -> Spanned<u16> {
    308.into()
}

struct RedirectHttps(Redirect);

fn build(options: &Options<'_>) -> Result<Arc<dyn Filter>, Vec<Diagnostic>> {
    let written: Written = options.decode()?;
    let problem = sends_nobody(written.status);
    let mut wrong: Vec<Diagnostic> = problem.into_iter().collect();
    let port = written.port;
    if port.value == 0 {
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, "there is no port 0").at(port.span);
        wrong.push(problem.label("expected 1 to 65535"));
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    Ok(Arc::new(RedirectHttps(Redirect {
        scheme: Some("https".to_owned()),
        host: None,
        port: Some(port.value).filter(|port| *port != PORT),
        path: None,
        status: StatusCode::from_u16(written.status.value)
            .unwrap_or(StatusCode::PERMANENT_REDIRECT),
        keep_query: true,
    })))
}

impl Filter for RedirectHttps {
    fn request(&self, request: &mut Request<'_>) -> Verdict {
        let facts = request.facts;
        if facts.host.is_empty() {
            // HTTP/1.0 may leave the host out: then there is no such place.
            return Verdict::Refuse(Failure::BadRequest, HeaderMap::new());
        }
        Verdict::Respond(Box::new(self.0.reply(&Place {
            host: Some(facts.host),
            path: facts.path,
            normal: facts.normal,
            query: facts.query,
        })))
    }
}
