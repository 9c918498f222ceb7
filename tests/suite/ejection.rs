//! Who is out for a while because of what became of its requests, and how it comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;
use tidegate_tests::{Connection, Gateway, Load, Origin, PATIENCE, client, eventually};

/// The status that stands for "hangs up instead of an answer".
const HANGS_UP: u16 = 0;
/// The status that stands for "hangs up within the body of its answer".
const BREAKS_OFF: u16 = 1;
/// Of an answer, the beginning.
const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nso far";
/// Begins an answer, and no more of it comes.
const STALLS: u16 = 2;

/// A server that does as it is told, and counts its requests.
struct Server {
    origin: Origin,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    status: AtomicU16,
    /// That of every other answer, if it is another.
    second: AtomicU16,
    requests: AtomicUsize,
    takes: AtomicU64,
}

impl Server {
    async fn start(status: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let script = {
            let shared = Arc::clone(&shared);
            move |connection| serve(connection, Arc::clone(&shared))
        };
        let origin = Origin::start(script).await;
        let server = Self { origin, shared };
        server.answers(status);
        server
    }

    fn answers(&self, status: u16) {
        self.answers_in_turn(status, status);
    }

    fn answers_in_turn(&self, status: u16, second: u16) {
        self.shared.status.store(status, Ordering::SeqCst);
        self.shared.second.store(second, Ordering::SeqCst);
    }

    fn takes(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap();
        self.shared.takes.store(millis, Ordering::SeqCst);
    }

    fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::SeqCst)
    }

    fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

async fn serve(mut connection: Connection, shared: Arc<Shared>) {
    while connection.read_head().await.is_some() {
        let number = shared.requests.fetch_add(1, Ordering::SeqCst);
        let status = match number % 2 {
            0 => &shared.status,
            _ => &shared.second,
        };
        let takes = shared.takes.load(Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(takes)).await;
        let answer = match status.load(Ordering::SeqCst) {
            HANGS_UP => return,
            BREAKS_OFF => {
                connection.write(BEGUN).await;
                return;
            }
            STALLS => {
                connection.write(BEGUN).await;
                return connection.read_until_closed().await;
            }
            status => format!("HTTP/1.1 {status} Status\r\nContent-Length: 0\r\n\r\n"),
        };
        if !connection.write(answer.as_bytes()).await {
            return;
        }
    }
}

async fn servers<const N: usize>(statuses: [u16; N]) -> [Server; N] {
    let mut servers = Vec::new();
    for status in statuses {
        servers.push(Server::start(status).await);
    }
    servers.try_into().ok().expect("as many as were started")
}

/// One upstream that says this, too.
fn routing(servers: &[Server], more: &str) -> String {
    let servers: Vec<String> = servers
        .iter()
        .map(|server| format!("\"{}\"", server.address()))
        .collect();
    format!(
        "upstreams: {{ api: {{ servers: [ {} ], {more} }} }}\nroutes: {{ all: {{ upstream: api }} }}\n",
        servers.join(", ")
    )
}

/// How so many requests are answered, by status.
async fn ask(gateway: &Gateway, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(gateway.get("/").await.status().as_u16());
    }
    statuses
}

fn failures(statuses: &[u16]) -> usize {
    statuses.iter().filter(|status| **status != 200).count()
}

async fn upstream(gateway: &Gateway) -> Value {
    gateway.operator("/upstreams").await[0].clone()
}

/// What `/upstreams` says of those that are out, by address.
async fn ejected(gateway: &Gateway) -> Vec<(String, Value)> {
    let upstream = upstream(gateway).await;
    let servers = upstream["servers"].as_array().unwrap();
    let out = servers.iter().filter(|one| !one["ejected"].is_null());
    let address = |one: &Value| one["address"].as_str().unwrap().to_owned();
    out.map(|one| (address(one), one["ejected"].clone()))
        .collect()
}

/// What is told of servers that were put out or came back.
async fn told(gateway: &Gateway, what: &str) -> Vec<String> {
    let upstream = upstream(gateway).await;
    let events = upstream["events"].as_array().unwrap();
    let own = events.iter().filter(|event| event["what"] == what);
    own.map(|event| event["reason"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// It comes back again and again, and each time a few requests find out that it still fails.
#[tokio::test]
async fn one_of_ten_that_fails_every_request_costs_less_than_one_in_a_thousand() {
    let all = servers([200, 200, 200, 500, 200, 200, 200, 200, 200, 200]).await;
    let gateway = Gateway::start(&routing(&all, "outlier_ejection: { time: 2s }")).await;
    while ejected(&gateway).await.is_empty() {
        ask(&gateway, 10).await;
    }
    let load = Load::start(&gateway.url("/"), 16);
    for _ in 0..4 {
        load.more(2500).await;
    }
    let came_back = async || told(&gateway, "returned").await.len() >= 2;
    eventually("it came back twice", PATIENCE, came_back).await;
    let report = load.stop().await;
    let (all, failed) = (report.total(), report.failures());
    assert!(failed * 1000 < all, "{failed} of {all}: {report:?}");
    let its = report.statuses.get(&500).copied().unwrap_or_default();
    assert_eq!(failed, its, "{report:?}");
}

#[tokio::test]
async fn one_of_ten_that_fails_is_out_after_so_many_failures_and_a_reload_leaves_it_out() {
    let all = servers([200, 200, 200, 500, 200, 200, 200, 200, 200, 200]).await;
    let failing = &all[3];
    let options = "outlier_ejection: { consecutive_failures: 3, time: 10m, max_time: 20m }";
    let file = routing(&all, options);
    let gateway = Gateway::start(&file).await;
    assert_eq!(failures(&ask(&gateway, 50).await), 3);
    assert_eq!(failing.requests(), 3);
    assert_eq!(failures(&ask(&gateway, 100).await), 0);
    let out = ejected(&gateway).await;
    assert_eq!(out.len(), 1);
    let (address, state) = &out[0];
    assert_eq!(*address, failing.address().to_string());
    assert_eq!(state["reason"], "3 failures in a row");
    assert_eq!(state["times"], 1);
    assert!(state["until"].is_string());
    assert_eq!(
        told(&gateway, "ejected").await,
        ["3 failures in a row, out for 10m"]
    );
    assert_eq!(upstream(&gateway).await["requests"]["ejections"], 1);
    let line = gateway.process.logged("server: ejected").await;
    assert!(
        line.contains("WARN") && line.contains("3 failures"),
        "{line}"
    );
    let said = gateway.ask(&["explain", "GET", "/", "--live"]).await;
    let part = "up, ejected (3 failures in a row, out for 10m)";
    assert!(said.out.contains(part), "{}", said.out);
    let ready = gateway.ready().await.body;
    assert!(ready.to_string().contains("3 failures in a row"), "{ready}");

    gateway
        .reload(&format!("{file}timeouts: {{ read: 5s }}\n"))
        .await;
    assert_eq!(failures(&ask(&gateway, 100).await), 0);
    assert_eq!((failing.requests(), ejected(&gateway).await.len()), (3, 1));
    assert_eq!(told(&gateway, "returned").await.len(), 0);
    // Without the option it is asked again.
    failing.answers(200);
    gateway.reload(&routing(&all, "balance: round_robin")).await;
    assert_eq!(ejected(&gateway).await, []);
    assert_eq!(failures(&ask(&gateway, 20).await), 0);
    assert_eq!(failing.requests(), 5);
    // With it that is over.
    gateway.reload(&file).await;
    assert_eq!(failures(&ask(&gateway, 20).await), 0);
    assert_eq!(failing.requests(), 7);
}

#[tokio::test]
async fn it_comes_back_by_itself_and_is_out_for_longer_while_it_still_fails() {
    let all = servers([500, 200]).await;
    let options = "outlier_ejection: { consecutive_failures: 2, time: 1s, max_time: 2s }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    eventually("it is out for longer", PATIENCE, async || {
        ask(&gateway, 2).await;
        let told = told(&gateway, "ejected").await;
        told.contains(&"it came back and still fails, out for 2s".to_owned())
    })
    .await;
    all[0].answers(200);
    let before = all[0].requests();
    eventually("it serves again", PATIENCE, async || {
        assert_eq!(failures(&ask(&gateway, 2).await), 0);
        all[0].requests() > before + 10
    })
    .await;
    assert_eq!(ejected(&gateway).await, []);
    let (out, back) = (
        told(&gateway, "ejected").await,
        told(&gateway, "returned").await,
    );
    assert_eq!(out.len(), back.len());
}

#[tokio::test]
async fn no_more_are_out_than_the_file_allows() {
    let all = servers([500, 500, 500, 200]).await;
    let options = "outlier_ejection: { time: 10m, max_time: 10m, max_ejected: 50% }";
    let file = routing(&all, options);
    let gateway = Gateway::start(&file).await;
    ask(&gateway, 60).await;
    assert_eq!(ejected(&gateway).await.len(), 2);
    assert_eq!(failures(&ask(&gateway, 20).await), 10);
    let requests = upstream(&gateway).await["requests"].clone();
    assert_eq!(requests["ejections"], 2);
    assert!(
        requests["ejections_spared"].as_u64() >= Some(1),
        "{requests}"
    );
    gateway.reload(&file.replace("50%", "75%")).await;
    assert_eq!(failures(&ask(&gateway, 50).await), 1);
    assert_eq!(ejected(&gateway).await.len(), 3);
    // One may always be, whatever the share.
    gateway.reload(&file.replace("50%", "1%")).await;
    assert_eq!(ejected(&gateway).await.len(), 1);
}

#[tokio::test]
async fn where_all_fail_nobody_is_out() {
    let all = servers([503, 503, 503]).await;
    let gateway = Gateway::start(&routing(&all, "outlier_ejection: true")).await;
    assert_eq!(failures(&ask(&gateway, 60).await), 60);
    assert_eq!(ejected(&gateway).await, []);
}

#[tokio::test]
async fn requests_that_are_never_repeated_are_hurt_until_then_only() {
    let all = servers([HANGS_UP, 200, 200]).await;
    let options = "outlier_ejection: { consecutive_failures: 2, time: 10m, max_time: 10m }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    let client = client();
    let mut failed = 0;
    for _ in 0..60 {
        let answer = client.post(gateway.url("/")).send().await.unwrap();
        failed += u32::from(answer.status() == 502);
    }
    assert_eq!(failed, 2);
    assert_eq!(all[0].requests(), 2);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_failure() {
    let all = servers([BREAKS_OFF, 200]).await;
    let options = "outlier_ejection: { consecutive_failures: 3, time: 10m, max_time: 10m }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    let mut whole = 0;
    for _ in 0..40 {
        let answer = gateway.get("/").await;
        whole += u32::from(answer.bytes().await.is_ok());
    }
    assert_eq!(whole, 37);
    assert_eq!(all[0].requests(), 3);
}

#[tokio::test]
async fn what_is_the_clients_fault_puts_nobody_out() {
    let all = servers([200, 200]).await;
    let options = "outlier_ejection: { consecutive_failures: 1 }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    // A method that a server does not know, and clients that do not wait.
    all[0].answers(501);
    assert_eq!(failures(&ask(&gateway, 10).await), 5);
    all[0].answers(200);
    all[0].takes(PATIENCE);
    for number in 0..4 {
        let path = format!("/{number}");
        let impatient = client().get(gateway.url(&path));
        let _ = impatient.timeout(Duration::from_millis(200)).send().await;
        gateway.log_line(&path).await;
    }
    assert_eq!(all[0].requests(), 7);
    assert_eq!(ejected(&gateway).await, []);
}

/// Nothing good is known of an answer whose client did not wait for its end.
#[tokio::test]
async fn a_client_that_leaves_a_stalled_answer_does_not_save_its_server() {
    let all = servers([200, 200]).await;
    let options = "outlier_ejection: { consecutive_failures: 3 }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    all[0].answers_in_turn(500, STALLS);
    for number in 0..10 {
        let path = format!("/{number}");
        let impatient = client().get(gateway.url(&path));
        if let Ok(answer) = impatient.timeout(Duration::from_millis(200)).send().await {
            let _ = answer.bytes().await;
        }
        gateway.log_line(&path).await;
    }
    let out = ejected(&gateway).await;
    assert_eq!(out.len(), 1, "{out:?}");
    assert_eq!(out[0].0, all[0].address().to_string());
}

#[tokio::test]
async fn a_share_of_failures_is_enough() {
    let all = servers([200, 200, 200]).await;
    all[0].answers_in_turn(500, 200);
    let rate = "error_rate: { above: 30%, requests: 10, over: 5m }";
    let options = format!(
        "outlier_ejection: {{ consecutive_failures: 100, time: 10m, max_time: 10m, {rate} }}"
    );
    let gateway = Gateway::start(&routing(&all, &options)).await;
    ask(&gateway, 60).await;
    assert_eq!(all[0].requests(), 10);
    assert_eq!(
        told(&gateway, "ejected").await,
        ["50% of its requests failed, 0% is usual, out for 10m"]
    );
}

#[tokio::test]
async fn a_slow_server_is_out_if_the_others_are_faster() {
    let all = servers([200, 200, 200]).await;
    all[1].takes(Duration::from_millis(400));
    let latency = "latency: { above: 300%, at_least: 100ms, requests: 5, over: 5m }";
    let options = format!("outlier_ejection: {{ time: 10m, max_time: 10m, {latency} }}");
    let file = routing(&all, &options);
    // Not slow by this measure.
    let gateway = Gateway::start(&file.replace("100ms", "1m")).await;
    ask(&gateway, 18).await;
    assert_eq!(ejected(&gateway).await, []);
    gateway.reload(&file).await;
    ask(&gateway, 30).await;
    let out = ejected(&gateway).await;
    let addresses: Vec<&str> = out.iter().map(|(address, _)| address.as_str()).collect();
    assert_eq!(addresses, [all[1].address().to_string()]);
    let reason = out[0].1["reason"].as_str().unwrap();
    assert!(reason.contains("on average"), "{reason}");
    assert!(all[1].requests() <= 8, "{}", all[1].requests());
}

#[tokio::test]
async fn clients_that_a_cookie_keeps_there_move_on() {
    let all = servers([200, 200]).await;
    let options = "balance: { sticky: { cookie: place, secret: 0123456789abcdef } }, \
                   outlier_ejection: { consecutive_failures: 2, time: 10m, max_time: 10m }";
    let gateway = Gateway::start(&routing(&all, options)).await;
    let answer = gateway.get("/").await;
    let cookie = answer.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let place = usize::from(all[0].requests() == 0);
    all[place].answers(500);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let request = client().get(gateway.url("/")).header("cookie", &cookie);
        statuses.push(request.send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [500, 500, 200, 200, 200]);
}
