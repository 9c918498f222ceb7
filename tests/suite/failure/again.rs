//! What is sent again after which failure, and what the client sees when nothing more is.

use std::sync::Mutex;

use futures_util::{FutureExt, StreamExt};
use reqwest::{Body, Method, Response};
use tidegate_tests::{Gateway, Origin, PATIENCE, client, eventually, free_address};
use tokio::io::AsyncReadExt;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::{Counting, End, OK, assert_failure, routing};

const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy";

/// Asks with a small body, and with a key if there is one.
async fn ask(gateway: &Gateway, method: &Method, key: Option<&str>) -> Response {
    let request = client().request(method.clone(), gateway.url("/"));
    let request = match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    };
    request.body("order").send().await.unwrap()
}

/// How many of ten requests to two servers, of which one fails each, are answered by the other one.
async fn saved(end: End, options: &[&str], method: &Method, key: Option<&str>) -> usize {
    let (bad, good) = (
        Counting::start(end).await,
        Counting::start(End::Answer).await,
    );
    let gateway = Gateway::start(&routing(&[bad.address(), good.address()], options)).await;
    let mut saved = 0;
    for _ in 0..10 {
        saved += usize::from(ask(&gateway, method, key).await.status() == 200);
    }
    assert_eq!(good.requests(), saved);
    saved
}

#[tokio::test]
async fn a_status_of_the_list_is_tried_elsewhere_if_the_request_may_be_repeated() {
    let listed = "retry: { statuses: [ 500, 503 ] }";
    let without = "retry: { statuses: [ 503 ], idempotency_key: false }";
    let busy = End::Say(BUSY);
    let (get, post) = (Method::GET, Method::POST);
    for (options, method, key, expected) in [
        (listed, &get, None, 10),
        (listed, &Method::PUT, None, 10),
        (listed, &post, None, 5),
        (listed, &post, Some("k-1"), 10),
        (listed, &Method::PATCH, Some("k-1"), 10),
        (listed, &post, Some(" "), 5),
        (without, &post, Some("k-1"), 5),
        ("retry: { statuses: [ 502 ] }", &get, None, 5),
        ("retry: { statuses: [ 503 ], attempts: 1 }", &get, None, 5),
    ] {
        let found = saved(busy, &[options], method, key).await;
        assert_eq!(found, expected, "{options} {method} {key:?}");
    }
}

#[tokio::test]
async fn what_a_server_may_have_acted_on_is_repeated_with_a_key() {
    let post = Method::POST;
    assert_eq!(saved(End::Close, &[], &post, Some("k-1")).await, 10);
    assert_eq!(saved(End::Reset, &[], &post, Some("k-1")).await, 10);
    assert_eq!(saved(End::Close, &[], &post, None).await, 5);
    let careful = "retry: { when: [ not_sent, refused ] }";
    assert_eq!(saved(End::Close, &[careful], &post, Some("k-1")).await, 5);
    assert_eq!(saved(End::Close, &[careful], &Method::GET, None).await, 5);
}

/// All say the same: the client gets the last answer as it came, not one of ours.
#[tokio::test]
async fn the_last_answer_is_passed_on() {
    let servers = [
        Counting::start(End::Say(BUSY)).await,
        Counting::start(End::Say(BUSY)).await,
    ];
    let addresses = servers.each_ref().map(Counting::address);
    let option = "retry: { statuses: [ 503 ], attempts: 5 }";
    let gateway = Gateway::start(&routing(&addresses, &[option])).await;
    let put = client().put(gateway.url("/busy")).body("x".repeat(10_000));
    let answer = put.send().await.unwrap();
    assert_eq!(answer.status(), 503);
    assert_eq!(answer.headers()["retry-after"], "7");
    assert_eq!(answer.text().await.unwrap(), "busy");
    let line = gateway.log_line("/busy").await;
    assert_eq!(line["attempts"], 2, "each server once: {line}");
    assert!(line["failure"].is_null(), "{line}");
    assert_eq!(servers.each_ref().map(Counting::requests), [1, 1]);
    let requests = &gateway.operator("/upstreams").await[0]["requests"];
    assert_eq!(requests["retries"], 1);
    assert_eq!(requests["retries_succeeded"], 0);
}

#[tokio::test]
async fn an_answer_that_would_be_sent_again_was_not_worth_the_attempts() {
    let misdirected = End::Say(b"HTTP/1.1 421 No\r\nContent-Length: 0\r\n\r\n");
    let missing = End::Say(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    for (first, last, succeeded) in [
        (misdirected, misdirected, 0),
        (missing, missing, 0),
        (misdirected, End::Answer, 1),
    ] {
        let servers = [Counting::start(first).await, Counting::start(last).await];
        let addresses = servers.each_ref().map(Counting::address);
        let option = "retry: { statuses: [ 404 ] }";
        let gateway = Gateway::start(&routing(&addresses, &[option])).await;
        while gateway.operator("/upstreams").await[0]["requests"]["retries"] == 0 {
            gateway.get("/").await;
        }
        let requests = &gateway.operator("/upstreams").await[0]["requests"];
        assert_eq!(requests["retries_succeeded"], succeeded, "{requests}");
    }
}

/// The rest of an answer that is dropped must not be taken for the next one.
#[tokio::test]
async fn a_dropped_answer_ends_its_connection() {
    let bad = Origin::start(|mut connection| async move {
        while connection.read_head().await.is_some() {
            let head = "HTTP/1.1 503 Busy\r\nContent-Length: 200000\r\n\r\n";
            connection.write(head.as_bytes()).await;
            connection.write(&[b'x'; 200_000]).await;
        }
    })
    .await;
    let good = Counting::start(End::Answer).await;
    let option = "retry: { statuses: [ 503 ] }";
    let servers = [bad.address(), good.address()];
    let gateway = Gateway::start(&routing(&servers, &[option])).await;
    for _ in 0..10 {
        let answer = gateway.get("/").await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "ok");
    }
    let closed = async || bad.open() == 0;
    eventually("its connections are closed", PATIENCE, closed).await;
}

/// The first part goes to both servers, the second to the one that still wants it.
#[tokio::test]
async fn an_answer_that_comes_within_the_request_can_be_dropped() {
    let (told, dropped) = oneshot::channel();
    let told = Mutex::new(Some(told));
    let bad = Origin::start(move |mut connection| {
        let told = told.lock().unwrap().take();
        async move {
            connection.read_head().await;
            connection.stream.read_exact(&mut [0; 8]).await.unwrap();
            connection.write(BUSY).await;
            connection.read_until_closed().await;
            told.map(|told| told.send(()));
        }
    })
    .await;
    let good = Origin::start(|mut connection| async move {
        connection.read_head().await;
        let mut body = Vec::new();
        while !body.ends_with(b"0\r\n\r\n") {
            connection.stream.read_buf(&mut body).await.unwrap();
        }
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write(answer.as_bytes()).await;
        connection.write(&body).await;
    })
    .await;
    let routing = format!(
        "routes: {{ all: {{ upstream: api }} }}\nretry: {{ statuses: [ 503 ] }}\n\
         upstreams: {{ api: {{ servers: [ \"{}\", {{ address: \"{}\", backup: true }} ] }} }}",
        bad.address(),
        good.address()
    );
    let gateway = Gateway::start(&routing).await;
    let first = async { Ok::<_, std::io::Error>("one") };
    let second = async {
        dropped.await.unwrap();
        Ok("two")
    };
    let body = Body::wrap_stream(first.into_stream().chain(second.into_stream()));
    let answer = client().put(gateway.url("/")).body(body).send();
    let answer = timeout(PATIENCE, answer).await.expect("no hang").unwrap();
    assert_eq!(answer.status(), 200);
    let text = answer.text().await.unwrap();
    assert_eq!(text, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
}

/// More of the body was read than is kept to be sent again: the answer is the server's own.
#[tokio::test]
async fn a_large_body_is_not_sent_again() {
    let (bad, good) = (
        Counting::start(End::Say(BUSY)).await,
        Counting::start(End::Answer).await,
    );
    let option = "retry: { statuses: [ 503 ] }";
    let servers = [bad.address(), good.address()];
    let gateway = Gateway::start(&routing(&servers, &[option])).await;
    for (size, expected) in [(60 * 1024, 10), (70 * 1024, 5)] {
        let mut saved = 0;
        for _ in 0..10 {
            let put = client().put(gateway.url("/")).body(vec![b'x'; size]);
            let answer = put.send().await.unwrap();
            match answer.status().as_u16() {
                200 => saved += 1,
                status => assert_eq!((status, &*answer.text().await.unwrap()), (503, "busy")),
            }
        }
        assert_eq!(saved, expected, "{size}");
    }
}

#[tokio::test]
async fn a_server_that_says_it_did_nothing_is_taken_at_its_word() {
    let misdirected = End::Say(b"HTTP/1.1 421 No\r\nContent-Length: 0\r\n\r\n");
    let post = Method::POST;
    assert_eq!(saved(misdirected, &[], &post, None).await, 10);
    let never = "retry: { when: [] }";
    assert_eq!(saved(misdirected, &[never], &post, None).await, 5);
    // As an answer like any other it can be named.
    let named = "retry: { when: [], statuses: [ 421 ] }";
    assert_eq!(saved(misdirected, &[named], &post, None).await, 5);
    assert_eq!(saved(misdirected, &[named], &Method::GET, None).await, 10);
}

/// It gave up waiting for the next request when that was on its way.
#[tokio::test]
async fn a_408_on_a_kept_connection_is_no_answer() {
    const LATE: &[u8] = b"HTTP/1.1 408 Late\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        connection.write(OK).await;
        connection.read_head().await;
        connection.write(LATE).await;
    })
    .await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    for _ in 0..10 {
        let answer = client().post(gateway.url("/")).send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let origin = Origin::answering(LATE).await;
    let gateway = Gateway::start(&routing(&[origin.address()], &[])).await;
    let answer = client().post(gateway.url("/")).send().await.unwrap();
    assert_eq!(answer.status(), 408);
}

#[tokio::test]
async fn a_silent_server_is_left_for_another_if_the_file_says_so() {
    let (get, post) = (Method::GET, Method::POST);
    for (when, method, key, expected) in [
        ("not_sent", &get, None, [200, 504]),
        ("timeout", &get, None, [200, 200]),
        ("timeout", &post, None, [200, 504]),
        ("timeout", &post, Some("k-1"), [200, 200]),
    ] {
        let (silent, good) = (Origin::hanging().await, Counting::start(End::Answer).await);
        let servers = [silent.address(), good.address()];
        let retry = format!("retry: {{ when: [ {when} ] }}");
        let options = [&*retry, "timeouts: { first_byte: 300ms, read: 1h }"];
        let gateway = Gateway::start(&routing(&servers, &options)).await;
        let mut statuses = Vec::new();
        for _ in 0..2 {
            let answer = ask(&gateway, method, key).await;
            statuses.push(answer.status().as_u16());
        }
        statuses.sort_unstable();
        assert_eq!(statuses, expected, "{when} {method} {key:?}");
        assert!(silent.accepted() > 0);
    }
}

/// The only server, while it starts.
#[tokio::test]
async fn a_server_that_refuses_is_asked_again_if_there_is_no_other() {
    let address = free_address();
    let option = "retry: { attempts: 10, backoff: { first: 1s, max: 1s } }";
    let gateway = Gateway::start(&routing(&[address], &[option])).await;
    let url = gateway.url("/starts");
    let asked = tokio::spawn(client().post(url).body("order").send());
    let refused = async || {
        let upstreams = gateway.operator("/upstreams").await;
        upstreams[0]["servers"][0]["attempts"]["failed"] != 0
    };
    eventually("it has refused", PATIENCE, refused).await;
    let script = |mut connection: tidegate_tests::Connection| async move {
        connection.read_head().await;
        connection.write(OK).await;
        connection.read_until_closed().await;
    };
    let _origin = Origin::start_at(address, script).await;
    assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    let requests = &gateway.operator("/upstreams").await[0]["requests"];
    assert_eq!(requests["retries_succeeded"], 1, "{requests}");
}

#[tokio::test]
async fn when_nothing_is_sent_again_the_failure_is_told() {
    let bad = [
        Counting::start(End::Close).await,
        Counting::start(End::Close).await,
    ];
    let servers = bad.each_ref().map(Counting::address);
    let gateway = Gateway::start(&routing(&servers, &["retry: { when: [ not_sent ] }"])).await;
    assert_failure(gateway.get("/").await, 502, "upstream_closed").await;
    assert_eq!(bad[0].requests() + bad[1].requests(), 1);
}
