//! `routes`: which request goes where, whatever the order of the file and the version of HTTP.

use std::net::SocketAddr;

use reqwest::{Client, Version};
use tidegate_tests::{Gateway, Origin};

/// Each route leads to an upstream of its own name.
struct Routes {
    gateway: Gateway,
    _origins: Vec<Origin>,
}

/// Every way to ask.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ask {
    Http1,
    H2c,
}

const BOTH: [Ask; 2] = [Ask::Http1, Ask::H2c];

impl Routes {
    /// Starts a gateway with these routes: a name and its `match`.
    async fn start(routes: &[(&str, &str)]) -> Self {
        let (mut origins, mut upstreams, mut written) = (Vec::new(), String::new(), String::new());
        for (name, matches) in routes {
            let origin = named(name).await;
            upstreams += &format!("  {name}: {{ servers: [ \"{}\" ] }}\n", origin.address());
            written += &format!("  {name}: {{ match: {{ {matches} }}, upstream: {name} }}\n");
            origins.push(origin);
        }
        let gateway = Gateway::start(&format!("upstreams:\n{upstreams}routes:\n{written}")).await;
        Self {
            gateway,
            _origins: origins,
        }
    }

    /// The route that takes a request for this path, or the status if none does. The host goes with the port.
    async fn taken(&self, ask: Ask, host: &str, target: &str) -> String {
        let address = self.gateway.address();
        let url = format!("http://{host}:{}{target}", address.port());
        let answer = client(ask, host, address).get(url).send().await.unwrap();
        let version = match ask {
            Ask::Http1 => Version::HTTP_11,
            Ask::H2c => Version::HTTP_2,
        };
        assert_eq!(answer.version(), version);
        match answer.status().as_u16() {
            200 => answer.text().await.unwrap(),
            status => status.to_string(),
        }
    }

    /// All of these, both ways.
    async fn lead(&self, expected: &[(&str, &str, &str)]) {
        for ask in BOTH {
            for (host, target, route) in expected {
                let taken = self.taken(ask, host, target).await;
                assert_eq!(taken, *route, "{ask:?} {host}{target}");
            }
        }
    }
}

/// Answers with its name.
async fn named(name: &str) -> Origin {
    let length = name.len();
    Origin::answering(
        format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}").as_bytes(),
    )
    .await
}

/// Finds `host` at `address`.
fn client(ask: Ask, host: &str, address: SocketAddr) -> Client {
    let client = Client::builder().no_proxy().resolve(host, address);
    match ask {
        Ask::Http1 => client.http1_only(),
        Ask::H2c => client.http2_prior_knowledge(),
    }
    .build()
    .unwrap()
}

#[tokio::test]
async fn an_exact_host_wins_over_a_wildcard_and_a_wildcard_over_none() {
    let routes = Routes::start(&[
        ("any", "path_prefix: /"),
        ("below", "host: \"*.example.com\", path_prefix: /"),
        ("deeper", "host: \"*.eu.example.com\", path_prefix: /"),
        ("exact", "host: shop.example.com, path_prefix: /"),
        ("both", "host: [ one.example.org, two.example.org ]"),
    ])
    .await;
    routes
        .lead(&[
            ("shop.example.com", "/", "exact"),
            ("blog.example.com", "/", "below"),
            ("a.b.example.com", "/", "below"),
            ("a.eu.example.com", "/", "deeper"),
            ("eu.example.com", "/", "below"),
            // A wildcard stands for what is below the name, not for the name, nor for one that only ends alike.
            ("example.com", "/", "any"),
            ("notexample.com", "/", "any"),
            ("shop.example.com.evil.org", "/", "any"),
            ("one.example.org", "/x", "both"),
            ("two.example.org", "/y", "both"),
            ("three.example.org", "/", "any"),
        ])
        .await;
}

#[tokio::test]
async fn a_more_specific_host_without_a_route_for_the_path_asks_the_next() {
    let routes = Routes::start(&[
        ("any", "path_prefix: /"),
        ("below", "host: \"*.example.com\", path_prefix: /b"),
        ("exact", "host: shop.example.com, path_prefix: /e"),
    ])
    .await;
    routes
        .lead(&[
            ("shop.example.com", "/e", "exact"),
            ("shop.example.com", "/b", "below"),
            ("shop.example.com", "/a", "any"),
        ])
        .await;
}

#[tokio::test]
async fn an_exact_path_wins_over_a_prefix_and_the_longest_prefix_over_shorter_ones() {
    let routes = Routes::start(&[
        ("all", "path_prefix: /"),
        ("a", "path_prefix: /a"),
        ("ab", "path_prefix: /a/b"),
        ("exact", "path: /a/b"),
        ("page", "path: /a/page"),
    ])
    .await;
    routes
        .lead(&[
            ("h", "/a/b", "exact"),
            ("h", "/a/b/", "ab"),
            ("h", "/a/b/c", "ab"),
            ("h", "/a/bc", "a"),
            ("h", "/a", "a"),
            ("h", "/a/page", "page"),
            ("h", "/a/page/", "a"),
            ("h", "/a/page2", "a"),
            ("h", "/", "all"),
            ("h", "/b", "all"),
        ])
        .await;
}

#[tokio::test]
async fn a_look_alike_is_not_the_api() {
    let routes = Routes::start(&[("api", "path_prefix: /api"), ("site", "path_prefix: /")]).await;
    routes
        .lead(&[
            ("h", "/api", "api"),
            ("h", "/api/", "api"),
            ("h", "/api/hello", "api"),
            ("h", "/apiary", "site"),
            ("h", "/api-docs", "site"),
            ("h", "/api.json", "site"),
            ("h", "/API", "site"),
            ("h", "/x/api", "site"),
        ])
        .await;
}

#[tokio::test]
async fn a_slash_at_the_end_of_a_prefix_means_nothing() {
    let routes =
        Routes::start(&[("docs", "path_prefix: /docs/"), ("site", "path_prefix: /")]).await;
    routes
        .lead(&[
            ("h", "/docs", "docs"),
            ("h", "/docs/", "docs"),
            ("h", "/docs/x", "docs"),
            ("h", "/docsx", "site"),
        ])
        .await;
}

#[tokio::test]
async fn the_query_does_not_matter() {
    let routes = Routes::start(&[
        ("api", "path_prefix: /api"),
        ("exact", "path: /exact"),
        ("site", "path_prefix: /"),
    ])
    .await;
    routes
        .lead(&[
            ("h", "/api?x=/exact", "api"),
            ("h", "/exact?x=1", "exact"),
            ("h", "/exact?", "exact"),
            ("h", "/?/api", "site"),
            ("h", "/apiary?a=/api/", "site"),
        ])
        .await;
}

#[tokio::test]
async fn a_host_is_compared_without_port_and_in_lower_case() {
    let routes = Routes::start(&[
        ("exact", "host: Shop.Example.com, path_prefix: /"),
        ("below", "host: \"*.example.org\", path_prefix: /"),
    ])
    .await;
    let url = routes.gateway.url("/");
    let client = client(Ask::Http1, "unused", routes.gateway.address());
    for (host, expected) in [
        ("shop.example.com", "exact"),
        ("shop.example.com:80", "exact"),
        ("SHOP.EXAMPLE.COM", "exact"),
        ("Shop.Example.Com:8080", "exact"),
        ("shop.example.com.", "exact"),
        ("A.EXAMPLE.ORG:1", "below"),
    ] {
        let answer = client.get(&url).header("Host", host).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{host}");
        assert_eq!(answer.text().await.unwrap(), expected, "{host}");
    }
    // In HTTP/2 the host is part of `:authority`.
    let port = routes.gateway.address().port();
    let h2c = self::client(Ask::H2c, "shop.example.com", routes.gateway.address());
    let answer = h2c
        .get(format!("http://SHOP.example.com:{port}/"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "exact");
}

#[tokio::test]
async fn without_a_route_the_answer_is_404_and_says_so() {
    let routes = Routes::start(&[("only", "host: shop.example.com, path_prefix: /shop")]).await;
    routes
        .lead(&[
            ("shop.example.com", "/shop/x", "only"),
            ("shop.example.com", "/", "404"),
            ("shop.example.com", "/shopping", "404"),
            ("example.com", "/shop", "404"),
        ])
        .await;
    let answer = routes.gateway.get("/nowhere").await;
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    let body: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(body["error"]["reason"], "no_route");
    assert_eq!(body["error"]["request_id"], id.as_str());
    let line = routes.gateway.log_line("/nowhere").await;
    assert_eq!(line["status"], 404);
    assert_eq!(line["attempts"], 0);
    assert!(
        line["route"].is_null() && line["server"].is_null(),
        "{line}"
    );
}

#[tokio::test]
async fn the_log_names_the_route_and_its_upstream() {
    let routes = Routes::start(&[("api", "path_prefix: /api"), ("site", "path_prefix: /")]).await;
    routes.gateway.get("/api/x").await;
    let line = routes.gateway.log_line("/api/x").await;
    assert_eq!(line["route"], "api");
    assert_eq!(line["upstream"], "api");
}

/// Whatever the order in which the routes are written.
#[tokio::test]
async fn the_order_of_the_file_does_not_matter() {
    let written = [
        ("all", "path_prefix: /"),
        ("api", "path_prefix: /api"),
        ("v1", "path_prefix: /api/v1"),
        ("hello", "path: /api/v1/hello"),
    ];
    let mut reversed = written;
    reversed.reverse();
    for order in [written, reversed] {
        let routes = Routes::start(&order).await;
        routes
            .lead(&[
                ("h", "/api/v1/hello", "hello"),
                ("h", "/api/v1/x", "v1"),
                ("h", "/api/v2", "api"),
                ("h", "/x", "all"),
            ])
            .await;
    }
}
