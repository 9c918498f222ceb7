//! The routing file changes while traffic flows.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::Client;
use tidegate_tests::{
    Api, Gateway, Load, Origin, PATIENCE, Probe, client, eventually, free_address,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

/// Everything goes to this one server.
fn to(server: SocketAddr) -> String {
    format!(
        "upstreams: {{ api: {{ servers: [ \"{server}\" ] }} }}\n\
         routes: {{ all: {{ upstream: api }} }}\n"
    )
}

/// A server that answers with its name.
async fn named(name: &str) -> Origin {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    Origin::answering(answer.as_bytes()).await
}

/// Two servers, and a gateway whose file leads to the first.
async fn start() -> (Gateway, Origin, Origin) {
    let (first, second) = (named("first").await, named("second").await);
    let gateway = Gateway::start(&to(first.address())).await;
    assert_eq!(who(&gateway).await, "first");
    (gateway, first, second)
}

async fn who(gateway: &Gateway) -> String {
    gateway.get("/").await.text().await.unwrap()
}

async fn answers(gateway: &Gateway, expected: &str) {
    let what = format!("{expected} answers");
    eventually(&what, PATIENCE, async || who(gateway).await == expected).await;
}

/// Why the file on disk was refused, once it was.
async fn refusal(gateway: &Gateway) -> String {
    eventually("the file is refused", PATIENCE, async || {
        let ready = gateway.ready().await.body;
        ready["refused"]["report"].as_str().map(ToOwned::to_owned)
    })
    .await
}

fn count(gateway: &Gateway, part: &str) -> usize {
    let log = gateway.process.log();
    log.iter().filter(|line| line.contains(part)).count()
}

/// The file as it is, so that a test can write it in its own way.
fn text(gateway: &Gateway) -> String {
    std::fs::read_to_string(gateway.file()).unwrap()
}

/// A server that answers with its name once it is told to.
struct Held {
    origin: Origin,
    go: Arc<Notify>,
}

impl Held {
    async fn start() -> Self {
        let go = Arc::new(Notify::new());
        let told = Arc::clone(&go);
        let origin = Origin::start(move |mut connection| {
            let told = Arc::clone(&told);
            async move {
                while connection.read_head().await.is_some() {
                    told.notified().await;
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld";
                    connection.write(answer).await;
                }
            }
        })
        .await;
        Self { origin, go }
    }

    /// Asks at `url` and returns once the request is here.
    async fn asked(&self, url: String) -> tokio::task::JoinHandle<reqwest::Result<String>> {
        let before = self.origin.open();
        let asked = tokio::spawn(async move { client().get(url).send().await?.text().await });
        let arrived = async || self.origin.open() > before;
        eventually("the request is at the server", PATIENCE, arrived).await;
        asked
    }
}

// ---- under load ----

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
async fn converse(url: String, stop: Arc<std::sync::atomic::AtomicBool>) -> usize {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    let mut echoed = 0;
    while !stop.load(std::sync::atomic::Ordering::SeqCst) {
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

/// Each edit changes which servers there are, their weights and the upstream's settings.
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
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
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

// ---- a bad file ----

#[tokio::test]
async fn a_bad_file_changes_nothing_and_says_where_and_a_good_one_clears_it() {
    let (gateway, first, second) = start().await;
    let generation = gateway.ready().await.generation;
    let load = Load::start(&gateway.url("/"), 4);
    let bad = to(second.address()).replace("upstream: api", "upstream: apo");
    gateway.edit(&bad);
    let report = refusal(&gateway).await;
    let (line, column) = place(&bad, "apo");
    let place = format!("tidegate.yaml:{line}:{column}");
    assert!(report.contains(&place), "{place} is not in {report}");
    assert!(
        report.contains("apo") && report.contains("`api`"),
        "{report}"
    );
    let ready = gateway.ready().await;
    assert_eq!((ready.status, ready.generation), (200, generation));
    assert_eq!(who(&gateway).await, "first");

    // The same text again is not a change.
    gateway.edit(&bad);
    // Nor is a worse one a reason to stop, and it is told.
    gateway.edit("listeners: [");
    let what = "the other report";
    eventually(what, PATIENCE, async || refusal(&gateway).await != report).await;
    assert_eq!(who(&gateway).await, "first");

    gateway.edit(&to(second.address()));
    gateway.generation_after(generation).await;
    answers(&gateway, "second").await;
    assert!(gateway.ready().await.body["refused"].is_null());
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    assert_eq!(count(&gateway, "routing file refused"), 2, "each once");
    assert!(first.accepted() > 0);
}

/// Line and column, from 1.
fn place(text: &str, part: &str) -> (usize, usize) {
    let mut lines = text.lines().enumerate();
    let found = lines.find_map(|(line, text)| Some((line + 1, text.find(part)? + 1)));
    found.unwrap()
}

/// Going back to what runs is a good edit, too.
#[tokio::test]
async fn taking_a_bad_edit_back_clears_it() {
    let (gateway, first, _second) = start().await;
    gateway.edit("routes: {}\nrotes: {}\n");
    let report = refusal(&gateway).await;
    assert!(report.contains("rotes"), "{report}");
    gateway.edit(&to(first.address()));
    eventually("the refusal is gone", PATIENCE, async || {
        gateway.ready().await.body["refused"].is_null()
    })
    .await;
    assert_eq!(who(&gateway).await, "first");
}

// ---- ways to write a file ----

#[tokio::test]
async fn a_hang_up_takes_the_file_again() {
    let (gateway, _first, _second) = start().await;
    for _ in 0..3 {
        let before = gateway.ready().await.generation;
        gateway.process.hang_up();
        gateway.generation_after(before).await;
        assert_eq!(who(&gateway).await, "first");
    }
    gateway.edit("nonsense: true\n");
    refusal(&gateway).await;
    gateway.process.hang_up();
    gateway.process.logged("SIGHUP").await;
    assert_eq!(who(&gateway).await, "first");
}

#[tokio::test]
async fn an_editor_that_renames_is_noticed() {
    let (gateway, first, second) = start().await;
    for (server, name) in [(&second, "second"), (&first, "first"), (&second, "second")] {
        // `edit` writes beside and renames. Some editors keep the old file under another name first.
        let backup = gateway.file().with_extension("yaml~");
        std::fs::rename(gateway.file(), &backup).unwrap();
        gateway.edit(&to(server.address()));
        answers(&gateway, name).await;
    }
    assert_eq!(text(&gateway).matches("upstreams").count(), 1);
}

#[tokio::test]
async fn a_file_that_is_written_in_place_is_noticed() {
    let (gateway, first, second) = start().await;
    let (mut from, mut onto) = (&first, &second);
    for name in ["second", "first", "second"] {
        let there = onto.address().to_string();
        let edited = text(&gateway).replace(&from.address().to_string(), &there);
        std::fs::write(gateway.file(), edited).unwrap();
        answers(&gateway, name).await;
        std::mem::swap(&mut from, &mut onto);
    }
    assert_eq!(count(&gateway, "routing file refused"), 0);
}

#[tokio::test]
async fn a_file_that_vanishes_changes_nothing_and_may_return() {
    let (gateway, first, second) = start().await;
    let whole = text(&gateway);
    std::fs::remove_file(gateway.file()).unwrap();
    let report = refusal(&gateway).await;
    assert!(report.contains("tidegate.yaml"), "{report}");
    assert_eq!(gateway.ready().await.status, 200);
    assert_eq!(who(&gateway).await, "first");
    // With other content, and once more with what it had.
    let there = second.address().to_string();
    let edited = whole.replace(&first.address().to_string(), &there);
    std::fs::write(gateway.file(), edited).unwrap();
    answers(&gateway, "second").await;
    std::fs::remove_file(gateway.file()).unwrap();
    refusal(&gateway).await;
    std::fs::write(gateway.file(), &whole).unwrap();
    answers(&gateway, "first").await;
    assert!(gateway.ready().await.body["refused"].is_null());
}

/// As a ConfigMap is mounted: `tidegate.yaml -> ..data/tidegate.yaml`, `..data -> ..1`, and an update makes `..2` and
/// renames a new `..data` over the old one.
struct Mounted {
    folder: PathBuf,
}

impl Mounted {
    fn version(&self, number: usize, text: &str) {
        let version = self.folder.join(format!("..{number}"));
        std::fs::create_dir(&version).unwrap();
        std::fs::write(version.join("tidegate.yaml"), text).unwrap();
        let beside = self.folder.join("..data_tmp");
        symlink(format!("..{number}"), &beside).unwrap();
        std::fs::rename(beside, self.folder.join("..data")).unwrap();
        if number > 1 {
            std::fs::remove_dir_all(self.folder.join(format!("..{}", number - 1))).unwrap();
        }
    }

    /// Turns a plain file into such a mount.
    fn around(file: &Path) -> Self {
        let folder = file.parent().unwrap().to_owned();
        let text = std::fs::read_to_string(file).unwrap();
        std::fs::remove_file(file).unwrap();
        let mounted = Self { folder };
        mounted.version(1, &text);
        symlink("..data/tidegate.yaml", file).unwrap();
        mounted
    }
}

#[tokio::test]
async fn a_mounted_folder_whose_link_is_swapped_is_noticed() {
    let (first, second) = (named("first").await, named("second").await);
    let mut mounted = None;
    let gateway = Gateway::start_with(&to(first.address()), |command| {
        let file = command.get_args().find(|it| Path::new(it).is_file());
        mounted = Some(Mounted::around(Path::new(file.unwrap())));
    })
    .await;
    assert_eq!(who(&gateway).await, "first");
    let whole = text(&gateway);
    let (one, two) = (first.address().to_string(), second.address().to_string());
    for (number, name) in [(2, "second"), (3, "first"), (4, "second")] {
        let edited = match name {
            "second" => whole.replace(&one, &two),
            _ => whole.clone(),
        };
        mounted.as_ref().unwrap().version(number, &edited);
        answers(&gateway, name).await;
    }
}

/// A link to a file elsewhere that is then edited there.
#[tokio::test]
async fn a_file_behind_a_link_is_noticed() {
    let (first, second) = (named("first").await, named("second").await);
    let elsewhere = tempfile::tempdir().unwrap();
    let real = elsewhere.path().join("real.yaml");
    let gateway = Gateway::start_with(&to(first.address()), |command| {
        let file = command.get_args().find(|it| Path::new(it).is_file());
        let file = Path::new(file.unwrap());
        std::fs::copy(file, &real).unwrap();
        std::fs::remove_file(file).unwrap();
        symlink(&real, file).unwrap();
    })
    .await;
    let (one, two) = (first.address().to_string(), second.address().to_string());
    let edited = text(&gateway).replace(&one, &two);
    std::fs::write(&real, edited).unwrap();
    answers(&gateway, "second").await;
}

#[tokio::test]
async fn of_two_edits_in_quick_succession_the_second_stays() {
    let (gateway, first, second) = start().await;
    for round in 0..10 {
        let (one, two, name) = match round % 2 {
            0 => (&first, &second, "second"),
            _ => (&second, &first, "first"),
        };
        gateway.edit(&to(one.address()));
        gateway.edit(&to(two.address()));
        answers(&gateway, name).await;
        let before = gateway.ready().await.generation;
        gateway.process.hang_up();
        gateway.generation_after(before).await;
        assert_eq!(who(&gateway).await, name);
    }
    // A bad one in between does no harm either.
    gateway.edit("nonsense: true\n");
    gateway.edit(&to(second.address()));
    answers(&gateway, "second").await;
    eventually("no refusal stays", PATIENCE, async || {
        gateway.ready().await.body["refused"].is_null()
    })
    .await;
}

// ---- listeners ----

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
    let (gateway, _first, _second) = start().await;
    let routing = to(_first.address());
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
    let h2c = || {
        let client = Client::builder().no_proxy().http2_prior_knowledge();
        client.build().unwrap()
    };
    let speaks_h2c = async || h2c().get(gateway.url("/")).send().await.is_ok();
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

// ---- what cannot change live ----

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

// ---- how quickly ----

/// An edit waits for new servers to be probed, but not for long: one that never answers does not hold it up.
#[tokio::test]
async fn an_edit_takes_effect_soon_even_when_a_new_server_does_not_answer() {
    let (gateway, first, _second) = start().await;
    let silent = tidegate_tests::Patient::held().await;
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
    let probe: Probe = silent.probe().await;
    assert_eq!(gateway.get("/new").await.status(), 200);
    probe.answer(200);
}
