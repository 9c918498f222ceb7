//! The HTTP clients of the tests.

use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder};

/// Silence for longer than this is an error: a test of a proxy that hangs must fail, not hang.
const SILENCE: Duration = Duration::from_secs(30);

/// A client for loopback: it looks at no proxy settings, follows no redirects and keeps its connections.
pub fn client() -> Client {
    builder().build().unwrap()
}

/// The same over HTTP/2 without TLS.
pub fn h2c_client() -> Client {
    builder().http2_prior_knowledge().build().unwrap()
}

fn builder() -> ClientBuilder {
    Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .read_timeout(SILENCE)
}
