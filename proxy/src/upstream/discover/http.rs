//! `discover: http`: a URL that returns a list of servers, asked again and again.
//!
//! ```yaml
//! discover:
//!   http:
//!     url: "http://registry:8500/servers"
//!     interval: 5s
//!     timeout: 2s
//!     headers: { Accept: application/json }
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::{AUTHORIZATION, COOKIE, ETAG, HOST, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::followed::Feed;
use super::names::resolver::Resolver;
use super::service::reach::first_of;
use super::service::url;
use super::{Source, list};
use crate::component::{Kind, Options};
use crate::config::schema::places;
use crate::config::schema::quantities::{AtLeast, SomeTime};
use crate::config::{self, Diagnostic, FieldName, Named, Spanned, code};
use crate::upstream::ServerSpec;
use crate::upstream::ask::{Answer, Progress, answer, broken, connect, fields, with_jitter};

pub(super) const KIND: Kind<Arc<dyn Source>> =
    Kind::new::<Http>("http", "a URL that returns a list", build);

/// Below it (in milliseconds), questions are a load of their own.
const INTERVAL_FLOOR: u64 = 50;

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Http {
    /// Who is asked. The answer is a list in JSON or YAML, as `servers` has it.
    #[schemars(with = "places::HttpUrl")]
    url: Spanned<String>,
    /// From one question to the next, give or take a tenth. Default: `5s`.
    #[serde(default = "interval")]
    #[schemars(with = "AtLeast<INTERVAL_FLOOR>")]
    interval: Spanned<config::Duration>,
    /// For the whole answer, the connection included. Default: `2s`.
    #[serde(default = "patience")]
    #[schemars(with = "SomeTime")]
    timeout: Spanned<config::Duration>,
    /// Further fields of the question.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    headers: Named<Spanned<String>, FieldName>,
}

fn interval() -> Spanned<config::Duration> {
    config::Duration::from_millis(5000).into()
}

fn patience() -> Spanned<config::Duration> {
    config::Duration::from_millis(2000).into()
}

fn build(options: &Options) -> Result<Arc<dyn Source>, Vec<Diagnostic>> {
    let written: Http = options.decode()?;
    let mut wrong = Vec::new();
    let mut bound = |key: &str, span: Spanned<config::Duration>, least: u64| {
        let least = config::Duration::from_millis(least);
        if span.value < least {
            let message = format!("`{key}` is `{}`", span.value);
            let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message).at(span.span);
            wrong.push(problem.label(format!("expected at least `{least}`")));
        }
    };
    bound("interval", written.interval, INTERVAL_FLOOR);
    bound("timeout", written.timeout, 1);
    let url = url::plain(&written.url).map_err(|problem| wrong.push(*problem));
    let headers = fields(None, &written.headers).map_err(|problems| wrong.extend(problems));
    match (url, headers) {
        (Ok(url), Ok(mut headers)) if wrong.is_empty() => {
            headers.insert(HOST, url.host_field);
            Ok(Arc::new(Registry {
                host: url.host,
                port: url.port,
                target: url.target,
                headers,
                interval: written.interval.get(),
                timeout: written.timeout.get(),
            }))
        }
        _ => Err(wrong),
    }
}

/// Who is asked, and how.
#[derive(Debug, Clone)]
struct Registry {
    host: config::Host,
    port: u16,
    target: Uri,
    headers: HeaderMap,
    interval: Duration,
    timeout: Duration,
}

/// What a good answer says.
enum Told {
    /// These are all, and this is the mark of the list.
    Servers(Vec<ServerSpec>, Option<HeaderValue>),
    /// What it said before.
    Same,
}

impl Registry {
    /// Asks once.
    async fn ask(&self, resolver: &Resolver, known: Option<&HeaderValue>) -> Result<Told, String> {
        let progress = Progress::default();
        let asking = self.exchange(resolver, known, &progress);
        let answer = timeout(self.timeout, asking).await.unwrap_or_else(|_| {
            let bound = config::Duration::from(self.timeout);
            Err(format!("{} within {bound}", progress.missing()))
        });
        let answer = answer.map_err(|why| format!("cannot be asked: {why}"))?;
        judge(answer, known.is_some())
    }

    async fn exchange(
        &self,
        resolver: &Resolver,
        known: Option<&HeaderValue>,
        progress: &Progress,
    ) -> Result<Answer, String> {
        let stream = self.connect(resolver, progress).await?;
        let spoken = http1::handshake(stream).await;
        let (mut sender, connection) = spoken.map_err(|error| broken(&error, progress))?;
        let answering = sender.send_request(self.request(known));
        answer(connection, answering, progress, list::BYTES_MAX + 1).await
    }

    /// To the first of its addresses that takes it.
    async fn connect(
        &self,
        resolver: &Resolver,
        progress: &Progress,
    ) -> Result<TokioIo<TcpStream>, String> {
        let begun = Instant::now();
        let addresses: Vec<IpAddr> = match &self.host {
            config::Host::Ip(ip) => vec![*ip],
            config::Host::Name(name) => {
                let found = resolver.look_up(name).await;
                let found = found.map_err(|why| format!("`{name}` does not resolve: {why}"))?;
                found.addresses
            }
        };
        let at = |ip| SocketAddr::new(ip, self.port);
        let addresses: Vec<SocketAddr> = addresses.into_iter().map(at).collect();
        let left = self.timeout.saturating_sub(begun.elapsed());
        first_of(&addresses, left, |address| connect(address, progress)).await
    }

    fn request(&self, known: Option<&HeaderValue>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.target.clone();
        *request.headers_mut() = self.headers.clone();
        if let Some(mark) = known {
            request.headers_mut().insert(IF_NONE_MATCH, mark.clone());
        }
        request
    }
}

fn judge(answer: Answer, has_mark: bool) -> Result<Told, String> {
    match answer.status {
        StatusCode::OK if answer.body.len() > list::BYTES_MAX => {
            Err("cannot be used: its answer is larger than 1 MiB".to_owned())
        }
        StatusCode::OK => {
            let mut servers = list::read("its answer", &answer.body)?;
            // Another order is no change.
            servers.sort_by_cached_key(ToString::to_string);
            Ok(Told::Servers(servers, answer.headers.get(ETAG).cloned()))
        }
        StatusCode::NOT_MODIFIED if has_mark => Ok(Told::Same),
        other => Err(format!("answers {}, not 200", other.as_u16())),
    }
}

impl Source for Registry {
    fn identity(&self) -> String {
        format!(
            "{} {self:?} {:?}",
            KIND.name,
            self.headers
                .values()
                .map(HeaderValue::as_bytes)
                .collect::<Vec<_>>()
        )
    }

    /// All but what shows who asks.
    fn asks(&self) -> String {
        let Self {
            host, port, target, ..
        } = self;
        let fields = self.headers.iter();
        let fields = fields.filter(|(name, _)| ![AUTHORIZATION, COOKIE].contains(name));
        let fields: Vec<_> = fields
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        format!("{} {host} {port} {target} {fields:?}", KIND.name)
    }

    /// Without the query: it may hold a key.
    fn label(&self) -> String {
        let address = config::ServerAddress {
            host: self.host.clone(),
            port: self.port,
        };
        format!("http `http://{address}{}`", self.target.path())
    }

    fn follow(&self, resolver: Arc<Resolver>, feed: Feed<ServerSpec>) -> BoxFuture<'static, ()> {
        let registry = self.clone();
        async move {
            let mut last: Option<(HeaderValue, Vec<ServerSpec>)> = None;
            loop {
                let known = last.as_ref().map(|(mark, _)| mark);
                match registry.ask(&resolver, known).await {
                    Ok(Told::Servers(servers, mark)) => {
                        last = mark.map(|mark| (mark, servers.clone()));
                        feed.servers(servers, None);
                    }
                    Ok(Told::Same) => {
                        if let Some((_, servers)) = &last {
                            feed.servers(servers.clone(), None);
                        }
                    }
                    Err(why) => feed.failed(why),
                }
                sleep(with_jitter(registry.interval)).await;
            }
        }
        .boxed()
    }
}
