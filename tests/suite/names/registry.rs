//! Who knows the servers has a name, too: it stands for several addresses, and the first may be silent.

use tidegate_tests::{Blackhole, NameServer, Origin, free_port};

use crate::{answered_by, server};

#[tokio::test]
async fn a_registry_whose_first_address_is_silent_is_asked_at_the_second() {
    if !NameServer::is_possible("a_registry_whose_first_address_is_silent") {
        return;
    }
    let (names, port) = (NameServer::start().await, free_port());
    let one = server("127.0.0.1", free_port()).await;
    let list = format!("[\"{}\"]", one.address());
    let length = list.len();
    let answer =
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{list}");
    let at = |ip: [u8; 4]| (ip, port).into();
    let _silent = Blackhole::start_at(at([127, 0, 0, 1])).await;
    let _registry = Origin::start_at(at([127, 0, 0, 2]), move |mut connection| {
        let answer = answer.clone();
        async move {
            if connection.read_head().await.is_some() {
                connection.write(answer.as_bytes()).await;
            }
        }
    })
    .await;
    names.addresses("registry.test", ["127.0.0.1", "127.0.0.2"], 0);
    let gateway = names
        .gateway(&format!(
            "upstreams: {{ api: {{ discover: {{ http: {{ url: \"http://registry.test:{port}/\", interval: 50ms, timeout: 1s }} }} }} }}\n\
             routes: {{ all: {{ upstream: api }} }}\n"
        ))
        .await;
    answered_by(&gateway, ["127.0.0.1"]).await;
}
