//! A server does not speak HTTP.

use std::time::Instant;

use bytes::Bytes;
use tidegate_tests::{Gateway, Origin};

use crate::breaks_off::read;
use crate::{SOON, assert_failure, both_clients, routing};

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
