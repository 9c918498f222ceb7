//! What happens when a server fails: the request goes elsewhere if that is safe, and the client learns the truth.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, Response};
use serde_json::Value;
use tidegate_tests::{
    Api, Gateway, Load, Origin, PATIENCE, client, eventually, free_address, refusing_address,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, Semaphore};
use tokio::time::timeout;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// "In time" for an answer that has a deadline well below it: the machine may be busy.
const SOON: Duration = Duration::from_secs(5);

/// One upstream with these servers and these further keys.
fn routing(servers: &[SocketAddr], options: &[&str]) -> String {
    let servers: Vec<String> = servers.iter().map(|at| format!("\"{at}\"")).collect();
    let mut routing = format!(
        "routes: {{ all: {{ upstream: api }} }}\nupstreams:\n  api:\n    servers: [ {} ]\n",
        servers.join(", ")
    );
    for option in options {
        routing += &format!("    {option}\n");
    }
    routing
}

/// Asks on HTTP/1 and on HTTP/2.
fn both_clients() -> [(&'static str, Client); 2] {
    let h2c = Client::builder().no_proxy().http2_prior_knowledge();
    [("HTTP/1", client()), ("HTTP/2", h2c.build().unwrap())]
}

/// An origin that counts the requests whose head it has read, and treats each as `end` says.
struct Counting {
    origin: Origin,
    requests: Arc<AtomicUsize>,
}

#[derive(Debug, Clone, Copy)]
enum End {
    Answer,
    Reset,
    Close,
}

impl Counting {
    async fn start(end: End) -> Self {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let origin = Origin::start(move |mut connection| {
            let counted = Arc::clone(&counted);
            async move {
                while let Some(head) = connection.read_head().await {
                    counted.fetch_add(1, Ordering::SeqCst);
                    let length = header(&head, "content-length").and_then(|it| it.parse().ok());
                    let mut body = vec![0; length.unwrap_or(0)];
                    if connection.stream.read_exact(&mut body).await.is_err() {
                        return;
                    }
                    match end {
                        End::Answer => drop(connection.write(OK).await),
                        End::Reset => return connection.reset(),
                        End::Close => return,
                    }
                }
            }
        })
        .await;
        Self { origin, requests }
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    fn address(&self) -> SocketAddr {
        self.origin.address()
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(it, _)| it.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Checks that this is our own answer to a failure, with this status and reason, and that it names no address.
async fn assert_failure(answer: Response, status: u16, reason: &str) {
    assert_eq!(answer.status(), status);
    let headers = format!("{:?}", answer.headers());
    let id = answer.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(answer.headers()["content-type"], "application/json");
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["error"]["reason"], reason, "{text}");
    assert_eq!(body["error"]["status"], status);
    assert_eq!(body["error"]["request_id"], id.as_str());
    assert!(text.len() < 1000, "{text}");
    for part in [&text, &headers] {
        assert!(!part.contains("127.0.0.1"), "{part}");
    }
}

// ---- a server dies ----

#[tokio::test]
async fn a_server_killed_under_load_fails_no_get() {
    let mut apis = [
        Api::start("one").await,
        Api::start("two").await,
        Api::start("three").await,
    ];
    let servers = apis.each_ref().map(Api::address);
    let check = "health_check: { http: { path: /api/health, interval: 100ms, healthy_after: 1 } }";
    let gateway = Gateway::start(&routing(&servers, &[check])).await;
    let url = gateway.url("/api/whoami");
    let load = Load::start(&url, 8);
    for round in 0..3 {
        load.more(100).await;
        apis[round].kill();
        load.more(300).await;
        apis[round].restart().await;
        let name = apis[round].name();
        eventually(&format!("{name} is back"), PATIENCE, async || {
            let report = Load::run(&url, 1, 3).await;
            report.instances.contains_key(name)
        })
        .await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert!(report.total() > 1200);
}

#[tokio::test]
async fn a_refused_connection_is_tried_elsewhere_whatever_the_method() {
    let good = Counting::start(End::Answer).await;
    let servers = [refusing_address(), good.address()];
    let gateway = Gateway::start(&routing(&servers, &[])).await;
    // More than Pingora keeps to send again: nothing of it was read yet when the connection was refused.
    let large = vec![b'x'; 1 << 20];
    for number in 0..10 {
        let get = gateway.get(&format!("/get/{number}")).await;
        assert_eq!(get.status(), 200);
        let url = gateway.url(&format!("/post/{number}"));
        let post = client().post(url).body(large.clone()).send().await.unwrap();
        assert_eq!(post.status(), 200);
    }
    assert_eq!(good.requests(), 20);
    let mut attempts = Vec::new();
    for number in 0..10 {
        for method in ["get", "post"] {
            let line = gateway.log_line(&format!("/{method}/{number}")).await;
            assert_eq!(line["server"], good.address().to_string());
            attempts.push(line["attempts"].as_u64().unwrap());
        }
    }
    assert!(attempts.contains(&2), "{attempts:?}");
    assert!(
        attempts.iter().all(|count| [1, 2].contains(count)),
        "{attempts:?}"
    );
}

#[tokio::test]
async fn a_connection_lost_before_the_first_byte_is_tried_elsewhere_for_a_get() {
    for end in [End::Reset, End::Close] {
        let (bad, good) = (
            Counting::start(end).await,
            Counting::start(End::Answer).await,
        );
        let gateway = Gateway::start(&routing(&[bad.address(), good.address()], &[])).await;
        for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
            for _ in 0..4 {
                let method = method.parse().unwrap();
                let request = client().request(method, gateway.url("/"));
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200, "{end:?}");
            }
        }
        assert_eq!(good.requests(), 20, "{end:?}");
        assert!(bad.requests() > 0, "{end:?}");
    }
}

/// A server that accepts and resets before it reads anything.
#[tokio::test]
async fn a_connection_that_is_reset_at_once_is_tried_elsewhere_for_a_get() {
    let (bad, good) = (
        Origin::resetting().await,
        Counting::start(End::Answer).await,
    );
    let gateway = Gateway::start(&routing(&[bad.address(), good.address()], &[])).await;
    for _ in 0..20 {
        assert_eq!(gateway.get("/").await.status(), 200);
    }
    assert_eq!(good.requests(), 20);
    assert!(bad.accepted() > 0);
}

#[tokio::test]
async fn a_post_that_may_have_been_acted_on_is_not_repeated() {
    for end in [End::Reset, End::Close] {
        let (bad, good) = (
            Counting::start(end).await,
            Counting::start(End::Answer).await,
        );
        let gateway = Gateway::start(&routing(&[bad.address(), good.address()], &[])).await;
        let mut failed = 0;
        for _ in 0..10 {
            let request = client().post(gateway.url("/")).body("order");
            let answer = request.send().await.unwrap();
            if answer.status() != 200 {
                assert_failure(answer, 502, "upstream_closed").await;
                failed += 1;
            }
        }
        assert_eq!(failed, 5, "{end:?}: every second one");
        assert_eq!((bad.requests(), good.requests()), (5, 5), "{end:?}");
    }
}

/// The head and a part of the body have arrived when the connection is lost, and it is our next write that finds out.
#[tokio::test]
async fn a_post_whose_body_was_under_way_is_not_repeated() {
    const POSTS: usize = 20;
    let bad = [
        Counting::start(End::Reset).await,
        Counting::start(End::Reset).await,
    ];
    let servers = bad.each_ref().map(Counting::address);
    let gateway = Gateway::start(&routing(&servers, &[])).await;
    for _ in 0..POSTS {
        let mut client = TcpStream::connect(gateway.address()).await.unwrap();
        client.set_nodelay(true).unwrap();
        let head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        client.write_all(head).await.unwrap();
        // Many small pieces, fewer in all than are kept to be sent again: one of them meets the reset.
        let mut answer = [0; 12];
        for _ in 0..5000 {
            if client.write_all(b"1\r\nx\r\n").await.is_err() {
                break;
            }
        }
        let read = timeout(PATIENCE, client.read_exact(&mut answer)).await;
        read.expect("no hang").unwrap();
        assert_eq!(&answer, b"HTTP/1.1 502");
    }
    assert_eq!(bad[0].requests() + bad[1].requests(), POSTS);
}

#[tokio::test]
async fn a_request_is_sent_as_often_as_the_file_says_and_no_more() {
    for most in 1..=3 {
        let refusing = [(); 4].map(|()| refusing_address());
        let option = format!("retry: {{ attempts: {most} }}");
        let gateway = Gateway::start(&routing(&refusing, &[&option])).await;
        let answer = gateway.get("/refused").await;
        assert_failure(answer, 502, "connect_failed").await;
        let line = gateway.log_line("/refused").await;
        assert_eq!(
            (&line["attempts"], &line["status"]),
            (&most.into(), &502.into())
        );

        let closing = Counting::start(End::Close).await;
        let others = [
            Counting::start(End::Close).await,
            Counting::start(End::Close).await,
        ];
        let servers = [closing.address(), others[0].address(), others[1].address()];
        let gateway = Gateway::start(&routing(&servers, &[&option])).await;
        assert_failure(gateway.get("/closed").await, 502, "upstream_closed").await;
        let seen = closing.requests() + others[0].requests() + others[1].requests();
        assert_eq!(seen, most);
    }
}

#[tokio::test]
async fn a_server_that_failed_a_request_is_not_asked_again_for_it() {
    let bad = Counting::start(End::Close).await;
    let gateway = Gateway::start(&routing(&[bad.address()], &["retry: { attempts: 3 }"])).await;
    assert_failure(gateway.get("/").await, 502, "upstream_closed").await;
    assert_eq!(bad.requests(), 1);
}

/// An answer is an answer, whatever its status.
#[tokio::test]
async fn an_error_that_a_server_answers_is_passed_on_and_not_retried() {
    let teapot = b"HTTP/1.1 503 Tea\r\nContent-Length: 3\r\n\r\ntea";
    let origins = [
        Origin::answering(teapot).await,
        Origin::answering(teapot).await,
    ];
    let servers = origins.each_ref().map(Origin::address);
    let gateway = Gateway::start(&routing(&servers, &[])).await;
    let answer = gateway.get("/tea").await;
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.text().await.unwrap(), "tea");
    let line = gateway.log_line("/tea").await;
    assert_eq!(line["attempts"], 1);
    assert!(line["failure"].is_null(), "{line}");
}

/// Servers that close after each answer without a word: the proxy learns it when it tries to use the connection again.
#[tokio::test]
async fn a_connection_that_went_stale_in_the_pool_fails_no_get() {
    let origin = Origin::start(|mut connection| async move {
        if connection.read_head().await.is_some() {
            connection.write(OK).await;
        }
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    let report = Load::run(&gateway.url("/"), 8, 2000).await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// Every connection in the pool is stale, more of them than the request has attempts: none of them says anything
/// against the server.
#[tokio::test]
async fn a_pool_full_of_stale_connections_fails_no_get() {
    const CONNECTIONS: usize = 8;
    let answered = Arc::new(Notify::new());
    let (told, requests) = (Arc::clone(&answered), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&requests);
    let origin = Origin::start(move |mut connection| {
        let (told, counted) = (Arc::clone(&told), Arc::clone(&counted));
        async move {
            connection.read_head().await;
            counted.fetch_add(1, Ordering::SeqCst);
            if connection.number < CONNECTIONS {
                told.notified().await;
            }
            connection.write(OK).await;
            // The second request on a connection comes too late.
            connection.read_head().await;
        }
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &["retry: { attempts: 2 }"])).await;
    let url = gateway.url("/");
    let load = tokio::spawn(async move { Load::run(&url, CONNECTIONS, 8).await });
    let arrived = async || requests.load(Ordering::SeqCst) == CONNECTIONS;
    eventually("all are at the server at once", PATIENCE, arrived).await;
    answered.notify_waiters();
    assert_eq!(load.await.unwrap().failures(), 0);
    assert_eq!(gateway.get("/late").await.status(), 200);
    let line = gateway.log_line("/late").await;
    assert_eq!(line["attempts"], 2, "the pool was stale: {line}");
}

/// The same, and the servers are gone for good: a connection from the pool is not held against a server that lives.
#[tokio::test]
async fn a_server_that_restarted_fails_no_get_on_its_old_connections() {
    let mut api = Api::start("one").await;
    let gateway = Gateway::start(&routing(&[api.address()], &[])).await;
    let url = gateway.url("/api/whoami");
    for _ in 0..5 {
        let report = Load::run(&url, 16, 64).await;
        assert_eq!(report.failures(), 0, "{report:?}");
        api.restart().await;
    }
    let report = Load::run(&url, 16, 64).await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

// ---- a server breaks off ----

/// Sends the head and the first part of a body, and breaks off when told to.
struct BreakingOff {
    origin: Origin,
    now: Arc<Notify>,
}

impl BreakingOff {
    async fn start(head: &'static str, end: End) -> Self {
        let now = Arc::new(Notify::new());
        let told = Arc::clone(&now);
        let origin = Origin::start(move |mut connection| {
            let told = Arc::clone(&told);
            async move {
                connection.read_head().await;
                connection.write(head.as_bytes()).await;
                told.notified().await;
                if matches!(end, End::Reset) {
                    connection.reset();
                }
            }
        })
        .await;
        Self { origin, now }
    }
}

/// What the client got of the body, and whether it was told that this is all.
async fn read(mut answer: Response, after_first_piece: impl FnOnce()) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    let mut after_first_piece = Some(after_first_piece);
    loop {
        match timeout(PATIENCE, answer.chunk()).await.expect("no hang") {
            Ok(Some(piece)) => body.extend_from_slice(&piece),
            Ok(None) => return (body, true),
            Err(_) => return (body, false),
        }
        if let Some(then) = after_first_piece.take() {
            then();
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_reaches_the_client_as_broken() {
    let length = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst part";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nfirst part\r\n";
    let inside = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nfirst part";
    let to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst part";
    for (head, end) in [
        (length, End::Reset),
        (length, End::Close),
        (chunked, End::Reset),
        (chunked, End::Close),
        (inside, End::Reset),
        (inside, End::Close),
        (to_the_end, End::Reset),
    ] {
        let breaking = BreakingOff::start(head, end).await;
        let gateway = Gateway::start(&routing(&[breaking.origin.address()], &[])).await;
        for (version, client) in both_clients() {
            let answer = client.get(gateway.url("/cut")).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            let (body, is_whole) = read(answer, || breaking.now.notify_one()).await;
            assert_eq!(body, b"first part", "{version} {head:?} {end:?}");
            assert!(!is_whole, "{version} {head:?} {end:?}");
        }
        let line = gateway.log_line("/cut").await;
        assert_eq!(line["failure"], "upstream_closed", "{line}");
        assert_eq!(line["attempts"], 1);
    }
}

/// The counterpart: without a length, an orderly end is the end (RFC 9112, section 6.3).
#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_whole() {
    let to_the_end = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nfirst part";
    let ending = BreakingOff::start(to_the_end, End::Close).await;
    let gateway = Gateway::start(&routing(&[ending.origin.address()], &[])).await;
    for (version, client) in both_clients() {
        let answer = client.get(gateway.url("/")).send().await.unwrap();
        let (body, is_whole) = read(answer, || ending.now.notify_one()).await;
        assert_eq!(
            (body.as_slice(), is_whole),
            (&b"first part"[..], true),
            "{version}"
        );
    }
}

// ---- a server is slow ----

#[tokio::test]
async fn a_silent_server_is_504_in_time() {
    let (silent, other) = (Origin::hanging().await, Origin::hanging().await);
    let servers = [silent.address(), other.address()];
    let gateway = Gateway::start(&routing(&servers, &["timeouts: { read: 300ms }"])).await;
    let asked = Instant::now();
    assert_failure(gateway.get("/silent").await, 504, "upstream_timeout").await;
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < SOON,
        "{took:?}"
    );
    let line = gateway.log_line("/silent").await;
    assert_eq!(
        (&line["status"], &line["attempts"]),
        (&504.into(), &1.into())
    );
    assert_eq!(line["failure"], "upstream_timeout");
    // The connection is given up with it.
    let gone = async || silent.open() + other.open() == 0;
    eventually("the server is left", PATIENCE, gone).await;
}

#[tokio::test]
async fn a_server_that_falls_silent_within_its_answer_is_given_up_in_time() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst part";
    let breaking = BreakingOff::start(head, End::Close).await;
    let servers = [breaking.origin.address()];
    let gateway = Gateway::start(&routing(&servers, &["timeouts: { read: 300ms }"])).await;
    for (version, client) in both_clients() {
        let asked = Instant::now();
        let answer = client.get(gateway.url("/half")).send().await.unwrap();
        let (body, is_whole) = read(answer, || ()).await;
        assert_eq!(
            (body.as_slice(), is_whole),
            (&b"first part"[..], false),
            "{version}"
        );
        assert!(asked.elapsed() < SOON, "{version}");
    }
    let line = gateway.log_line("/half").await;
    assert_eq!(line["failure"], "upstream_timeout");
}

/// A pause that is shorter than the timeout is none, however long the whole takes.
#[tokio::test]
async fn a_server_that_goes_on_in_time_is_not_given_up() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection
            .write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
            .await;
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_millis(150)).await;
            connection.write(b"x").await;
        }
        connection.read_until_closed().await;
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &["timeouts: { read: 1s }"])).await;
    let answer = gateway.get("/").await;
    assert_eq!(answer.text().await.unwrap(), "xxxxxxxxxx");
}

/// A listener whose queue is full: the kernel drops every further SYN, as a host that is gone does.
struct Blackhole {
    address: SocketAddr,
    _socket: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    async fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        let address = free_address();
        socket.bind(address).unwrap();
        let socket = socket.listen(0).unwrap();
        let mut queue = Vec::new();
        // The queue of a backlog of 0 holds one or two, depending on the kernel.
        for _ in 0..16 {
            match timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
                Ok(stream) => queue.push(stream.unwrap()),
                Err(_) => {
                    return Self {
                        address,
                        _socket: socket,
                        _queue: queue,
                    };
                }
            }
        }
        panic!("the queue never fills");
    }
}

#[tokio::test]
async fn a_connection_that_does_not_stand_in_time_is_504() {
    let blackhole = Blackhole::start().await;
    let options = ["timeouts: { connect: 300ms }"];
    let gateway = Gateway::start(&routing(&[blackhole.address], &options)).await;
    let asked = Instant::now();
    assert_failure(gateway.get("/hole").await, 504, "connect_timeout").await;
    let took = asked.elapsed();
    assert!(
        took >= Duration::from_millis(300) && took < SOON,
        "{took:?}"
    );
    assert_eq!(gateway.log_line("/hole").await["status"], 504);

    // With another server beside it, nobody notices but for the time.
    let good = Counting::start(End::Answer).await;
    let servers = [blackhole.address, good.address()];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    for _ in 0..4 {
        let post = client().post(gateway.url("/")).body("order").send();
        assert_eq!(post.await.unwrap().status(), 200);
    }
    assert_eq!(good.requests(), 4);
}

#[tokio::test]
async fn a_server_that_stands_still_is_left_out_until_it_goes_on() {
    let apis = [Api::start("one").await, Api::start("two").await];
    let servers = apis.each_ref().map(Api::address);
    let check = "health_check: { http: { path: /api/health, interval: 100ms, timeout: 300ms, \
                 healthy_after: 1, unhealthy_after: 2 } }";
    let options = [check, "timeouts: { read: 500ms }"];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    let url = gateway.url("/api/whoami");
    let ready = async || gateway.ready().await.body["upstreams"][0]["ready"] == 2;
    eventually("both are up", PATIENCE, ready).await;
    let load = Load::start(&url, 4);
    load.more(20).await;
    apis[0].process.stop();
    let left_out = async || gateway.ready().await.body["upstreams"][0]["ready"] == 1;
    eventually("it is left out", PATIENCE, left_out).await;
    // Those that it had already got end in time, one way or the other: none hangs.
    let report = load.stop().await;
    let known: Vec<&u16> = report.statuses.keys().collect();
    assert!(known == [&200] || known == [&200, &504], "{report:?}");
    assert!(report.errors.is_empty(), "{report:?}");
    let report = Load::run(&url, 4, 200).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    apis[0].process.cont();
    eventually("it is back", PATIENCE, ready).await;
    let report = Load::run(&url, 4, 200).await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances["one"], 100, "{report:?}");
}

// ---- a server talks nonsense ----

#[tokio::test]
async fn an_answer_that_is_not_http_is_502() {
    for garbage in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"HTTP/1.1 banana OK\r\n\r\n",
        b"HTTP/1.1 99 Odd\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: three\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        &[0; 64],
    ] {
        let origin = Origin::answering(garbage).await;
        let options = ["timeouts: { read: 10s }"];
        let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
        let shown = String::from_utf8_lossy(garbage).into_owned();
        let asked = Instant::now();
        let answer = gateway.get("/garbage").await;
        assert_eq!(answer.status(), 502, "{shown:?}");
        assert_failure(answer, 502, "bad_answer").await;
        assert!(asked.elapsed() < SOON, "{shown:?}");
        assert_eq!(gateway.log_line("/garbage").await["failure"], "bad_answer");
    }
}

#[tokio::test]
async fn a_body_that_breaks_its_framing_reaches_the_client_as_broken() {
    let odd = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nbanana\r\nxyz";
    let origin = Origin::answering(odd).await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    for (version, client) in both_clients() {
        // The head may have gone to the client already, or not.
        let answer = client.get(gateway.url("/")).send().await.unwrap();
        if answer.status() == 200 {
            let (body, is_whole) = read(answer, || ()).await;
            assert!(!is_whole, "{version}: {:?}", Bytes::from(body));
        } else {
            assert_failure(answer, 502, "bad_answer").await;
        }
    }
}

// ---- what the client is told ----

#[tokio::test]
async fn a_browser_gets_a_page_and_a_program_gets_json() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    let ask = async |accept: &str| {
        let request = client().get(gateway.url("/")).header("Accept", accept);
        request.send().await.unwrap()
    };
    let page = ask("text/html,application/xhtml+xml,*/*;q=0.8").await;
    assert_eq!(page.status(), 502);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let id = page.headers()["x-request-id"].to_str().unwrap().to_owned();
    let text = page.text().await.unwrap();
    assert!(
        text.contains("502 Bad Gateway") && text.contains(&id),
        "{text}"
    );
    assert!(!text.contains("127.0.0.1") && text.len() < 2000, "{text}");
    for accept in ["*/*", "application/json"] {
        assert_failure(ask(accept).await, 502, "connect_failed").await;
    }
}

#[tokio::test]
async fn a_failure_carries_the_clients_own_id_and_no_body_for_a_head() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    for (version, client) in both_clients() {
        let request = client
            .get(gateway.url("/"))
            .header("X-Request-Id", "mine-1");
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["x-request-id"], "mine-1", "{version}");
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["error"]["request_id"], "mine-1", "{version}");
        let head = client.head(gateway.url("/")).send().await.unwrap();
        assert_eq!(head.status(), 502, "{version}");
        assert!(head.bytes().await.unwrap().is_empty(), "{version}");
    }
}

/// After a failure the client's connection is either told to close or serves the next request.
#[tokio::test]
async fn a_client_can_go_on_after_a_failure() {
    let gateway = Gateway::start(&routing(&[refusing_address()], &[])).await;
    let report = Load::run(&gateway.url("/"), 4, 200).await;
    assert_eq!(report.statuses.get(&502), Some(&200), "{report:?}");
}

// ---- the client leaves ----

/// Waits until nothing is under way at any server.
async fn idle(gateway: &Gateway) {
    eventually("nothing is in flight", PATIENCE, async || {
        gateway.ready().await.body["upstreams"][0]["servers"][0]["in_flight"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_frees_the_server_and_is_logged_as_499() {
    let origin = Origin::hanging().await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    for (version, client) in both_clients() {
        let path = format!("/left/{}", version.len() + usize::from(version == "HTTP/2"));
        let asked = tokio::spawn(client.get(gateway.url(&path)).send());
        let arrived = async || origin.open() == 1;
        eventually("the request is at the server", PATIENCE, arrived).await;
        let in_flight = gateway.ready().await.body["upstreams"][0]["servers"][0].clone();
        assert_eq!(in_flight["in_flight"], 1, "{version}");
        asked.abort();
        drop(client);
        let left = async || origin.open() == 0;
        eventually(&format!("{version}: the server is left"), PATIENCE, left).await;
        idle(&gateway).await;
        let line = gateway.log_line(&path).await;
        assert_eq!(line["status"], 499, "{version} {line}");
        assert_eq!(line["failure"], "client_gone", "{version}");
    }
}

#[tokio::test]
async fn a_client_that_leaves_within_the_answer_frees_the_server() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let piece = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        connection.write(head).await;
        while connection.write(piece.as_bytes()).await {}
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    for (version, client) in both_clients() {
        let mut answer = client.get(gateway.url("/endless")).send().await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
        assert_eq!(origin.open(), 1, "{version}");
        drop(answer);
        drop(client);
        let left = async || origin.open() == 0;
        eventually(&format!("{version}: the server is left"), PATIENCE, left).await;
        idle(&gateway).await;
    }
    let line = gateway.log_line("/endless").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&200.into(), &"client_gone".into())
    );
}

#[tokio::test]
async fn a_client_that_leaves_within_its_request_frees_the_server() {
    let origin = Origin::hanging().await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let part = b"POST /half HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nfirst part";
    client.write_all(part).await.unwrap();
    let arrived = async || origin.open() == 1;
    eventually("the request is at the server", PATIENCE, arrived).await;
    drop(client);
    let left = async || origin.open() == 0;
    eventually("the server is left", PATIENCE, left).await;
    idle(&gateway).await;
    assert_eq!(gateway.log_line("/half").await["status"], 499);
}

/// Clients that leave while they wait for a server do not use up anything: later ones are served.
#[tokio::test]
async fn many_clients_that_leave_are_no_burden() {
    let gate = Arc::new(Semaphore::new(0));
    let closed = Arc::clone(&gate);
    let origin = Origin::start(move |mut connection| {
        let gate = Arc::clone(&closed);
        async move {
            while connection.read_head().await.is_some() {
                tokio::select! {
                    _ = gate.acquire() => drop(connection.write(OK).await),
                    () = connection.read_until_closed() => return,
                }
            }
        }
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    for _ in 0..5 {
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = TcpStream::connect(gateway.address()).await.unwrap();
            let request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n";
            client.write_all(request).await.unwrap();
            clients.push(client);
        }
        let arrived = async || origin.open() >= 20;
        eventually("all are at the server", PATIENCE, arrived).await;
        drop(clients);
        let left = async || origin.open() == 0;
        eventually("all have left it", PATIENCE, left).await;
        idle(&gateway).await;
    }
    gate.close();
    assert_eq!(gateway.get("/").await.status(), 200);
}
