//! The running instance, for commands that ask it something: its operator's side, at the address that the command line
//! names, or else the file.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde::de::DeserializeOwned;
use tidegate_service::probe::reachable;

use super::FileOption;
use crate::config;

/// An edit waits for the first probes of new servers, and for the one before it.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(super) struct InstanceOptions {
    #[command(flatten)]
    pub(super) file: FileOption,
    /// Where the instance's operator's side is [default: what the file says]
    #[arg(long, value_name = "ADDRESS", env = "TIDEGATE_ADMIN")]
    pub(super) admin: Option<SocketAddr>,
}

impl InstanceOptions {
    /// Where to ask.
    pub(super) fn address(&self) -> Result<SocketAddr, String> {
        self.admin.map_or_else(|| address_in(&self.file.config), Ok)
    }

    /// Who to ask.
    pub(super) fn instance(&self) -> Result<Instance, String> {
        Ok(Instance {
            address: reachable(self.address()?),
        })
    }
}

fn address_in(path: &Path) -> Result<SocketAddr, String> {
    let hint = "where the instance is can be said by `--admin ADDRESS`";
    let admin = config::admin_of(path).map_err(|findings| format!("{findings}{hint}"))?;
    let admin = admin.ok_or_else(|| {
        let file = path.display();
        format!("{file} has no `admin: {{ address: ... }}`: there is nobody to ask; {hint}")
    })?;
    Ok(admin.address.value)
}

/// An instance that runs.
pub(super) struct Instance {
    address: SocketAddr,
}

/// What it said.
pub(super) struct Said {
    pub(super) status: StatusCode,
    body: Bytes,
}

impl Said {
    /// What it said, as this.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        let text = || String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body)
            .map_err(|error| format!("the instance said `{}`: {error}", text().trim()))
    }
}

impl Instance {
    pub(super) fn get(&self, path: &str) -> Result<Said, String> {
        self.ask(Method::GET, path, "application/json", Bytes::new())
    }

    pub(super) fn post(
        &self,
        path: &str,
        kind: &str,
        body: impl Into<Bytes>,
    ) -> Result<Said, String> {
        self.ask(Method::POST, path, kind, body.into())
    }

    fn ask(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<Said, String> {
        let address = self.address;
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{address}{path}"))
            .header(HOST, address.to_string())
            .header(CONTENT_TYPE, kind)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let asking = async {
            let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
            let answer = client
                .request(request)
                .await
                .map_err(|error| cause(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await;
            let body = body.map_err(|error| cause(&error))?.to_bytes();
            Ok(Said { status, body })
        };
        let runtime = super::runtime().map_err(|error| error.to_string())?;
        let answered = runtime.block_on(async { tokio::time::timeout(PATIENCE, asking).await });
        let answered = answered.unwrap_or_else(|_| Err(format!("silent for {PATIENCE:?}")));
        answered.map_err(|why| format!("no answer from {address}: {why}"))
    }
}

/// The innermost reason: `connection refused` says more than `client error`.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
