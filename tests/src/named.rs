//! A proxy whose upstreams answer with their names, for tests about which request goes where.

use crate::gateway::Gateway;
use crate::origin::Origin;
use crate::wire::{Message, Wire};

/// A proxy, and a server for each upstream.
pub struct Named {
    /// The proxy.
    pub gateway: Gateway,
    upstreams: String,
    // They end with it.
    _servers: Vec<Origin>,
}

impl Named {
    /// With these upstreams and this section of routes.
    pub async fn start(names: &[&str], routes: &str) -> Self {
        Self::with(names, routes, async |name| {
            let length = name.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
            Origin::answering(answer.as_bytes()).await
        })
        .await
    }

    /// With this section of routes, and servers that answer with the head of the request that they got.
    pub async fn echoing(routes: &str) -> Self {
        let names = upstreams_of(routes);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let echo = async |_: &str| {
            Origin::start(|mut connection| async move {
                while let Some(head) = connection.read_head().await {
                    let length = head.len();
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n\r\n{head}"
                    );
                    if !connection.write(answer.as_bytes()).await {
                        break;
                    }
                }
            })
            .await
        };
        Self::with(&names, routes, echo).await
    }

    async fn with(names: &[&str], routes: &str, server: impl AsyncFn(&str) -> Origin) -> Self {
        let (mut servers, mut upstreams) = (Vec::new(), "upstreams:\n".to_owned());
        for name in names {
            let server = server(name).await;
            upstreams += &format!("  {name}: {{ servers: [ \"{}\" ] }}\n", server.address());
            servers.push(server);
        }
        Self {
            gateway: Gateway::start(&format!("{upstreams}{routes}")).await,
            upstreams,
            _servers: servers,
        }
    }

    /// With this section of routes, and the upstreams that it names.
    pub async fn of(routes: &str) -> Self {
        let names = upstreams_of(routes);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Self::start(&names, routes).await
    }

    /// Other routes, and the same upstreams.
    pub async fn reload(&self, routes: &str) {
        self.gateway
            .reload(&format!("{}{routes}", self.upstreams))
            .await;
    }

    /// The answer to a request: its line without the version, then fields, with `|` between. The host is that of the target,
    /// or `a.example.com`.
    pub async fn answer(&self, request: &str) -> Message {
        let mut wire = Wire::connect(self.gateway.address()).await;
        wire.send(head(request)).await;
        let method = request.split(' ').next().unwrap_or_default();
        wire.answer_to(method).await.expect("an answer")
    }

    /// The upstream that answers, or the status if it is not 200.
    pub async fn taken(&self, request: &str) -> String {
        let answer = self.answer(request).await;
        match answer.status() {
            200 => answer.text(),
            status => status.to_string(),
        }
    }

    /// All of these.
    pub async fn lead(&self, expected: &[(&str, &str)]) {
        for (request, name) in expected {
            assert_eq!(self.taken(request).await, *name, "{request}");
        }
    }
}

/// A head as it is sent.
fn head(request: &str) -> String {
    let mut parts = request.split('|').map(str::trim);
    let line = parts.next().unwrap_or_default();
    let target = line.rsplit(' ').next().unwrap_or_default();
    let host = target
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next());
    let host = host.unwrap_or("a.example.com");
    let fields: String = parts.map(|field| format!("{field}\r\n")).collect();
    format!("{line} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

/// The examples of a page in `docs/`: each piece of a routing file with the lines that are said about it, if any. The last
/// part of a line, set off by two spaces, says what is answered.
pub fn examples(page: &str) -> Vec<(String, Vec<(String, String)>)> {
    let path = crate::repository().join("docs").join(page);
    let page = std::fs::read_to_string(path).expect("the page");
    let example = |piece: &str| {
        let (routes, rest) = piece.split_once("```").expect("the end of a piece");
        let table = rest.split("```text\n").nth(1).unwrap_or_default();
        let table = table.split("```").next().unwrap_or_default();
        let line = |line: &str| {
            let (request, answer) = line
                .split_once("  ")
                .unwrap_or_else(|| panic!("two spaces before the answer: {line}"));
            (request.to_owned(), answer.trim().to_owned())
        };
        (routes.to_owned(), table.lines().map(line).collect())
    };
    page.split("```yaml\n").skip(1).map(example).collect()
}

/// The upstreams that a section of routes names.
fn upstreams_of(routes: &str) -> Vec<String> {
    let is_end = |c: char| matches!(c, ' ' | '}' | '\n' | ',');
    let single = routes.split("upstream: ").skip(1);
    let single = single.filter_map(|rest| rest.split(is_end).next());
    let splits = routes.split("split: {").skip(1);
    let splits = splits.filter_map(|rest| rest.split('}').next());
    let arms = splits.flat_map(|arms| arms.split(','));
    let arms = arms.filter_map(|arm| arm.split(':').next()).map(str::trim);
    let mut names: Vec<String> = single.chain(arms).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
