//! Listeners come, go and change; the operator's side stays where it is.

use std::net::{SocketAddr, TcpListener};

use tidegate_tests::{Gateway, Load, PATIENCE, client, eventually, free_address, h2c_client};
use tokio::net::TcpStream;

use crate::{Held, answers, refusal, start, to, who};

fn with_listeners(routing: &str, listeners: &[(&str, SocketAddr)]) -> String {
    let mut whole = format!("{routing}listeners:\n");
    for (name, address) in listeners {
        whole += &format!("  {name}: {{ address: \"{address}\" }}\n");
    }
    whole
}

async fn ask_at(address: SocketAddr) -> reqwest::Result<String> {
    let answer = client().get(format!("http://{address}/")).send().await?;
    answer.text().await
}

async fn refuses(address: SocketAddr) {
    eventually(&format!("{address} refuses"), PATIENCE, async || {
        TcpStream::connect(address).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_new_listener_serves_and_a_removed_one_finishes_what_is_under_way() {
    let held = Held::start().await;
    let routing = to(held.origin.address());
    let gateway = Gateway::start(&routing).await;
    let (web, extra) = (gateway.address(), free_address());
    gateway
        .reload(&with_listeners(&routing, &[("web", web), ("extra", extra)]))
        .await;
    let asked = held.asked(format!("http://{extra}/")).await;
    gateway
        .reload(&with_listeners(&routing, &[("web", web)]))
        .await;
    refuses(extra).await;
    held.go.notify_one();
    assert_eq!(asked.await.unwrap().unwrap(), "held");
    held.go.notify_one();
    assert_eq!(ask_at(web).await.unwrap(), "held");
    // And it may come back.
    gateway
        .reload(&with_listeners(&routing, &[("web", web), ("extra", extra)]))
        .await;
    held.go.notify_one();
    assert_eq!(ask_at(extra).await.unwrap(), "held");
}

#[tokio::test]
async fn a_listener_moves_to_another_port_under_load() {
    let (gateway, first, _second) = start().await;
    let routing = to(first.address());
    let (stays, mut moves) = (gateway.address(), free_address());
    let listen = |moves| with_listeners(&routing, &[("web", stays), ("moving", moves)]);
    gateway.reload(&listen(moves)).await;
    let load = Load::start(&gateway.url("/"), 4);
    for _ in 0..5 {
        assert_eq!(ask_at(moves).await.unwrap(), "first");
        let before = std::mem::replace(&mut moves, free_address());
        gateway.reload(&listen(moves)).await;
        refuses(before).await;
    }
    assert_eq!(ask_at(moves).await.unwrap(), "first");
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn a_listener_takes_new_settings_without_closing() {
    let (gateway, first, _second) = start().await;
    let routing = to(first.address());
    let web = gateway.address();
    let speaks_h2c = async || h2c_client().get(gateway.url("/")).send().await.is_ok();
    assert!(speaks_h2c().await);
    let load = Load::start(&gateway.url("/"), 4);
    gateway
        .reload(&format!(
            "{routing}listeners: {{ web: {{ address: \"{web}\", protocols: [ http1 ] }} }}\n"
        ))
        .await;
    assert!(!speaks_h2c().await);
    gateway
        .reload(&with_listeners(&routing, &[("web", web)]))
        .await;
    assert!(speaks_h2c().await);
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

#[tokio::test]
async fn a_new_listener_whose_port_is_taken_refuses_the_whole_edit() {
    let (gateway, first, second) = start().await;
    let web = gateway.address();
    let occupied = TcpListener::bind(free_address()).unwrap();
    let taken = occupied.local_addr().unwrap();
    let spare = free_address();
    let listeners = [("web", web), ("spare", spare), ("extra", taken)];
    let edited = with_listeners(&to(second.address()), &listeners);
    let before = gateway.ready().await.generation;
    gateway.edit(&edited);
    let report = refusal(&gateway).await;
    assert!(
        report.contains("extra") && report.contains(&taken.to_string()),
        "{report}"
    );
    assert_eq!(gateway.ready().await.generation, before);
    assert_eq!(who(&gateway).await, "first", "nothing of the edit applies");
    refuses(spare).await;
    // The port is free now; nothing in the file changes.
    drop(occupied);
    gateway.process.hang_up();
    gateway.generation_after(before).await;
    for at in [web, spare, taken] {
        assert_eq!(ask_at(at).await.unwrap(), "second");
    }
    assert!(gateway.ready().await.body["refused"].is_null());
    drop(first);
}

#[tokio::test]
async fn a_listener_that_ours_stands_in_the_way_of_waits_for_a_restart() {
    let (gateway, first, second) = start().await;
    let web = gateway.address();
    let wide = SocketAddr::from(([0, 0, 0, 0], web.port()));
    gateway
        .reload(&with_listeners(&to(second.address()), &[("web", wide)]))
        .await;
    let ready = gateway.ready().await;
    let expected = format!("listeners.web.address: {web} -> {wide}");
    assert_eq!(ready.restart_required, [expected]);
    assert_eq!(
        who(&gateway).await,
        "second",
        "the rest of the edit applies"
    );
    drop(first);
}

#[tokio::test]
async fn another_admin_address_needs_a_restart_and_the_rest_of_the_edit_applies() {
    let (gateway, first, second) = start().await;
    let other = free_address();
    let before = gateway.ready().await;
    assert!(before.restart_required.is_empty());
    let moved = format!("admin: {{ address: \"{other}\" }}\n");
    gateway.reload(&(to(second.address()) + &moved)).await;
    answers(&gateway, "second").await;
    let required = gateway.ready().await.restart_required;
    assert_eq!(required.len(), 1, "{required:?}");
    let told = [&required[0], &gateway.process.logged("restart").await];
    for text in told {
        assert!(text.contains("admin.address"), "{text}");
        assert!(text.contains(&gateway.admin().to_string()), "{text}");
        assert!(text.contains(&other.to_string()), "{text}");
    }
    refuses(other).await;
    // Taken back, nothing is required any more.
    gateway.reload(&to(first.address())).await;
    answers(&gateway, "first").await;
    assert!(gateway.ready().await.restart_required.is_empty());
}
