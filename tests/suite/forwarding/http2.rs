//! Clients that speak HTTP/2 to a server that speaks HTTP/1.

use bytes::Bytes;
use http::Request;
use tidegate_tests::{Api, Gateway, PATIENCE, Recorder, Wire, all_to};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::*;

pub(crate) fn h2c_client() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.http2_prior_knowledge().build().unwrap()
}

async fn h2c(gateway: &Gateway) -> h2::client::SendRequest<Bytes> {
    let stream = TcpStream::connect(gateway.address()).await.unwrap();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    sender.ready().await.unwrap()
}

async fn whole(body: &mut h2::RecvStream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(piece) = timeout(PATIENCE, body.data()).await.expect("in time") {
        let piece = piece.unwrap();
        let _ = body.flow_control().release_capacity(piece.len());
        all.extend_from_slice(&piece);
    }
    all
}

fn h2_request(method: &str, gateway: &Gateway, path: &str) -> Request<()> {
    Request::builder()
        .method(method)
        .version(http::Version::HTTP_2)
        .uri(gateway.url(path))
        .body(())
        .unwrap()
}

#[tokio::test]
async fn streams_of_one_http_2_connection_do_not_wait_for_each_other() {
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    let mut sender = h2c(&gateway).await;
    let (slow, _) = sender
        .send_request(h2_request("GET", &gateway, "/api/slow?ms=10000"), true)
        .unwrap();
    let mut quick = Vec::new();
    for _ in 0..50 {
        sender = sender.ready().await.unwrap();
        quick.push(
            sender
                .send_request(h2_request("GET", &gateway, "/api/hello"), true)
                .unwrap()
                .0,
        );
    }
    for answer in quick {
        let mut answer = timeout(Duration::from_secs(8), answer)
            .await
            .expect("before the slow one")
            .unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["via"], "1.1 tidegate");
        assert_eq!(whole(answer.body_mut()).await, b"Hello, World!");
    }
    drop(slow);
}

#[tokio::test]
async fn http_2_reaches_a_server_of_http_1_with_host_and_body() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, mut body) = sender
        .send_request(h2_request("POST", &gateway, "/a//b?q=%2F"), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hello, "), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"stream"), true).unwrap();
    let mut answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.body_mut()).await, b"ok");
    let seen = recorder.only();
    assert_eq!(seen.start, "POST /a//b?q=%2F HTTP/1.1");
    assert_eq!(seen.all("host"), [gateway.address().to_string()]);
    assert_eq!(
        seen.all("x-forwarded-host"),
        [gateway.address().to_string()]
    );
    assert_eq!(seen.all("via"), ["2 tidegate"]);
    assert_eq!(seen.text(), "hello, stream");
}

#[tokio::test]
async fn http_2_requests_without_body_are_forwarded_without_one() {
    let recorder = Recorder::start().await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, _) = sender
        .send_request(h2_request("GET", &gateway, "/"), true)
        .unwrap();
    assert_eq!(
        timeout(PATIENCE, answer).await.unwrap().unwrap().status(),
        200
    );
    assert_eq!(recorder.only().field("transfer-encoding"), None);
}

#[tokio::test]
async fn trailers_do_not_break_a_request() {
    let recorder =
        Recorder::answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n")
            .await;
    let gateway = before(&recorder).await;
    let mut sender = h2c(&gateway).await;
    let (answer, mut body) = sender
        .send_request(h2_request("POST", &gateway, "/h2"), false)
        .unwrap();
    body.send_data(Bytes::from_static(b"hello"), false).unwrap();
    let mut trailers = http::HeaderMap::new();
    trailers.insert("x-sum", "5".parse().unwrap());
    body.send_trailers(trailers).unwrap();
    let mut answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(whole(answer.body_mut()).await, b"ok");

    let mut wire = Wire::connect(gateway.address()).await;
    for _ in 0..2 {
        wire.send("POST /h1 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\nHost: evil\r\n\r\n")
            .await;
        assert_eq!(wire.answer().await.expect("an answer").text(), "ok");
    }
    let seen = recorder.seen();
    assert_eq!(seen.len(), 3);
    for request in seen {
        assert_eq!(request.text(), "hello");
        assert_eq!(request.field("x-sum"), None, "a trailer became a header");
    }
}

#[tokio::test]
async fn large_headers_pass_in_both_directions_and_both_protocols() {
    let large = "v".repeat(8 * 1024);
    let recorder = Recorder::answering(
        format!("HTTP/1.1 200 OK\r\nX-A: {large}\r\nX-B: {large}\r\nContent-Length: 2\r\n\r\nok")
            .as_bytes(),
    )
    .await;
    let gateway = before(&recorder).await;
    let mut wire = Wire::connect(gateway.address()).await;
    wire.send(format!(
        "GET / HTTP/1.1\r\nHost: h\r\nX-A: {large}\r\nX-B: {large}\r\n\r\n"
    ))
    .await;
    let answer = wire.answer().await.unwrap();
    assert_eq!(
        (answer.field("x-a"), answer.field("x-b")),
        (Some(large.as_str()), Some(large.as_str()))
    );

    let mut sender = h2c(&gateway).await;
    let mut request = h2_request("GET", &gateway, "/");
    for name in ["x-a", "x-b"] {
        request.headers_mut().insert(name, large.parse().unwrap());
    }
    let (answer, _) = sender.send_request(request, true).unwrap();
    let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
    assert_eq!(answer.headers()["x-a"], large.as_str());
    for request in recorder.seen() {
        assert_eq!(request.field("x-b"), Some(large.as_str()));
    }
}
