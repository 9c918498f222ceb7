//! A server breaks off within its answer: the client learns that it is not whole.

use std::sync::Arc;

use reqwest::Response;
use tidegate_tests::{Gateway, Origin, PATIENCE};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::{End, both_clients, routing};

/// Sends the head and the first part of a body, and breaks off when told to.
pub(crate) struct BreakingOff {
    pub(crate) origin: Origin,
    now: Arc<Notify>,
}

impl BreakingOff {
    pub(crate) async fn start(head: &'static str, end: End) -> Self {
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
pub(crate) async fn read(
    mut answer: Response,
    after_first_piece: impl FnOnce(),
) -> (Vec<u8>, bool) {
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
