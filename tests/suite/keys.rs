//! No key of the routing file without a test that sees its effect. The keys are read from the sources, so that a new one
//! fails here until it has its test.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tidegate_tests::{
    Gateway, Origin, PATIENCE, Wire, all_to_with, eventually, refusing_address, repository,
};
use tokio::io::AsyncWriteExt;

/// A key, as structure and field, and the suite and test that sees what it does.
const SEEN_BY: [(&str, &str, &str); 62] = [
    (
        "Admin.address",
        "process",
        "before_it_closes_it_says_so_and_still_serves",
    ),
    (
        "ClientTimeouts.body",
        "limits",
        "a_body_that_falls_silent_is_408",
    ),
    (
        "ClientTimeouts.header",
        "limits",
        "a_head_that_trickles_in_is_cut_off_at_the_deadline",
    ),
    (
        "ClientTimeouts.keep_alive",
        "limits",
        "a_connection_without_next_request_is_closed",
    ),
    (
        "ClientTimeouts.write",
        "limits",
        "a_client_that_does_not_take_its_answer_is_let_go",
    ),
    (
        "File.admin",
        "process",
        "a_port_that_is_taken_is_one_clear_line",
    ),
    ("File.limits", "limits", "a_header_above_the_size_is_431"),
    (
        "File.listeners",
        "process",
        "a_port_that_is_taken_is_one_clear_line",
    ),
    (
        "File.retry",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    (
        "File.routes",
        "answers",
        "a_program_gets_json_that_names_the_request",
    ),
    (
        "File.shutdown",
        "process",
        "before_it_closes_it_says_so_and_still_serves",
    ),
    (
        "File.timeouts",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    (
        "File.upstreams",
        "answers",
        "a_program_gets_json_that_names_the_request",
    ),
    (
        "Full.address",
        "balancing",
        "weights_three_and_one_give_three_and_one",
    ),
    (
        "Full.weight",
        "balancing",
        "weights_three_and_one_give_three_and_one",
    ),
    (
        "Limits.body_size",
        "limits",
        "a_body_announced_above_the_limit_is_413_before_a_server_hears_of_it",
    ),
    (
        "Limits.header_count",
        "limits",
        "more_header_fields_than_allowed_are_431",
    ),
    (
        "Limits.header_size",
        "limits",
        "a_header_above_the_size_is_431",
    ),
    (
        "Listener.address",
        "process",
        "a_port_that_is_taken_is_one_clear_line",
    ),
    (
        "Listener.max_connections",
        "limits",
        "a_connection_above_the_number_waits_and_is_served",
    ),
    (
        "Listener.protocols",
        "limits",
        "a_protocol_that_is_not_listed_is_not_spoken",
    ),
    (
        "Listener.timeouts",
        "limits",
        "a_body_that_falls_silent_is_408",
    ),
    (
        "Match.any",
        "matching",
        "not_turns_a_condition_around_and_any_opens_alternatives",
    ),
    ("Match.client", "matching", "the_clients_network_decides"),
    ("Match.cookie", "matching", "a_cookie_decides"),
    (
        "Match.header",
        "matching",
        "a_header_decides_by_value_beginning_expression_and_presence",
    ),
    (
        "Match.host",
        "routes",
        "an_exact_host_wins_over_a_wildcard_and_a_wildcard_over_none",
    ),
    (
        "Match.path",
        "routes",
        "an_exact_path_wins_over_a_prefix_and_the_longest_prefix_over_shorter_ones",
    ),
    ("Match.method", "matching", "a_method_decides"),
    (
        "Match.not",
        "matching",
        "not_turns_a_condition_around_and_any_opens_alternatives",
    ),
    ("Match.path_prefix", "routes", "a_look_alike_is_not_the_api"),
    (
        "Match.path_regex",
        "matching",
        "an_expression_is_for_the_whole_path",
    ),
    (
        "Match.query",
        "matching",
        "a_parameter_of_the_query_decides_once_it_is_decoded",
    ),
    (
        "Route.priority",
        "matching",
        "a_priority_goes_before_what_is_more_specific",
    ),
    (
        "Retry.attempts",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    ("Route.match", "routes", "a_look_alike_is_not_the_api"),
    (
        "Route.upstream",
        "answers",
        "a_program_gets_json_that_names_the_request",
    ),
    (
        "Shutdown.delay",
        "process",
        "before_it_closes_it_says_so_and_still_serves",
    ),
    (
        "Shutdown.timeout",
        "process",
        "a_websocket_is_waited_for_as_long_as_allowed",
    ),
    (
        "Timeouts.connect",
        "failure",
        "a_connection_that_does_not_stand_in_time_is_504",
    ),
    (
        "Timeouts.idle",
        "keys",
        "an_unused_connection_to_a_server_is_closed",
    ),
    (
        "Timeouts.read",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    (
        "Timeouts.tunnel",
        "forwarding",
        "a_websocket_may_be_silent_for_longer_than_an_answer_or_a_body",
    ),
    (
        "Timeouts.write",
        "keys",
        "a_server_that_does_not_take_the_request_is_given_up",
    ),
    (
        "Upstream.balance",
        "balancing",
        "equal_servers_answer_exactly_half_each",
    ),
    (
        "Upstream.dns_refresh",
        "names",
        "a_long_ttl_is_bounded_by_dns_refresh",
    ),
    (
        "Upstream.health_check",
        "health",
        "a_server_that_was_killed_is_used_again_when_it_returns",
    ),
    (
        "Upstream.retry",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    (
        "Upstream.servers",
        "balancing",
        "equal_servers_answer_exactly_half_each",
    ),
    (
        "Upstream.timeouts",
        "keys",
        "an_upstream_says_otherwise_than_the_file",
    ),
    (
        "http.healthy_after",
        "health",
        "a_server_is_used_again_after_as_many_good_answers_in_a_row_as_the_file_says",
    ),
    (
        "http.host",
        "health",
        "a_probe_asks_for_the_path_and_the_host_of_the_file",
    ),
    ("http.interval", "health", "probes_keep_their_pace"),
    (
        "http.path",
        "health",
        "a_probe_asks_for_the_path_and_the_host_of_the_file",
    ),
    (
        "http.statuses",
        "health",
        "only_the_expected_statuses_count_as_well",
    ),
    (
        "http.timeout",
        "health",
        "a_probe_that_takes_too_long_is_a_bad_answer",
    ),
    (
        "http.unhealthy_after",
        "health",
        "a_server_is_left_out_after_as_many_bad_answers_in_a_row_as_the_file_says",
    ),
    (
        "tcp.healthy_after",
        "health",
        "a_tcp_check_needs_a_connection_and_no_answer",
    ),
    (
        "tcp.interval",
        "health",
        "a_tcp_check_needs_a_connection_and_no_answer",
    ),
    (
        "tcp.timeout",
        "health",
        "a_tcp_check_needs_a_connection_and_no_answer",
    ),
    (
        "tcp.unhealthy_after",
        "health",
        "a_tcp_check_needs_a_connection_and_no_answer",
    ),
    (
        "round_robin",
        "balancing",
        "equal_servers_answer_exactly_half_each",
    ),
];

/// The fields of every structure in the text that is decoded from the file, as `Structure.field`. Those of a component
/// are called after its file, which is its name.
fn keys_in(text: &str, component: Option<&str>) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    let (mut decoded, mut structure, mut renamed) = (false, None, None);
    for line in text.lines() {
        if line.starts_with("#[derive(") {
            decoded = line.contains("Deserialize");
        } else if let Some(name) = declared(line).filter(|_| decoded) {
            structure = Some(component.unwrap_or(name).to_owned());
        } else if line == "}" {
            (structure, decoded) = (None, false);
        } else if let Some(name) = line.trim().strip_prefix("#[serde(rename = \"") {
            renamed = name.split('"').next().map(str::to_owned);
        } else if let (Some(structure), Some(field)) = (&structure, field(line)) {
            keys.insert(format!(
                "{structure}.{}",
                renamed.take().unwrap_or(field.to_owned())
            ));
        }
    }
    keys
}

/// The name of the structure that the line begins.
fn declared(line: &str) -> Option<&str> {
    let name = line.trim_start_matches("pub ").strip_prefix("struct ")?;
    name.strip_suffix(" {")
}

fn field(line: &str) -> Option<&str> {
    let line = line.strip_prefix("    ")?;
    let (name, _) = line
        .trim_start_matches("pub ")
        .trim_start_matches("pub(super) ")
        .split_once(": ")?;
    let is_name = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some(name)
}

fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (folder, of_components) in [
        ("config", false),
        ("upstream/health", true),
        ("upstream/balance", true),
    ] {
        let folder = repository().join("proxy/src").join(folder);
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let Ok(text) = std::fs::read_to_string(&path) else {
                continue;
            };
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
            if of_components && text.contains("name: \"") {
                let named = keys_in(&text, Some(stem));
                if named.is_empty() {
                    keys.insert(stem.to_owned());
                }
                keys.extend(named);
            } else if !of_components {
                keys.extend(keys_in(&text, None));
            }
        }
    }
    keys
}

#[test]
fn every_key_has_a_test_that_sees_its_effect() {
    let listed: BTreeSet<String> = SEEN_BY.iter().map(|(key, ..)| (*key).to_owned()).collect();
    let keys = keys();
    let untested: Vec<_> = keys.difference(&listed).collect();
    assert!(
        untested.is_empty(),
        "write a test for {untested:?} and name it here"
    );
    let gone: Vec<_> = listed.difference(&keys).collect();
    assert!(gone.is_empty(), "{gone:?} are no keys any more");
}

#[test]
fn every_test_that_is_named_here_exists() {
    let mut missing = Vec::new();
    for (key, suite, test) in SEEN_BY {
        let text = text_of(suite);
        if !text.contains(&format!("fn {test}()")) {
            missing.push(format!("{key}: {suite}::{test}"));
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A suite is a file, or a folder of them.
fn text_of(suite: &str) -> String {
    let place = repository().join("tests/suite").join(suite);
    let mut text = std::fs::read_to_string(place.with_extension("rs")).unwrap_or_default();
    for entry in std::fs::read_dir(place).into_iter().flatten() {
        text += &std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default();
    }
    text
}

/// The reader of the sources sees what it should.
#[test]
fn keys_are_found_in_sources() {
    let text = "#[derive(Debug, Deserialize)]\n#[serde(deny_unknown_fields)]\npub struct One {\n    /// Words: here.\n    pub first: u8,\n    \
                #[serde(rename = \"match\")]\n    pub matches: u8,\n}\n#[derive(Debug)]\npub struct Two {\n    pub other: u8,\n}\n";
    let found: Vec<String> = keys_in(text, None).into_iter().collect();
    assert_eq!(found, ["One.first", "One.match"]);
    assert_eq!(keys_in(text, Some("c")).len(), 2);
}

#[tokio::test]
async fn an_upstream_says_otherwise_than_the_file() {
    let silent = Origin::hanging().await;
    let servers: Vec<String> = (0..5)
        .map(|_| format!("\"{}\"", refusing_address()))
        .collect();
    let servers = servers.join(", ");
    let gateway = Gateway::start(&format!(
        r#"
timeouts: {{ read: 300ms }}
retry: {{ attempts: 2 }}
upstreams:
  short: {{ servers: [ "{0}" ] }}
  long: {{ servers: [ "{0}" ], timeouts: {{ read: 1500ms }} }}
  twice: {{ servers: [ {servers} ] }}
  often: {{ servers: [ {servers} ], retry: {{ attempts: 4 }} }}
routes:
  short: {{ match: {{ path_prefix: /short }}, upstream: short }}
  long: {{ match: {{ path_prefix: /long }}, upstream: long }}
  twice: {{ match: {{ path_prefix: /twice }}, upstream: twice }}
  often: {{ match: {{ path_prefix: /often }}, upstream: often }}
"#,
        silent.address()
    ))
    .await;
    for (path, at_least, below) in [("/short", 290, 1400), ("/long", 1490, 6000)] {
        let since = Instant::now();
        assert_eq!(gateway.get(path).await.status(), 504);
        let took = since.elapsed().as_millis();
        assert!((at_least..below).contains(&took), "{path}: {took} ms");
    }
    for (path, attempts) in [("/twice", 2), ("/often", 4)] {
        assert_eq!(gateway.get(path).await.status(), 502);
        assert_eq!(gateway.log_line(path).await["attempts"], attempts);
    }
}

#[tokio::test]
async fn an_unused_connection_to_a_server_is_closed() {
    let origin = Origin::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let gateway = Gateway::start(&all_to_with(&[origin.address()], "timeouts: { idle: 1s }")).await;
    assert_eq!(gateway.get("/").await.status(), 200);
    let since = Instant::now();
    assert_eq!(origin.open(), 1);
    eventually("it is closed", PATIENCE, async || origin.open() == 0).await;
    let took = since.elapsed();
    assert!((800..5000).contains(&took.as_millis()), "{took:?}");
}

/// Once a piece was not taken in time, the server has the time of an answer to say why; then it is over. Were the piece
/// waited for, nothing would end it.
#[tokio::test]
async fn a_server_that_does_not_take_the_request_is_given_up() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = Gateway::start(&all_to_with(
        &[origin.address()],
        "timeouts: { write: 500ms, read: 1s }",
    ))
    .await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send("POST /stuck HTTP/1.1\r\nHost: h\r\nContent-Length: 4294967296\r\n\r\n")
        .await;
    let piece = vec![b'x'; 64 * 1024];
    let sending = async { while let Ok(1..) = wire.stream.write(&piece).await {} };
    let ended = tokio::time::timeout(Duration::from_secs(15), sending).await;
    ended.expect("the request is given up");
    let line = gateway.log_line("/stuck").await;
    assert_eq!(line["failure"], "upstream_timeout", "{line}");
}
