//! How long a server may take for the first byte, and how long the whole may take with all its attempts.

use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream;
use tidegate_tests::{
    Blackhole, Connection, Gateway, Origin, PATIENCE, client, eventually, free_address,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::breaks_off::{BreakingOff, read};
use crate::{Counting, End, assert_failure, both_clients, routing};

/// Longer than the short one of two timeouts, and far shorter than the other.
const PAUSE: Duration = Duration::from_millis(900);

#[tokio::test]
async fn the_first_byte_has_a_timeout_of_its_own() {
    let silent = Origin::hanging().await;
    let options = ["timeouts: { first_byte: 300ms, read: 1h }"];
    let gateway = Gateway::start(&routing(&[silent.address()], &options)).await;
    assert_failure(gateway.get("/").await, 504, "upstream_timeout").await;

    // Late, and then without a pause; at once, and then with one.
    for (options, late) in [
        ("timeouts: { first_byte: 1h, read: 300ms }", true),
        ("timeouts: { first_byte: 300ms, read: 1h }", false),
    ] {
        let origin = Origin::start(move |mut connection| async move {
            connection.read_head().await;
            if late {
                tokio::time::sleep(PAUSE).await;
            }
            let head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
            connection.write(head).await;
            if !late {
                tokio::time::sleep(PAUSE).await;
            }
            connection.write(b"ok").await;
            connection.read_until_closed().await;
        })
        .await;
        let gateway = Gateway::start(&routing(&[origin.address()], &[options])).await;
        assert_eq!(gateway.get("/").await.text().await.unwrap(), "ok");
    }
}

/// A server is not late as long as it does not have the whole request.
#[tokio::test]
async fn the_first_byte_is_waited_for_from_the_end_of_the_request() {
    let origin = Counting::start(End::Answer).await;
    let options = ["timeouts: { first_byte: 300ms }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nx";
    client.write_all(head).await.unwrap();
    tokio::time::sleep(PAUSE).await;
    client.write_all(b"y").await.unwrap();
    let mut answer = [0; 12];
    let read = timeout(PATIENCE, client.read_exact(&mut answer)).await;
    read.expect("no hang").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test]
async fn the_whole_request_has_a_deadline() {
    let silent = Origin::hanging().await;
    let options = ["timeouts: { read: 1h, request: 300ms }"];
    let gateway = Gateway::start(&routing(&[silent.address()], &options)).await;
    for (version, client) in both_clients() {
        let answer = client.get(gateway.url("/late")).send().await.unwrap();
        assert_eq!(answer.status(), 504, "{version}");
    }
    assert_failure(gateway.get("/late").await, 504, "request_timeout").await;
    let line = gateway.log_line("/late").await;
    assert_eq!(line["failure"], "request_timeout");
    let requests = &gateway.operator("/upstreams").await[0]["requests"];
    assert_eq!(requests["failures"]["request_timeout"], 3, "{requests}");
    let gone = async || silent.open() == 0;
    eventually("the server is left", PATIENCE, gone).await;
}

#[tokio::test]
async fn a_route_has_a_deadline_of_its_own() {
    let silent = Origin::hanging().await;
    let routing = format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ], timeouts: {{ request: 1h }} }} }}\n\
         routes: {{ all: {{ upstream: api, timeouts: {{ request: 300ms }} }} }}",
        silent.address()
    );
    let gateway = Gateway::start(&routing).await;
    assert_failure(gateway.get("/").await, 504, "request_timeout").await;
}

/// Alone, each would have had the time.
#[tokio::test]
async fn attempts_share_the_deadline() {
    let silent = [Origin::hanging().await, Origin::hanging().await];
    let servers = silent.each_ref().map(Origin::address);
    let options = [
        "timeouts: { first_byte: 1500ms, request: 2500ms }",
        "retry: { when: [ timeout ] }",
    ];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    assert_failure(gateway.get("/").await, 504, "request_timeout").await;
    let line = gateway.log_line("/").await;
    assert_eq!(line["attempts"], 2, "{line}");
}

/// There is nothing to be waited for when the pause would be longer than the time that is left.
#[tokio::test]
async fn a_pause_does_not_outlast_the_deadline() {
    let options = [
        "retry: { attempts: 10, backoff: { first: 10s, max: 10s } }",
        "timeouts: { request: 100ms }",
    ];
    let gateway = Gateway::start(&routing(&[free_address()], &options)).await;
    let answer = timeout(PATIENCE, gateway.get("/")).await.expect("in time");
    assert_failure(answer, 502, "connect_failed").await;
}

/// Were each twice as long as the one before, nobody would wait for the last one.
#[tokio::test]
async fn a_pause_is_as_long_as_the_file_says_at_most() {
    let option = "retry: { attempts: 10, backoff: { first: 1s, max: 1s } }";
    let gateway = Gateway::start(&routing(&[free_address()], &[option])).await;
    let answer = timeout(PATIENCE, gateway.get("/")).await.expect("in time");
    assert_failure(answer, 502, "connect_failed").await;
    assert_eq!(gateway.log_line("/").await["attempts"], 10);
}

#[tokio::test]
async fn the_deadline_holds_while_it_connects() {
    let blackhole = Blackhole::start().await;
    let options = ["timeouts: { connect: 1h, request: 300ms }"];
    let gateway = Gateway::start(&routing(&[blackhole.address], &options)).await;
    assert_failure(gateway.get("/").await, 504, "request_timeout").await;
}

/// The server takes nothing, and Pingora waits for it to.
#[tokio::test]
async fn the_deadline_holds_while_it_writes() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let options = ["timeouts: { write: 1h, read: 1h, request: 500ms }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let body = vec![b'x'; 64 << 20];
    // Whether the client reads the answer while it still sends is up to its kernel.
    let asked = tokio::spawn(client().post(gateway.url("/upload")).body(body).send());
    let line = gateway.log_line("/upload").await;
    assert_eq!(
        (&line["status"], &line["failure"]),
        (&504.into(), &"request_timeout".into())
    );
    asked.abort();
}

#[tokio::test]
async fn an_answer_that_outlasts_the_deadline_breaks_off() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst part";
    let breaking = BreakingOff::start(head, End::Close).await;
    let servers = [breaking.origin.address()];
    let options = ["timeouts: { read: 1h, request: 2s }"];
    let gateway = Gateway::start(&routing(&servers, &options)).await;
    for (version, client) in both_clients() {
        let answer = client.get(gateway.url("/half")).send().await.unwrap();
        let (body, is_whole) = read(answer, || ()).await;
        assert_eq!(
            (body.as_slice(), is_whole),
            (&b"first part"[..], false),
            "{version}"
        );
    }
    let line = gateway.log_line("/half").await;
    assert_eq!(line["failure"], "request_timeout");
    assert_eq!(line["attempts"], 1);
}

/// Never silent, and never done.
async fn endless() -> Origin {
    Origin::start(|mut connection| async move {
        connection.read_head().await;
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
        connection.write(head).await;
        while connection.write(&[b'x'; 10_000]).await {}
    })
    .await
}

#[tokio::test]
async fn an_answer_without_end_has_a_deadline() {
    let origin = endless().await;
    let options = ["timeouts: { request: 2s }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let mut answer = gateway.get("/endless").await;
    assert_eq!(answer.status(), 200);
    let to_the_end = async { while let Ok(Some(_)) = answer.chunk().await {} };
    timeout(PATIENCE, to_the_end).await.expect("an end");
    let line = gateway.log_line("/endless").await;
    assert_eq!(line["failure"], "request_timeout");
}

/// The server would go on, and the client reads nothing.
#[tokio::test]
async fn a_client_that_does_not_take_its_answer_has_a_deadline() {
    let origin = endless().await;
    let options = ["timeouts: { request: 2s }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let head = b"GET /stuck HTTP/1.1\r\nHost: h\r\n\r\n";
    client.write_all(head).await.unwrap();
    let line = gateway.log_line("/stuck").await;
    assert_eq!(line["failure"], "request_timeout");
    let gone = async || origin.open() == 0;
    eventually("the server is left", PATIENCE, gone).await;
    drop(client);
}

#[tokio::test]
async fn a_tunnel_may_last() {
    let origin = Origin::start(|mut connection: Connection| async move {
        connection.read_head().await;
        let head = b"HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        connection.write(head).await;
        tokio::time::sleep(PAUSE).await;
        connection.write(b"late").await;
        connection.read_until_closed().await;
    })
    .await;
    let options = ["timeouts: { read: 300ms, request: 300ms }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let mut client = TcpStream::connect(gateway.address()).await.unwrap();
    let head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    client.write_all(head).await.unwrap();
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\nlate") {
        let piece = timeout(PATIENCE, client.read_buf(&mut read)).await;
        assert_ne!(piece.expect("no hang").unwrap(), 0, "{read:?}");
    }
}

/// A client that is slow to send is told so, as by the listener's own timeout.
#[tokio::test]
async fn a_client_that_does_not_send_its_body_has_a_deadline() {
    let origin = Origin::hanging().await;
    let options = ["timeouts: { request: 300ms }"];
    let gateway = Gateway::start(&routing(&[origin.address()], &options)).await;
    let body = reqwest::Body::wrap_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    let answer = client().post(gateway.url("/")).body(body).send();
    assert_failure(answer.await.unwrap(), 408, "body_timeout").await;
}

/// What filters wait is part of the whole.
#[tokio::test]
async fn the_deadline_holds_while_a_filter_waits() {
    let server = Counting::start(End::Answer).await;
    let gateway = Gateway::start(&format!(
        "upstreams: {{ api: {{ servers: [ \"{}\" ], timeouts: {{ request: 300ms }} }} }}\n\
         routes: {{ all: {{ upstream: api, filters: [ {{ fault: {{ until: 2099-12-01, delay: 1m }} }} ] }} }}\n",
        server.address()
    ))
    .await;
    let answer = timeout(PATIENCE, gateway.get("/")).await;
    assert_failure(answer.expect("an answer in time"), 504, "request_timeout").await;
    assert_eq!(server.requests(), 0);
}

/// The end of a body may come by itself: from there on the first byte is waited for, and not for as long as between two bytes.
#[tokio::test]
async fn the_first_byte_is_waited_for_from_an_end_that_comes_alone() {
    let silent = Origin::hanging().await;
    let options = ["timeouts: { first_byte: 300ms, read: 1h }"];
    let gateway = Gateway::start(&routing(&[silent.address()], &options)).await;
    for (version, client) in both_clients() {
        let body = reqwest::Body::wrap_stream(stream::once(async { Ok::<_, Infallible>("x") }));
        let request = client.put(gateway.url("/")).body(body).send();
        let answer = timeout(PATIENCE, request).await.expect(version).unwrap();
        assert_failure(answer, 504, "upstream_timeout").await;
    }
}

/// Nobody is sent anything again for a client that has left.
#[tokio::test]
async fn a_client_that_leaves_in_a_pause_frees_its_place() {
    let busy = End::Say(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    let servers = [Counting::start(busy).await, Counting::start(busy).await];
    let again = "retry: { statuses: [ 503 ], backoff: { first: 10s, max: 10s } }";
    let addresses = servers.each_ref().map(Counting::address);
    let gateway = Gateway::start(&routing(&addresses, &[again])).await;
    let retries =
        async |key: &str| gateway.operator("/upstreams").await[0]["requests"][key].clone();
    // A pause is of a random length: of some requests one is long.
    let clients: Vec<_> = (0..3)
        .map(|_| tokio::spawn(client().get(gateway.url("/")).send()))
        .collect();
    let waiting = async || retries("retries_under_way").await.as_u64() > Some(0);
    eventually("some wait", PATIENCE, waiting).await;
    clients.iter().for_each(tokio::task::JoinHandle::abort);
    let free = async || retries("under_way").await == 0;
    eventually("nobody is waited for", Duration::from_secs(3), free).await;
}
