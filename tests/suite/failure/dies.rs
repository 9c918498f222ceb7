//! A server dies: what is tried elsewhere and what is not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidegate_tests::{Api, Gateway, Load, Origin, PATIENCE, client, eventually, refusing_address};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{Counting, End, OK, assert_failure, routing};

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
    for api in &mut apis {
        load.more(100).await;
        api.kill();
        load.more(300).await;
        api.restart().await;
        let name = api.name();
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

/// Many at once: what one request tries next must not depend on what the others do meanwhile.
#[tokio::test]
async fn a_server_killed_among_two_fails_no_get_of_many_clients() {
    let mut one = Api::start("one").await;
    let two = Api::start("two").await;
    // No probe takes the dead one out.
    let check = "health_check: { http: { path: /api/health, interval: 60s } }";
    let servers = [one.address(), two.address()];
    let gateway = Gateway::start(&routing(&servers, &[check])).await;
    let load = Load::start(&gateway.url("/api/whoami"), 96);
    load.more(500).await;
    one.kill();
    load.more(6000).await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
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
