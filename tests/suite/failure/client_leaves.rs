//! The client leaves before it has its answer.

use std::sync::Arc;

use tidegate_tests::{Gateway, Origin, PATIENCE, eventually};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::{OK, both_clients, routing};

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
