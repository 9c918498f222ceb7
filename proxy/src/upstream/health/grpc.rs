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
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::TokioExecutor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::message::{code_name, question, status_name};
use super::Check;
use super::http::{collect, host};
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

fn uri(authority: &Spanned<String>) -> Result<Uri, Vec<Diagnostic>> {
    let wrong = || {
        let message = format!("`{}` cannot be the authority", authority.escape_debug());
        let problem = Diagnostic::error(code::HOST_NAME, message).at(authority.span);
        vec![problem.label("expected a host, with or without a port: `shop.internal`")]
    };
    let parsed: Authority = authority.parse().map_err(|_| wrong())?;
    // Whoever asks does not log in.
    if parsed.as_str().contains('@') {
        return Err(wrong());
    }
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(parsed)
        .path_and_query(PathAndQuery::from_static(METHOD));
    uri.build().map_err(|_| wrong())
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
