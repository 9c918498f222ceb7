//! `health_check: grpc`: a server is well when it answers `grpc.health.v1.Health/Check` with `SERVING`.
//!
//! ```yaml
//! health_check:
//!   grpc:
//!     service: shop.Orders        # default: the server as a whole
//!     authority: shop.internal    # default: tidegate
//!     port: 50051
//!     interval: 2s
//!     timeout: 1s
//! ```
//!
//! Over HTTP/2 without TLS, by prior knowledge. The protocol:
//! <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.

mod message;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, TE, USER_AGENT};
use http::uri::{Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::message::{code_name, question, status_name};
use super::Check;
use super::http::{authority, collect, host};
use super::pace::{self, settings};
use super::probe::{Answer, Probe, Progress, answer, broken, connect};
use crate::component::{Kind, Options};
use crate::config::schema::quantities::SomeTime;
use crate::config::{Diagnostic, Duration, Spanned, code};
use crate::upstream::ask::AGENT;

pub(super) const KIND: Kind<Arc<Check>> = Kind::new::<Grpc>(
    "grpc",
    "a server is well when its `grpc.health.v1` says `SERVING`",
    build,
);

const METHOD: &str = "/grpc.health.v1.Health/Check";

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Grpc {
    /// The full name of the service that is asked about. Default: none, the server as a whole.
    #[serde(default)]
    service: String,
    /// The host that is asked for, with or without a port. Default: `tidegate`.
    #[serde(default = "host")]
    authority: Spanned<String>,
    /// Another port of the same server to ask at. Default: the one that requests go to.
    #[serde(
        default,
        deserialize_with = "crate::config::scalar::whole::<_, _, 1, 65535>"
    )]
    #[schemars(range(min = 1, max = 65535))]
    port: Option<Spanned<u16>>,
    /// From one probe to the next. Default: `5s`.
    #[serde(default = "pace::interval")]
    #[schemars(with = "pace::Interval")]
    interval: Spanned<Duration>,
    /// The same while the server is down. Default: a fifth of `interval`, but no less than `1s`, or `interval` if that is less.
    #[schemars(with = "Option<pace::Interval>")]
    down_interval: Option<Spanned<Duration>>,
    /// For the whole probe. Default: `2s`.
    #[serde(default = "pace::timeout")]
    #[schemars(with = "SomeTime")]
    timeout: Spanned<Duration>,
    /// Good answers in a row until a server that was down is used again. Default: 2.
    #[serde(default = "pace::healthy_after")]
    #[schemars(range(min = 1))]
    healthy_after: Spanned<u32>,
    /// Bad answers in a row until a server that was up is left out. Default: 3.
    #[serde(default = "pace::unhealthy_after")]
    #[schemars(range(min = 1))]
    unhealthy_after: Spanned<u32>,
}

fn build(options: &Options) -> Result<Arc<Check>, Vec<Diagnostic>> {
    let mut written: Grpc = options.decode()?;
    let mut wrong = Vec::new();
    let settings = collect(&mut wrong, settings!(options, written));
    let uri = collect(&mut wrong, uri(&written.authority));
    match (settings, uri) {
        (Some(settings), Some(uri)) => {
            let asks = format!("{} {uri} {:?}", KIND.name, written.service);
            let question = question(&written.service);
            Ok(Arc::new(Check::new(
                &asks,
                settings,
                Asks { uri, question },
            )))
        }
        _ => Err(wrong),
    }
}

fn uri(written: &Spanned<String>) -> Result<Uri, Vec<Diagnostic>> {
    let mut parts = Parts::default();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority(written, "authority")?);
    parts.path_and_query = Some(PathAndQuery::from_static(METHOD));
    Uri::from_parts(parts).map_err(|why| {
        let problem = Diagnostic::error(code::HOST_NAME, why.to_string());
        vec![problem.at(written.span)]
    })
}

struct Asks {
    uri: Uri,
    question: Bytes,
}

impl Asks {
    fn request(&self) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.question.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        let fields = request.headers_mut();
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        fields.insert(TE, HeaderValue::from_static("trailers"));
        fields.insert(USER_AGENT, AGENT);
        request
    }
}

#[async_trait]
impl Probe for Asks {
    async fn ask(&self, address: SocketAddr, progress: &Progress) -> Result<(), String> {
        let stream = connect(address, progress).await?;
        let spoken = http2::handshake(TokioExecutor::new(), stream).await;
        let (mut sender, connection) = spoken.map_err(|error| broken(&error, progress))?;
        let answering = sender.send_request(self.request());
        let answer = answer(connection, answering, progress).await;
        // A server that speaks HTTP/1.1 only does not say so.
        judge(&answer.map_err(|why| format!("{why}, over HTTP/2"))?)
    }
}

/// A server that has nothing to say beyond its status may put that into the head.
fn judge(answer: &Answer) -> Result<(), String> {
    let code = |fields: &HeaderMap| fields.get("grpc-status").cloned();
    let code = code(&answer.trailers).or_else(|| code(&answer.headers));
    match code {
        None if answer.status == StatusCode::OK => Err("it answered, but not in gRPC".to_owned()),
        None => Err(format!(
            "it answered HTTP status {}, and not in gRPC",
            answer.status.as_u16()
        )),
        // Whoever stands before the server may have its own opinion.
        Some(code) if code == "0" && answer.status != StatusCode::OK => Err(format!(
            "it answered HTTP status {}, expected 200",
            answer.status.as_u16()
        )),
        Some(code) if code == "0" => match status_name(&answer.body) {
            Some("SERVING") => Ok(()),
            Some(name) => Err(format!("it answered {name}, expected SERVING")),
            None => Err("it answered, but no `HealthCheckResponse`".to_owned()),
        },
        Some(code) => Err(format!(
            "it answered {}, expected SERVING",
            code_name(&code)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serving_counts_with_status_200_only() {
        let judged = |status| {
            let trailers = [(
                "grpc-status".parse().unwrap(),
                HeaderValue::from_static("0"),
            )];
            judge(&Answer {
                status,
                headers: HeaderMap::new(),
                body: b"\0\0\0\0\x02\x08\x01".to_vec(),
                trailers: trailers.into_iter().collect(),
            })
        };
        assert_eq!(judged(StatusCode::OK), Ok(()));
        let refused = judged(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(
            refused.unwrap_err(),
            "it answered HTTP status 503, expected 200"
        );
    }
}
