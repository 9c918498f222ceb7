//! `discover: http`: a registry that is asked again and again, and its moods.

use std::sync::{Arc, Mutex};

use tidegate_tests::{Connection, Gateway, Load, Origin, PATIENCE, eventually, free_address};

use crate::{answered_by, in_trouble, routing, server, well};

/// What the registry does with a question.
#[derive(Debug, Clone)]
enum Mood {
    /// Answers with this status and body.
    Answers(u16, String),
    /// Answers with this list and a mark, and with 304 to who knows it.
    Marked(String, &'static str),
    /// Takes the question and says nothing.
    Silent,
}

/// Somebody who knows servers.
struct Registry {
    mood: Arc<Mutex<Mood>>,
    heads: Arc<Mutex<Vec<String>>>,
    origin: Option<Origin>,
    address: std::net::SocketAddr,
}

impl Registry {
    async fn start(mood: Mood) -> Self {
        let mut registry = Self {
            mood: Arc::new(Mutex::new(mood)),
            heads: Arc::default(),
            origin: None,
            address: free_address(),
        };
        registry.come_back().await;
        registry
    }

    async fn come_back(&mut self) {
        let (mood, heads) = (Arc::clone(&self.mood), Arc::clone(&self.heads));
        let script = move |connection| answer(connection, Arc::clone(&mood), Arc::clone(&heads));
        self.origin = Some(Origin::start_at(self.address, script).await);
    }

    fn go_away(&mut self) {
        self.origin = None;
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Waits for so many more questions.
    async fn asked(&self, more: usize) {
        let goal = self.heads().len() + more;
        eventually("more questions", PATIENCE, async || {
            self.heads().len() >= goal
        })
        .await;
    }

    fn routing(&self, options: &str) -> String {
        let address = self.address;
        routing(&format!(
            "http: {{ url: \"http://{address}/servers?of=api\"{options} }}"
        ))
    }
}

async fn answer(
    mut connection: Connection,
    mood: Arc<Mutex<Mood>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    while let Some(head) = connection.read_head().await {
        heads.lock().unwrap().push(head.clone());
        let mood = mood.lock().unwrap().clone();
        let (status, body, mark) = match mood {
            Mood::Answers(status, body) => (status, body, ""),
            Mood::Marked(_, mark) if head.contains(mark) => (304, String::new(), mark),
            Mood::Marked(body, mark) => (200, body, mark),
            Mood::Silent => return connection.read_until_closed().await,
        };
        let mark = match mark {
            "" => String::new(),
            mark => format!("ETag: {mark}\r\n"),
        };
        let length = body.len();
        let answer =
            format!("HTTP/1.1 {status} Mood\r\n{mark}Content-Length: {length}\r\n\r\n{body}");
        if !connection.write(answer.as_bytes()).await {
            return;
        }
    }
}

/// A list in JSON.
fn json(servers: &[&Origin]) -> String {
    let servers: Vec<String> = servers
        .iter()
        .map(|one| format!("\"{}\"", one.address()))
        .collect();
    format!("[{}]", servers.join(", "))
}

fn list(servers: &[&Origin]) -> Mood {
    Mood::Answers(200, json(servers))
}

const OFTEN: &str = ", interval: 50ms";

#[tokio::test]
async fn servers_come_and_go_with_the_answer_and_no_request_fails() {
    let (one, two) = (server("one").await, server("two").await);
    let registry = Registry::start(list(&[&one])).await;
    let gateway = Gateway::start(&registry.routing(OFTEN)).await;
    // The start waited for the answer.
    answered_by(&gateway, ["one"]).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(10).await;
    let weighted = format!(
        "[\"{}\", {{\"address\": \"{}\", \"weight\": 3}}]",
        one.address(),
        two.address()
    );
    registry.is(Mood::Answers(200, weighted));
    answered_by(&gateway, ["one", "two"]).await;
    let report = Load::run(&gateway.url("/"), 1, 40).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    registry.is(list(&[&two]));
    answered_by(&gateway, ["two"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn a_registry_in_trouble_keeps_the_servers_and_is_told_since_when() {
    let (one, two) = (server("one").await, server("two").await);
    let mut registry = Registry::start(list(&[&one])).await;
    let routing = registry.routing(", interval: 50ms, timeout: 300ms");
    let gateway = Gateway::start(&routing).await;
    answered_by(&gateway, ["one"]).await;
    registry.is(Mood::Answers(500, String::new()));
    let first = in_trouble(&gateway, "answers 500, not 200").await;
    assert!(
        first["failing_since"].is_string() && first["found"] == 1,
        "{first}"
    );
    // What may be a key is not shown.
    let label = first["source"].as_str().unwrap();
    assert!(label.ends_with("/servers`"), "{label}");
    for (mood, part) in [
        (
            Mood::Answers(200, "<html>".to_owned()),
            "cannot be used: its answer:1:1: ",
        ),
        (Mood::Answers(200, "[]".to_owned()), "names no server"),
        (Mood::Answers(200, " ".repeat(2 << 20)), "larger than 1 MiB"),
        (Mood::Answers(302, String::new()), "answers 302"),
        (Mood::Answers(304, String::new()), "answers 304"),
        (Mood::Silent, "no answer within 300ms"),
    ] {
        registry.is(mood);
        let trouble = in_trouble(&gateway, part).await;
        assert_eq!(trouble["failing_since"], first["failing_since"], "{part}");
        answered_by(&gateway, ["one"]).await;
    }
    registry.go_away();
    in_trouble(&gateway, "connection refused").await;
    gateway
        .reload(&(routing + "timeouts: { read: 7s }\n"))
        .await;
    answered_by(&gateway, ["one"]).await;
    registry.is(list(&[&two]));
    registry.come_back().await;
    answered_by(&gateway, ["two"]).await;
    well(&gateway).await;
}

#[tokio::test]
async fn a_list_that_did_not_change_is_not_sent_again() {
    let (one, two) = (server("one").await, server("two").await);
    let registry = Registry::start(Mood::Marked(json(&[&one]), "\"first\"")).await;
    let options = ", interval: 50ms, headers: { X-Token: open }";
    let gateway = Gateway::start(&registry.routing(options)).await;
    answered_by(&gateway, ["one"]).await;
    registry.asked(2).await;
    let heads = registry.heads();
    assert!(
        heads[0].starts_with("GET /servers?of=api HTTP/1.1\r\n"),
        "{heads:?}"
    );
    let has = |head: &str, line: &str| {
        head.to_ascii_lowercase()
            .contains(&format!("\r\n{line}\r\n"))
    };
    assert!(has(&heads[0], "x-token: open"), "{heads:?}");
    assert!(
        has(&heads[0], &format!("host: {}", registry.address)),
        "{heads:?}"
    );
    assert!(!heads[0].contains("first"), "{heads:?}");
    let last = heads.last().unwrap();
    assert!(has(last, "if-none-match: \"first\""), "{heads:?}");
    well(&gateway).await;
    registry.is(Mood::Marked(json(&[&two]), "\"second\""));
    answered_by(&gateway, ["two"]).await;
}

#[tokio::test]
async fn an_edit_in_the_middle_asks_nobody_anew() {
    let one = server("one").await;
    let mut registry = Registry::start(list(&[&one])).await;
    let routing = registry.routing(", interval: 1h");
    let gateway = Gateway::start(&routing).await;
    answered_by(&gateway, ["one"]).await;
    registry.go_away();
    let balanced = routing.replace("api: { discover", "api: { balance: random, discover");
    gateway.reload(&balanced).await;
    answered_by(&gateway, ["one"]).await;
    assert_eq!(registry.heads().len(), 1);
    well(&gateway).await;
}

/// Nothing is known of how it will answer to other options; of who is there, all that was.
#[tokio::test]
async fn an_edit_of_how_it_is_asked_while_it_is_gone_keeps_the_servers() {
    let (one, two) = (server("one").await, server("two").await);
    let mut registry = Registry::start(list(&[&one])).await;
    let gateway = Gateway::start(&registry.routing(OFTEN)).await;
    answered_by(&gateway, ["one"]).await;
    registry.go_away();
    let first = in_trouble(&gateway, "connection refused").await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(10).await;
    for options in [
        ", interval: 60ms",
        ", interval: 60ms, timeout: 1s",
        ", interval: 60ms, headers: { Authorization: other }",
    ] {
        gateway.reload(&registry.routing(options)).await;
        answered_by(&gateway, ["one"]).await;
        let trouble = in_trouble(&gateway, "connection refused").await;
        assert_eq!(trouble["failing_since"], first["failing_since"]);
    }
    registry.is(list(&[&two]));
    registry.come_back().await;
    answered_by(&gateway, ["two"]).await;
    well(&gateway).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn an_edit_that_asks_somebody_slow_loses_no_request() {
    let (one, two) = (server("one").await, server("two").await);
    let registry = Registry::start(Mood::Silent).await;
    let named = format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\nroutes: {{ all: {{ upstream: api }} }}\n",
        one.address()
    );
    let gateway = Gateway::start(&named).await;
    let load = Load::start(&gateway.url("/"), 2);
    load.more(10).await;
    let asked = registry.routing(", interval: 50ms, timeout: 2s");
    gateway.reload(&asked).await;
    answered_by(&gateway, ["one"]).await;
    // Who could not be asked knows nobody better.
    in_trouble(&gateway, "no answer within 2s").await;
    answered_by(&gateway, ["one"]).await;
    gateway.process.logged("those of before stay").await;
    registry.is(Mood::Answers(200, "[\"nobody.invalid:80\"]".to_owned()));
    well(&gateway).await;
    answered_by(&gateway, ["one"]).await;
    registry.is(list(&[&two]));
    answered_by(&gateway, ["two"]).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}
