//! A name server that lies, fails, is silent, or knows the name no more; and comes back.

use tidegate_tests::{NameServer, Origin, PATIENCE, Record, eventually, free_port};

use crate::scene::{LOAD, Scene};
use crate::seen::{Ends, Method};
use crate::servers::well_at;
use crate::{Edits, Line, print};

const NAME: &str = "api.test";

/// The name is asked for every second; what it names has to be well.
const OPTIONS: [&str; 2] = [
    "dns_refresh: 1s",
    "health_check: { http: { path: /api/health, interval: 100ms, healthy_after: 1, unhealthy_after: 2 } }",
];

/// A proxy before `a` and `b`, which the name stands for while the name server tells the truth.
struct Named {
    names: NameServer,
    scene: Scene,
    port: u16,
    // They end with it.
    _servers: [Origin; 3],
    edits: Edits,
}

impl Named {
    async fn start(edits: Edits) -> Self {
        let (names, port) = (NameServer::start().await, free_port());
        let at = |ip: &str| format!("{ip}:{port}").parse().unwrap();
        let servers = [
            well_at(at("127.0.0.1"), "a").await,
            well_at(at("127.0.0.2"), "b").await,
            // Somebody else's.
            Origin::start_at(at("127.0.0.3"), |mut connection| async move {
                let answer = b"HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno";
                while connection.read_head().await.is_some() && connection.write(answer).await {}
            })
            .await,
        ];
        names.addresses(NAME, ["127.0.0.1", "127.0.0.2"], 0);
        let start = async |routing: String| names.gateway(&routing).await;
        let name = [format!("{NAME}:{port}")];
        let scene = Scene::start_by(start, &name, &OPTIONS, edits).await;
        scene.ready(2).await;
        Self {
            names,
            scene,
            port,
            _servers: servers,
            edits,
        }
    }

    /// What clients see from now on.
    async fn seen(&self, fault: &str, judge: impl Fn(&Ends)) {
        let line = Line {
            get: self.scene.load(Method::Get).await,
            post: self.scene.load(Method::Post).await,
        };
        judge(&line.get);
        judge(&line.post);
        print(fault, self.edits, &line);
    }

    /// The name server is in trouble, and has been asked.
    async fn trouble(&self, record: Option<Record>) {
        match record {
            Some(record) => self.names.set(NAME, record),
            None => self.names.forget(NAME),
        }
        let goal = self.names.asked(NAME) + 2;
        let asked = async || self.names.asked(NAME) >= goal;
        eventually("it is asked", PATIENCE, asked).await;
    }

    /// The name server says this, and the proxy has heard it.
    async fn says<const N: usize>(&self, ips: [&str; N], healths: [&str; N]) {
        self.names.addresses(NAME, ips, 0);
        let mut expected: Vec<_> = (ips.iter().zip(healths))
            .map(|(ip, health)| (format!("{ip}:{}", self.port), health.to_owned()))
            .collect();
        expected.sort_unstable();
        eventually("it is heard and probed", PATIENCE, async || {
            let ready = self.scene.gateway.ready().await.body;
            let servers = ready["upstreams"][0]["servers"].as_array().cloned();
            let text = |it: &serde_json::Value| it.as_str().unwrap_or_default().to_owned();
            let mut found: Vec<_> = (servers.iter().flatten())
                .map(|it| (text(&it["address"]), text(&it["health"])))
                .collect();
            found.sort_unstable();
            (found == expected).then_some(()).ok_or(found)
        })
        .await;
    }
}

#[tokio::test]
async fn names() {
    if !NameServer::is_possible("faults: names") {
        return;
    }
    tokio::join!(all(Edits::None), all(Edits::Under));
}

/// One after the other: whatever came before, the next one finds everything in service.
async fn all(edits: Edits) {
    let named = Named::start(edits).await;
    named.trouble(None).await;
    named.seen("DNS: the name vanishes", Ends::all_ok).await;
    named.trouble(Some(Record::Failure)).await;
    named.seen("DNS: SERVFAIL", Ends::all_ok).await;
    named.trouble(Some(Record::Silence)).await;
    named.seen("DNS: no answer", Ends::all_ok).await;
    named.scene.in_service(&["a", "b"]).await;

    named.says(["127.0.0.1", "127.0.0.9"], ["up", "down"]).await;
    named
        .seen("DNS: a wrong address beside a right one", Ends::all_ok)
        .await;
    named.says(["127.0.0.1", "127.0.0.3"], ["up", "down"]).await;
    named
        .seen("DNS: another's server beside a right one", Ends::all_ok)
        .await;
    named.says(["127.0.0.9"], ["down"]).await;
    let nobody = |ends: &Ends| ends.all_but(&[("503 all_down", LOAD..=LOAD)]);
    named.seen("DNS: wrong addresses only", nobody).await;

    named.says(["127.0.0.1", "127.0.0.2"], ["up", "up"]).await;
    named.scene.in_service(&["a", "b"]).await;
}
