//! The routing file in several files, and secrets beside it: whichever of them changes is taken, or refused with its name.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use tidegate_tests::{Gateway, Load, Origin, PATIENCE, Process, eventually};

/// A server that answers with its name.
async fn named(name: &str) -> Origin {
    let length = name.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{name}");
    Origin::answering(answer.as_bytes()).await
}

/// Where the routing file of a command lies.
fn folder(command: &Command) -> PathBuf {
    let mut files = command.get_args().map(Path::new);
    let file = files.find(|it| it.is_file()).expect("the routing file");
    file.parent().unwrap().to_owned()
}

/// In one step, as editors do.
fn put(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let beside = path.with_extension("tmp");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(&beside, path).unwrap();
}

fn route(name: &str, upstream: &str) -> String {
    format!("routes: {{ {name}: {{ match: {{ path: /{name} }}, upstream: {upstream} }} }}\n")
}

/// Two servers, and a gateway whose routes are in files of their own: `routes/a.yaml` leads to the first.
struct Split {
    gateway: Gateway,
    _servers: [Origin; 2],
}

impl Split {
    async fn start() -> Self {
        let servers = [named("first").await, named("second").await];
        let main = format!(
            "include: routes/*.yaml\nupstreams:\n  first: {{ servers: [ \"{}\" ] }}\n  second: {{ servers: [ \"{}\" ] }}\n",
            servers[0].address(),
            servers[1].address()
        );
        let gateway = Gateway::start_with(&main, |command| {
            let path = folder(command).join("routes/a.yaml");
            put(&path, &route("a", "first"));
        })
        .await;
        Self {
            gateway,
            _servers: servers,
        }
    }

    fn put(&self, file: &str, text: &str) {
        put(
            &self.gateway.file().with_file_name("routes").join(file),
            text,
        );
    }

    fn remove(&self, file: &str) {
        let path = self.gateway.file().with_file_name("routes").join(file);
        std::fs::remove_file(path).unwrap();
    }

    async fn answers(&self, path: &str, expected: &str) {
        let what = format!("{expected} answers at {path}");
        eventually(&what, PATIENCE, async || {
            self.gateway.get(path).await.text().await.unwrap() == expected
        })
        .await;
    }

    async fn refusal(&self) -> String {
        eventually("the file is refused", PATIENCE, async || {
            let ready = self.gateway.ready().await.body;
            ready["refused"]["report"].as_str().map(ToOwned::to_owned)
        })
        .await
    }
}

#[tokio::test]
async fn an_edit_of_an_included_file_is_taken_under_load() {
    let split = Split::start().await;
    split.answers("/a", "first").await;
    let load = Load::start(&split.gateway.url("/a"), 4);
    for name in ["second", "first", "second", "first", "second"] {
        split.put("a.yaml", &route("a", name));
        split.answers("/a", name).await;
        load.more(10).await;
    }
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    let line = split.gateway.process.logged("routes/a.yaml changed").await;
    assert!(line.contains("routing file taken"), "{line}");
}

#[tokio::test]
async fn a_file_that_comes_is_taken_and_one_that_goes_is_missed() {
    let split = Split::start().await;
    assert_eq!(split.gateway.get("/b").await.status(), 404);
    // Neither is what an editor leaves behind.
    split.put(".b.yaml", "nonsense: true\n");
    split.put("b.yaml", &route("b", "second"));
    split.answers("/b", "second").await;
    split.gateway.process.logged("b.yaml is new").await;
    // And what came is watched as well.
    split.put("b.yaml", &route("b", "first"));
    split.answers("/b", "first").await;
    split.remove("b.yaml");
    eventually("the route is gone", PATIENCE, async || {
        split.gateway.get("/b").await.status() == 404
    })
    .await;
    split.answers("/a", "first").await;
    assert!(split.gateway.ready().await.body["refused"].is_null());
}

#[tokio::test]
async fn a_broken_included_file_is_refused_with_its_name_and_mended() {
    let split = Split::start().await;
    let load = Load::start(&split.gateway.url("/a"), 4);
    split.put(
        "b.yaml",
        "# One line above.\nroutes: { b: { upstream: frist } }\n",
    );
    let report = split.refusal().await;
    assert!(report.contains("routes/b.yaml:2:26"), "{report}");
    assert!(report.contains("did you mean `first`?"), "{report}");
    // The same name twice: both places.
    split.put("b.yaml", &route("a", "first"));
    eventually("both files are named", PATIENCE, async || {
        let report = split.refusal().await;
        report.contains("routes/b.yaml:1:11") && report.contains("routes/a.yaml:1:11")
    })
    .await;
    // Only the included file is touched, and that is enough.
    split.put("b.yaml", &route("b", "second"));
    split.answers("/b", "second").await;
    assert!(split.gateway.ready().await.body["refused"].is_null());
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
}

/// The include of one that is not there yet is refused until it is.
#[tokio::test]
async fn a_file_that_is_missing_is_waited_for() {
    let split = Split::start().await;
    split.put("a.yaml", "include: later.yml\n");
    let report = split.refusal().await;
    assert!(
        report.contains("cannot include") && report.contains("routes/a.yaml:1:10"),
        "{report}"
    );
    split.put("later.yml", &route("a", "second"));
    split.answers("/a", "second").await;
    assert!(split.gateway.ready().await.body["refused"].is_null());
}

/// Of a route that asks the server with a token from a file.
const TOKEN: &str = "routes:\n  all:\n    upstream: api\n    filters:\n      - request_headers: { set: { Authorization: \"Bearer ${file:secrets/token}\" } }\n";

/// A server that answers with the token that it got.
async fn asked() -> Origin {
    Origin::start(|mut connection| async move {
        while let Some(head) = connection.read_head().await {
            let mut lines = head.lines();
            let token = lines.find_map(|line| line.split_once("Bearer "));
            let token = token.map_or("none", |(_, token)| token);
            let length = token.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{token}");
            connection.write(answer.as_bytes()).await;
        }
    })
    .await
}

async fn token(gateway: &Gateway, expected: &str) {
    let what = format!("the server gets {expected}");
    eventually(&what, PATIENCE, async || {
        gateway.get("/").await.text().await.unwrap() == expected
    })
    .await;
}

#[tokio::test]
async fn a_rotated_secret_is_taken_and_nobody_reads_it_in_the_log() {
    let server = asked().await;
    let routing = format!(
        "{TOKEN}upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\n",
        server.address()
    );
    let mut secret = PathBuf::new();
    let gateway = Gateway::start_with(&routing, |command| {
        secret = folder(command).join("secrets/token");
        put(&secret, "hunter1\n");
    })
    .await;
    token(&gateway, "hunter1").await;
    let load = Load::start(&gateway.url("/"), 4);
    put(&secret, "hunter2\n");
    token(&gateway, "hunter2").await;
    // One that cannot be sent is refused, and not shown.
    put(&secret, "hunter3\nhunter4\n");
    let report = eventually("it is refused", PATIENCE, async || {
        let ready = gateway.ready().await.body;
        ready["refused"]["report"].as_str().map(ToOwned::to_owned)
    })
    .await;
    assert!(
        report.contains("tidegate.yaml:5:") && report.contains("***"),
        "{report}"
    );
    std::fs::remove_file(&secret).unwrap();
    gateway.process.logged("secrets/token is gone").await;
    put(&secret, "hunter5");
    token(&gateway, "hunter5").await;
    let report = load.stop().await;
    assert_eq!(report.failures(), 0, "{report:?}");
    let log = gateway.process.log().join("\n");
    assert!(!log.contains("hunter"), "{log}");
}

/// As a Secret is mounted: `token -> ..data/token`, `..data -> ..1`, and a new `..data` is renamed over the old one.
/// `${client.ip}` is what the client has; in a value that is put in, and behind `$$`, it is text.
#[tokio::test]
async fn what_is_put_in_arrives_as_it_is() {
    let server = asked().await;
    let routing = format!(
        "{}upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\n",
        TOKEN.replace("token}", "token} $${client.ip} ${client.ip}"),
        server.address()
    );
    let gateway = Gateway::start_with(&routing, |command| {
        put(
            &folder(command).join("secrets/token"),
            "a${b}c ${client.ip}\n",
        );
    })
    .await;
    token(&gateway, "a${b}c ${client.ip} ${client.ip} 127.0.0.1").await;
}

#[tokio::test]
async fn a_mounted_secret_whose_link_is_swapped_is_taken() {
    let server = asked().await;
    let routing = format!(
        "{TOKEN}upstreams: {{ api: {{ servers: [ \"{}\" ] }} }}\n",
        server.address()
    );
    let mounted = |folder: &Path, number: usize| {
        let version = folder.join(format!("..{number}"));
        put(&version.join("token"), &format!("token-{number}"));
        let beside = folder.join("..data_tmp");
        symlink(format!("..{number}"), &beside).unwrap();
        std::fs::rename(beside, folder.join("..data")).unwrap();
        if number > 1 {
            std::fs::remove_dir_all(folder.join(format!("..{}", number - 1))).unwrap();
        }
    };
    let mut secrets = PathBuf::new();
    let gateway = Gateway::start_with(&routing, |command| {
        secrets = folder(command).join("secrets");
        mounted(&secrets, 1);
        symlink("..data/token", secrets.join("token")).unwrap();
    })
    .await;
    token(&gateway, "token-1").await;
    for number in 2..5 {
        mounted(&secrets, number);
        token(&gateway, &format!("token-{number}")).await;
    }
}

/// What a filter or an answer names lies beside the file that names it, and is watched.
#[tokio::test]
async fn a_file_in_the_options_of_an_included_one_lies_beside_it_and_is_watched() {
    let split = Split::start().await;
    split.put("page.txt", "one");
    let route = "routes: { page: { match: { path: /page }, respond: { file: page.txt } } }\n";
    split.put("page.yaml", route);
    split.answers("/page", "one").await;
    split.put("page.txt", "two");
    split.answers("/page", "two").await;
}

/// What a load read is compared with what is there: nothing is left to take after it.
#[tokio::test]
async fn an_edit_is_taken_once() {
    let split = Split::start().await;
    let before = split.gateway.ready().await.generation;
    split.put("a.yaml", &route("a", "second"));
    split.answers("/a", "second").await;
    split.put("c.yaml", &route("c", "first"));
    split.answers("/c", "first").await;
    assert_eq!(split.gateway.ready().await.generation, before + 2);
}

/// The same routes again, however the file was called when they were kept.
#[tokio::test]
async fn what_was_included_comes_back_with_a_rollback() {
    let folder = tempfile::tempdir().unwrap();
    let web = tidegate_tests::free_address();
    let admin = tidegate_tests::free_address();
    let conf = folder.path().join("conf");
    std::fs::create_dir_all(conf.join("sub/x")).unwrap();
    let file = format!(
        "include: [ sub/more.yaml ]\nlisteners: {{ web: {{ address: \"{web}\" }} }}\nadmin: {{ address: \"{admin}\" }}\n"
    );
    std::fs::write(conf.join("t.yaml"), file).unwrap();
    std::fs::write(conf.join("sub/more.yaml"), "include: \"x/*.yaml\"\n").unwrap();
    let route = |text: &str| {
        let route = format!("routes: {{ a: {{ respond: {{ text: {text} }} }} }}\n");
        std::fs::write(conf.join("sub/x/a.yaml"), route).unwrap();
    };
    let client = tidegate_tests::client();
    let said = async || {
        let answer = client.get(format!("http://{web}/")).send().await.ok()?;
        answer.text().await.ok()
    };
    let starts = [
        ("conf/t.yaml", folder.path()),
        ("./conf/t.yaml", folder.path()),
        ("t.yaml", conf.as_path()),
    ];
    for (number, (name, from)) in starts.into_iter().enumerate() {
        route("one");
        let mut command = std::process::Command::new(tidegate_tests::program("tidegate"));
        let state = folder.path().join(format!("state-{number}"));
        command
            .args(["run", "-c", name, "--state"])
            .arg(state)
            .current_dir(from);
        let mut process = Process::start("tidegate", command);
        eventually("it serves", PATIENCE, async || {
            said().await.as_deref() == Some("one")
        })
        .await;
        route("two");
        eventually("the edit", PATIENCE, async || {
            said().await.as_deref() == Some("two")
        })
        .await;
        let back = client.post(format!("http://{admin}/config/rollback"));
        assert_eq!(back.send().await.unwrap().status(), 200, "{name}");
        assert_eq!(said().await.as_deref(), Some("one"), "{name}");
        process.terminate();
        process.exit_within(PATIENCE).await;
    }
}
