//! The headers that tell a browser what the page may do: load and call its own origin, be framed by nobody, use no
//! device. Nothing inline is allowed, neither script nor style.
//!
//! The page calls the API on its own origin, through the balancer. To have it call an API directly, name that API's
//! origin (`--api-origin http://127.0.0.1:5252`, which adds it to `connect-src`) and open the page as
//! `/?api=http://127.0.0.1:5252`. The browser refuses any origin that was not named here.
//!
//! There is no `Strict-Transport-Security`: whoever terminates TLS knows whether it is due.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

const FIXED: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-embedder-policy"),
        "require-corp",
    ),
];

/// An origin the page may call: scheme, host and perhaps port, nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiOrigin(String);

impl FromStr for ApiOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: Uri = text
            .trim_end_matches('/')
            .parse()
            .map_err(|error| format!("not an origin: {error}"))?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) =
            (uri.scheme_str(), uri.authority())
        else {
            return Err("expected an origin such as http://127.0.0.1:5252".to_owned());
        };
        // These would end the directive, or the policy, in the middle of the name.
        let is_plain = !authority
            .as_str()
            .contains(['@', ';', ',', '\'', '"', '*', ' ']);
        if uri.path() != "/" || uri.query().is_some() || !is_plain {
            return Err(
                "expected scheme, host and port only, such as http://127.0.0.1:5252".to_owned(),
            );
        }
        Ok(Self(format!("{scheme}://{authority}")))
    }
}

impl fmt::Display for ApiOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What every answer carries, made once.
#[derive(Debug)]
pub struct SecurityHeaders(HeaderMap);

impl SecurityHeaders {
    /// The headers for a page that may call these origins besides its own.
    pub fn new(api_origins: &[ApiOrigin]) -> Self {
        let mut headers: HeaderMap = FIXED
            .into_iter()
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .collect();
        headers.insert(header::CONTENT_SECURITY_POLICY, policy(api_origins));
        Self(headers)
    }
}

fn policy(api_origins: &[ApiOrigin]) -> HeaderValue {
    let connect: String = api_origins
        .iter()
        .map(|origin| format!(" {origin}"))
        .collect();
    let policy = format!(
        "default-src 'self'; connect-src 'self'{connect}; object-src 'none'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    // An origin is visible ASCII, so this is a header value; were it not, the strictest policy is the safe answer.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

/// Adds them.
pub async fn apply(
    State(security): State<Arc<SecurityHeaders>>,
    request: Request,
    next: Next,
) -> Response {
    let mut answer = next.run(request).await;
    answer.headers_mut().extend(security.0.clone());
    answer
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let origin: ApiOrigin = "http://127.0.0.1:5252/".parse().unwrap();
        assert_eq!(origin.to_string(), "http://127.0.0.1:5252");
        for text in [
            "",
            "127.0.0.1:5252",
            "ftp://a",
            "http://a/b",
            "http://a?b",
            "http://u@a",
            "http://a;script-src *",
        ] {
            assert!(text.parse::<ApiOrigin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_named_origin_may_be_called_and_nothing_else_changes() {
        let plain = policy(&[]);
        let named = policy(&["http://127.0.0.1:5252".parse().unwrap()]);
        assert!(plain.to_str().unwrap().contains("connect-src 'self';"));
        assert_eq!(
            named
                .to_str()
                .unwrap()
                .replace(" http://127.0.0.1:5252", ""),
            plain.to_str().unwrap()
        );
    }
}
