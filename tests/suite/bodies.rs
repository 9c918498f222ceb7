//! Bodies of any size pass in both directions, and cost no memory on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use tidegate_tests::{Api, Gateway, Origin, Wire, all_to, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const MIB: u64 = 1024 * 1024;
/// What the proxy may need for buffers and bookkeeping, whatever the size of a body.
const ALLOWANCE: u64 = 32 * MIB;
const PIECE: usize = 64 * 1024;
/// For the largest body on a busy machine.
const LONGEST: Duration = Duration::from_secs(80);

async fn start() -> (Api, Gateway) {
    let api = Api::start("api").await;
    let gateway = Gateway::start(&all_to(&[api.address()])).await;
    // What is needed in any case is in place.
    for _ in 0..20 {
        assert_eq!(gateway.get("/api/hello").await.status(), 200);
    }
    (api, gateway)
}

/// Runs the transfer and checks what memory it took.
async fn flat(gateway: &Gateway, transfer: impl Future<Output = ()>) {
    let before = gateway.process.peak_memory();
    timeout(LONGEST, transfer).await.expect("the transfer ends");
    let grown = gateway.process.peak_memory() - before;
    assert!(grown < ALLOWANCE, "the proxy grew by {} MiB", grown / MIB);
}

/// Sends so many bytes after the head and returns the `bytes` of the answer.
async fn upload(wire: &mut Wire, size: u64, chunked: bool) -> u64 {
    let piece = vec![b'x'; PIECE];
    let framing = if chunked {
        "Transfer-Encoding: chunked".to_owned()
    } else {
        format!("Content-Length: {size}")
    };
    wire.send(format!(
        "POST /api/sink HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n"
    ))
    .await;
    for _ in 0..size / PIECE as u64 {
        if chunked {
            assert!(wire.send(format!("{PIECE:x}\r\n")).await);
        }
        assert!(wire.send(&piece).await);
        if chunked {
            assert!(wire.send("\r\n").await);
        }
    }
    if chunked {
        wire.send("0\r\n\r\n").await;
    }
    wire.answer().await.unwrap().json()["bytes"]
        .as_u64()
        .unwrap()
}

#[tokio::test]
async fn a_gibibyte_is_uploaded_with_flat_memory() {
    let (_api, gateway) = start().await;
    let size = 1024 * MIB;
    flat(&gateway, async {
        let mut wire = Wire::connect(gateway.address()).await;
        assert_eq!(upload(&mut wire, size, false).await, size);
        // And the connection is good for the next.
        assert_eq!(upload(&mut wire, MIB, true).await, MIB);
    })
    .await;
}

#[tokio::test]
async fn a_gibibyte_is_downloaded_with_flat_memory() {
    let (_api, gateway) = start().await;
    let size = 1024 * MIB;
    flat(&gateway, async {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!(
            "GET /api/bytes?size={size} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let head = wire.head().await.unwrap();
        assert_eq!(
            (head.status(), head.field("content-length")),
            (200, Some(size.to_string().as_str()))
        );
        let mut received = wire.taken().len() as u64;
        let mut buffer = vec![0; PIECE];
        loop {
            match wire.stream.read(&mut buffer).await.unwrap() {
                0 => break,
                length => received += length as u64,
            }
        }
        assert_eq!(received, size);
    })
    .await;
    // The line comes when the answer is whole.
    let line = gateway.log_line("/api/bytes").await;
    assert_eq!(line["bytes"], size, "{line}");
}

#[tokio::test]
async fn an_upload_of_unknown_length_passes_with_flat_memory() {
    let (_api, gateway) = start().await;
    let size = 256 * MIB;
    flat(&gateway, async {
        let mut wire = Wire::connect(gateway.address()).await;
        assert_eq!(upload(&mut wire, size, true).await, size);
    })
    .await;
}

#[tokio::test]
async fn a_download_of_unknown_length_passes_with_flat_memory() {
    let size = 256 * MIB;
    let origin = Origin::start(move |mut connection| async move {
        connection.read_head().await;
        connection.write(b"HTTP/1.1 200 OK\r\n\r\n").await;
        let piece = vec![b'x'; PIECE];
        for _ in 0..size / PIECE as u64 {
            connection.write(&piece).await;
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    flat(&gateway, async {
        let answer = tidegate_tests::client()
            .get(gateway.url("/"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.content_length(), None);
        assert_eq!(drained(answer).await, size);
    })
    .await;
}

/// An answer that flows while the request still does. Pingora writes a piece to an HTTP/1 server without reading from it
/// meanwhile, so a server that waits for its answer to be taken first comes to a standstill with it: this is what fits into
/// the buffers in between.
#[tokio::test]
async fn a_body_is_echoed_while_it_is_sent() {
    let (_api, gateway) = start().await;
    let size = MIB;
    for client in [tidegate_tests::client(), h2c()] {
        let body = reqwest::Body::wrap_stream(stream::iter(pieces(size)));
        let answer = client
            .post(gateway.url("/api/echo"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.content_length()),
            (200, None)
        );
        assert_eq!(drained(answer).await, size);
    }
}

#[tokio::test]
async fn http_2_carries_large_bodies_with_flat_memory() {
    let (_api, gateway) = start().await;
    let size = 128 * MIB;
    let client = h2c();
    flat(&gateway, async {
        let body = reqwest::Body::wrap_stream(stream::iter(pieces(size)));
        let answer = client
            .post(gateway.url("/api/sink"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(
            answer.json::<serde_json::Value>().await.unwrap()["bytes"],
            size
        );
        let url = gateway.url(&format!("/api/bytes?size={size}"));
        assert_eq!(drained(client.get(url).send().await.unwrap()).await, size);
    })
    .await;
}

fn h2c() -> reqwest::Client {
    let builder = reqwest::Client::builder().no_proxy();
    builder.http2_prior_knowledge().build().unwrap()
}

fn pieces(size: u64) -> impl Iterator<Item = std::io::Result<Bytes>> {
    let piece = Bytes::from(vec![b'x'; PIECE]);
    (0..size / PIECE as u64).map(move |_| Ok(piece.clone()))
}

async fn drained(mut answer: reqwest::Response) -> u64 {
    let mut received = 0;
    while let Some(piece) = answer.chunk().await.unwrap() {
        received += piece.len() as u64;
    }
    received
}

/// What the kernel's buffers of four sockets may hold, and the proxy's own.
const IN_FLIGHT: u64 = 64 * MIB;

/// Waits until the count stands still, and returns it.
async fn standstill(count: &AtomicU64) -> u64 {
    let mut before = 0;
    eventually("a standstill", LONGEST, async || {
        // The time without progress is what is looked for.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let now = count.load(Ordering::Relaxed);
        let still = now > 0 && now == before;
        before = now;
        still.then_some(now)
    })
    .await
}

#[tokio::test]
async fn a_client_that_reads_slowly_slows_the_server_instead_of_filling_the_proxy() {
    let sent = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&sent);
    let origin = Origin::start(move |mut connection| {
        let count = Arc::clone(&count);
        async move {
            connection.read_head().await;
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Length: 4294967296\r\n\r\n")
                .await;
            let piece = vec![b'x'; PIECE];
            while let Ok(length @ 1..) = connection.stream.write(&piece).await {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        }
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    flat(&gateway, async {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
        assert_eq!(wire.head().await.unwrap().status(), 200);
        let stood = standstill(&sent).await;
        assert!(
            stood < IN_FLIGHT,
            "{} MiB were taken from the server",
            stood / MIB
        );
        // Once the client reads, it goes on.
        let mut buffer = vec![0; PIECE];
        let mut received = 0;
        while received < 2 * IN_FLIGHT {
            received += wire.stream.read(&mut buffer).await.unwrap() as u64;
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_reads_slowly_slows_the_client_instead_of_filling_the_proxy() {
    let origin = Origin::start(|mut connection| async move {
        connection.read_head().await;
        std::future::pending::<()>().await;
    })
    .await;
    let gateway = Gateway::start(&all_to(&[origin.address()])).await;
    let sent = Arc::new(AtomicU64::new(0));
    flat(&gateway, async {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4294967296\r\n\r\n")
            .await;
        let count = Arc::clone(&sent);
        let sending = tokio::spawn(async move {
            let piece = vec![b'x'; PIECE];
            while let Ok(length @ 1..) = wire.stream.write(&piece).await {
                count.fetch_add(length as u64, Ordering::Relaxed);
            }
        });
        let stood = standstill(&sent).await;
        assert!(
            stood < IN_FLIGHT,
            "{} MiB were taken from the client",
            stood / MIB
        );
        sending.abort();
    })
    .await;
}
