//! Requests, tunnels and downloads live on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tidegate_tests::{Api, Gateway, Load, Origin, PATIENCE, Patient, client, eventually};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::{Held, named, refusal, start, to, who};

/// Thirty pieces, one a second.
async fn thirty_second_download() -> Origin {
    Origin::start(|mut connection| async move {
        while connection.read_head().await.is_some() {
            connection
                .write(b"HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n")
                .await;
            for second in 0..30_u8 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if !connection.write(&[b'a' + second % 26; 1000]).await {
                    return;
                }
            }
        }
    })
    .await
}

/// Echoes until told to stop; how many messages came back.
async fn converse(url: String, stop: Arc<AtomicBool>) -> usize {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut echoed = 0;
    while !stop.load(Ordering::SeqCst) {
        let text = format!("message {echoed}");
        socket.send(Message::text(text.clone())).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, socket.next()).await;
        let answer = answer.expect("an echo in time").expect("the tunnel lives");
        assert_eq!(answer.unwrap().into_text().unwrap().as_str(), text);
        echoed += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    socket.close(None).await.unwrap();
    echoed
}

/// Each edit changes which servers there are, their weights and the upstream's settings. Some are refused, since they are
/// wrong or break a test of their own, and some are rolled back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_swaps_under_load_fail_no_request_and_disturb_no_connection() {
    let apis = [
        Api::start("one").await,
        Api::start("two").await,
        Api::start("three").await,
    ];
    let slow = thirty_second_download().await;
    let edited = |number: usize| {
        let (one, two) = (&apis[number % 3], &apis[(number + 1) % 3]);
        format!(
            "upstreams:\n  api:\n    servers: [ \"{}\", {{ address: \"{}\", weight: {} }} ]\n    \
             health_check: {{ http: {{ path: /api/health, interval: 500ms }} }}\n    \
             timeouts: {{ read: {}s }}\n  slow: {{ servers: [ \"{}\" ], timeouts: {{ read: {}s }} }}\n\
             routes:\n  api: {{ upstream: api }}\n  slow: {{ match: {{ path: /slow }}, upstream: slow }}\n",
            one.address(),
            two.address(),
            1 + number % 5,
            10 + number % 20,
            slow.address(),
            10 + number % 20,
        )
    };
    let gateway = Gateway::start(&edited(0)).await;
    let download = tokio::spawn(client().get(gateway.url("/slow")).send());
    let stop = Arc::default();
    let tunnel = format!("ws://{}/api/ws", gateway.address());
    let conversation = tokio::spawn(converse(tunnel, Arc::clone(&stop)));
    let load = Load::start(&gateway.url("/api/whoami"), 8);
    for number in 1..=100 {
        match number % 10 {
            3 => {
                gateway.edit(&edited(number).replace("upstream: api", "upstream: apo"));
                assert!(refusal(&gateway).await.contains("E0403"));
            }
            7 => {
                let test = "tests: { slow: { request: /slow, expect: { route: api } } }\n";
                gateway.edit(&(edited(number) + test));
                assert!(refusal(&gateway).await.contains("E0804"));
            }
            9 => {
                let (status, verdict) = gateway.tell("/config/rollback", "").await;
                assert_eq!(status, 200, "{verdict}");
            }
            _ => {}
        }
        gateway.reload(&edited(number)).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(report.instances.len(), 3, "{report:?}");
    assert!(gateway.ready().await.generation > 100);

    let body = download.await.unwrap().unwrap().bytes().await.unwrap();
    let whole: Vec<u8> = (0..30_u8)
        .flat_map(|second| [b'a' + second % 26; 1000])
        .collect();
    assert!(body == whole, "{} bytes", body.len());
    assert_eq!(slow.accepted(), 1);
    stop.store(true, Ordering::SeqCst);
    assert!(conversation.await.unwrap() > 100);
}

#[tokio::test]
async fn a_request_under_way_keeps_the_file_that_it_came_with() {
    let (held, next) = (Held::start().await, named("next").await);
    let gateway = Gateway::start(&to(held.origin.address())).await;
    let asked = held.asked(gateway.url("/")).await;
    gateway.reload(&to(next.address())).await;
    assert_eq!(who(&gateway).await, "next");
    held.go.notify_one();
    assert_eq!(asked.await.unwrap().unwrap(), "held");
    assert_eq!((held.origin.accepted(), next.accepted()), (1, 1));
}

#[tokio::test]
async fn a_kept_connection_sees_the_new_file_with_its_next_request() {
    let (gateway, _first, second) = start().await;
    let mut kept = TcpStream::connect(gateway.address()).await.unwrap();
    assert!(ask_on(&mut kept).await.ends_with("first"));
    gateway.reload(&to(second.address())).await;
    assert!(ask_on(&mut kept).await.ends_with("second"));
}

/// One request and its answer, whose body is a name.
async fn ask_on(kept: &mut TcpStream) -> String {
    kept.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        .await
        .unwrap();
    let (mut answer, mut piece) = (String::new(), [0; 1024]);
    eventually("the whole answer", PATIENCE, async || {
        let length = kept.read(&mut piece).await.unwrap();
        assert!(length > 0, "the connection is closed after {answer:?}");
        answer += std::str::from_utf8(&piece[..length]).unwrap();
        answer.ends_with("first") || answer.ends_with("second")
    })
    .await;
    answer
}

/// An edit waits for new servers to be probed, but not for long: one that never answers does not hold it up.
#[tokio::test]
async fn an_edit_takes_effect_soon_even_when_a_new_server_does_not_answer() {
    let (gateway, first, _second) = start().await;
    let silent = Patient::held().await;
    let routing = format!(
        "upstreams:\n  api: {{ servers: [ \"{}\" ] }}\n  new:\n    servers: [ \"{}\" ]\n    \
         health_check: {{ http: {{ path: /health, timeout: 30s }} }}\n\
         routes:\n  all: {{ upstream: api }}\n  new: {{ match: {{ path: /new }}, upstream: new }}\n",
        first.address(),
        silent.address()
    );
    let began = Instant::now();
    gateway.reload(&routing).await;
    assert!(
        began.elapsed() < Duration::from_secs(8),
        "{:?}",
        began.elapsed()
    );
    let probe = silent.probe().await;
    assert_eq!(gateway.get("/new").await.status(), 200);
    probe.answer(200);
}
