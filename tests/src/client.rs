//! The HTTP client of the tests.

/// A client for loopback: it looks at no proxy settings, follows no redirects and keeps its connections.
pub fn client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}
