//! `compress`: answers become smaller for whoever can read them so.

use std::io::Read;

use tidegate_tests::{Gateway, Message, Origin, PATIENCE, Wire};
use tokio::sync::mpsc;

use crate::Way;

fn text() -> String {
    "tide and gate, gate and tide; ".repeat(200)
}

/// An answer with these fields beside its length, and this text.
fn answer(fields: &str, text: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n{text}",
        text.len()
    )
    .into_bytes()
}

const PLAIN: &str = "Content-Type: text/plain; charset=utf-8\r\n";

fn decoded(answer: &Message) -> String {
    let mut text = String::new();
    let body = answer.body.as_slice();
    match answer.field("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_string(&mut text),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_string(&mut text),
        Some("zstd") => zstd::stream::read::Decoder::new(body)
            .and_then(|mut decoder| decoder.read_to_string(&mut text)),
        _ => return answer.text(),
    }
    .expect("a whole body");
    text
}

#[tokio::test]
async fn the_client_gets_what_it_likes_best() {
    let way = Way::answering("[ compress ]", "path_prefix: /", &answer(PLAIN, &text())).await;
    for (accept, encoding) in [
        ("gzip", Some("gzip")),
        ("br", Some("br")),
        ("gzip, deflate, br, zstd", Some("zstd")),
        ("gzip;q=1, zstd;q=0.5", Some("gzip")),
        ("identity, gzip;q=0.5", None),
        ("deflate", None),
    ] {
        for version in ["1.1", "1.0"] {
            let answer = way
                .answer(&format!(
                    "GET / HTTP/{version}|Host: h|Accept-Encoding: {accept}|Connection: close"
                ))
                .await;
            assert_eq!(answer.field("content-encoding"), encoding, "{accept}");
            assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
            assert_eq!(decoded(&answer), text(), "{accept} over {version}");
            if encoding.is_some() {
                assert!(answer.body.len() < 300, "{} bytes", answer.body.len());
                assert_eq!(answer.field("content-length"), None);
            }
        }
    }
    let way = Way::answering(
        "[ { compress: { algorithms: [ gzip, br ] } } ]",
        "path_prefix: /",
        &answer(PLAIN, &text()),
    )
    .await;
    let answer = way
        .answer("GET / HTTP/1.1|Host: h|Accept-Encoding: zstd, br, gzip")
        .await;
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
}

#[tokio::test]
async fn what_would_not_shrink_or_must_not_change_is_left_alone() {
    let filter = "[ { compress: { types: [ \"text/*\", application/json ], min_size: 2KiB } } ]";
    let ask = "GET / HTTP/1.1|Host: h|Accept-Encoding: gzip";
    for (fields, text, is_left) in [
        (PLAIN.to_owned(), text(), false),
        (
            "Content-Type: application/json\r\n".to_owned(),
            text(),
            false,
        ),
        ("Content-Type: image/png\r\n".to_owned(), text(), true),
        (String::new(), text(), true),
        (PLAIN.to_owned(), "x".repeat(2047), true),
        (format!("{PLAIN}Content-Encoding: br\r\n"), text(), true),
        (
            format!("{PLAIN}Cache-Control: public, No-Transform\r\n"),
            text(),
            true,
        ),
    ] {
        let way = Way::answering(filter, "path_prefix: /", &answer(&fields, &text)).await;
        let answer = way.answer(ask).await;
        let encoding = answer.field("content-encoding");
        assert_eq!(encoding != Some("gzip"), is_left, "{fields}");
        if is_left {
            assert_eq!(answer.text(), text, "{fields}");
            assert_eq!(answer.field("vary"), None);
        }
    }
    for head in [
        "206 Partial Content\r\nContent-Range: bytes 0-2999/9999",
        "204 No Content",
        "304 Not Modified\r\nETag: \"x\"",
    ] {
        let body = if head.starts_with("206") {
            "x".repeat(3000)
        } else {
            String::new()
        };
        let length = match body.len() {
            0 => String::new(),
            length => format!("Content-Length: {length}\r\n"),
        };
        let bytes = format!("HTTP/1.1 {head}\r\n{length}{PLAIN}\r\n{body}");
        let way = Way::answering(filter, "path_prefix: /", bytes.as_bytes()).await;
        let answer = way.answer(ask).await;
        assert_eq!(answer.field("content-encoding"), None, "{head}");
        assert_eq!(answer.text(), body);
    }
}

#[tokio::test]
async fn the_fields_that_speak_of_the_bytes_follow() {
    let fields = format!(
        "{PLAIN}ETag: \"one\"\r\nAccept-Ranges: bytes\r\nContent-Digest: sha-256=:x:\r\nVary: Cookie\r\n"
    );
    let way = Way::answering("[ compress ]", "path_prefix: /", &answer(&fields, &text())).await;
    let compressed = way
        .answer("GET / HTTP/1.1|Host: h|Accept-Encoding: gzip")
        .await;
    assert_eq!(compressed.field("etag"), Some("W/\"one\""));
    assert_eq!(compressed.all("vary"), ["Cookie", "Accept-Encoding"]);
    for gone in ["accept-ranges", "content-digest"] {
        assert_eq!(compressed.field(gone), None, "{gone}");
    }
    let plain = way.answer("GET / HTTP/1.1|Host: h").await;
    assert_eq!(plain.field("etag"), Some("\"one\""));
    assert_eq!(plain.field("accept-ranges"), Some("bytes"));
    assert_eq!(plain.all("vary"), ["Cookie", "Accept-Encoding"]);
    // Alone, so that the server answers it without a body.
    let head = answer(&fields, &text());
    let head = &head[..head.len() - text().len()];
    let way = Way::answering("[ compress ]", "path_prefix: /", head).await;
    let answer = way
        .answer("HEAD / HTTP/1.1|Host: h|Accept-Encoding: gzip")
        .await;
    assert_eq!(answer.field("content-encoding"), Some("gzip"));
    assert_eq!(answer.field("content-length"), None);
}

/// Events that are compressed still come one by one.
#[tokio::test]
async fn what_a_server_sends_bit_by_bit_arrives_bit_by_bit() {
    let (go, wait) = mpsc::channel::<()>(1);
    let wait = std::sync::Arc::new(tokio::sync::Mutex::new(wait));
    let server = Origin::start(move |mut connection| {
        let wait = std::sync::Arc::clone(&wait);
        async move {
            connection.read_head().await;
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await;
            for number in 0..3 {
                let event = format!("data: event {number}\n\n");
                let chunk = format!("{:x}\r\n{event}\r\n", event.len());
                connection.write(chunk.as_bytes()).await;
                wait.lock().await.recv().await;
            }
            connection.write(b"0\r\n\r\n").await;
        }
    })
    .await;
    let gateway = Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  all: {{ filters: [ compress ], upstream: api }}\n",
        server.address()
    ))
    .await;
    for encoding in ["gzip", "br", "zstd"] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!(
            "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: {encoding}\r\n\r\n"
        ))
        .await;
        let mut answer = wire.head().await.expect("a head");
        assert_eq!(answer.field("content-encoding"), Some(encoding));
        for number in 0..3 {
            let expected = format!("data: event {number}\n\n");
            let read = async {
                while !so_far(&answer).ends_with(&expected) {
                    let size = wire.until(b"\r\n").await.expect("a chunk");
                    let size = String::from_utf8_lossy(&size).trim().to_owned();
                    let size = usize::from_str_radix(&size, 16).expect("a size");
                    let piece = wire.take(size + 2).await.expect("its bytes");
                    answer.body.extend_from_slice(&piece[..size]);
                }
            };
            let read = tokio::time::timeout(PATIENCE, read).await;
            read.unwrap_or_else(|_| panic!("event {number} in {encoding}: {}", so_far(&answer)));
            go.send(()).await.expect("the server waits");
        }
    }
}

/// What can be read of a body that is not complete.
fn so_far(answer: &Message) -> String {
    let mut bytes = Vec::new();
    let body = answer.body.as_slice();
    let _ = match answer.field("content-encoding") {
        Some("gzip") => flate2::read::GzDecoder::new(body).read_to_end(&mut bytes),
        Some("br") => brotli::Decompressor::new(body, 4096).read_to_end(&mut bytes),
        _ => zstd::stream::read::Decoder::new(body)
            .and_then(|mut decoder| decoder.read_to_end(&mut bytes)),
    };
    String::from_utf8(bytes).expect("text")
}

#[tokio::test]
async fn an_answer_of_the_file_is_compressed_too() {
    let gateway = Gateway::start(&format!(
        "routes:\n  all: {{ filters: [ compress ], respond: {{ text: \"{}\" }} }}\n",
        text()
    ))
    .await;
    for method in ["GET", "HEAD"] {
        let mut wire = Wire::connect(gateway.address()).await;
        wire.send(format!(
            "{method} / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: br\r\n\r\n"
        ))
        .await;
        let answer = wire.answer_to(method).await.expect("an answer");
        assert_eq!(answer.field("content-encoding"), Some("br"));
        if method == "GET" {
            assert_eq!(decoded(&answer), text());
        }
    }
}

/// Not of HTTP/1 alone.
#[tokio::test]
async fn over_http2_it_is_the_same() {
    let server = Origin::answering(&answer(PLAIN, &text())).await;
    let gateway = Gateway::start(&format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\nroutes:\n  all: {{ filters: [ compress ], upstream: api }}\n",
        server.address()
    ))
    .await;
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap();
    let answer = client
        .get(gateway.url("/"))
        .header("Accept-Encoding", "gzip")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    assert!(!answer.headers().contains_key("transfer-encoding"));
    let mut plain = String::new();
    let bytes = answer.bytes().await.unwrap();
    flate2::read::GzDecoder::new(&bytes[..])
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, text());
}

/// A cache has to find the answer that it keeps.
#[tokio::test]
async fn an_answer_that_nothing_changed_says_what_the_whole_one_would() {
    let server = b"HTTP/1.1 304 Not Modified\r\nETag: \"one\"\r\n\r\n";
    let way = Way::answering("[ compress ]", "path_prefix: /", server).await;
    for (accept, tag) in [("gzip", "W/\"one\""), ("identity", "\"one\"")] {
        let answer = way
            .answer(&format!(
                "GET / HTTP/1.1|Host: h|Accept-Encoding: {accept}|If-None-Match: W/\"one\""
            ))
            .await;
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.field("etag"), Some(tag));
        assert_eq!(answer.field("vary"), Some("Accept-Encoding"));
    }
}

/// HTTP/1.0 has no chunks, and a client that reads by the book would take them for the body.
#[tokio::test]
async fn what_an_old_server_says_is_framed_as_the_client_knows_it() {
    let body = text();
    let head = format!(
        "HTTP/1.0 200 OK\r\nContent-Length: {}\r\n{PLAIN}\r\n",
        body.len()
    );
    let way = Way::answering("[ compress ]", "path_prefix: /", (head + &body).as_bytes()).await;
    let answer = way
        .answer("GET / HTTP/1.1|Host: h|Accept-Encoding: gzip")
        .await;
    assert_eq!(answer.word(0), "HTTP/1.1");
    assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    assert_eq!(decoded(&answer), body);
}
