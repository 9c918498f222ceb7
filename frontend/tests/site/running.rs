//! A front-end that runs, a site for it to serve, and what it answers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything may take before the test is called failed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate-frontend"));
    // What the developer's own shell has set is none of the test's business.
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A running front-end, killed when dropped.
pub(crate) struct Frontend {
    pub(crate) child: Child,
    pub(crate) address: SocketAddr,
}

impl Frontend {
    pub(crate) fn start(root: &Path, arguments: &[&str]) -> Self {
        let child = program()
            .args(["--listen", "127.0.0.1:0", "--root"])
            .arg(root)
            .args(arguments)
            .spawn();
        let mut child = child.unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().parse();
        let Ok(address) = address else {
            panic!("not where it listens: {line}")
        };
        // Keep reading, so that the process never blocks on a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, address }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// One request, as written: no client library gets to tidy the path up.
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        let mut stream = self.connect();
        stream
            .write_all(format!("{request}\r\n").as_bytes())
            .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        Answer::parse(&bytes)
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[])
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([name, &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    pub(crate) fn exit(&mut self) -> ExitStatus {
        let start = Instant::now();
        while start.elapsed() < DEADLINE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {DEADLINE:?}")
    }
}

impl Drop for Frontend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What came back. `body` is as on the wire, chunk sizes included where there are any.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap();
        let head = std::str::from_utf8(bytes.get(..end).unwrap()).unwrap();
        let mut lines = head.lines();
        let status = lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        let headers = lines
            .map(|line| line.split_once(": ").unwrap())
            .map(|(n, v)| (n.to_lowercase(), v.to_owned()));
        Self {
            status,
            headers: headers.collect(),
            body: bytes.get(end + 4..).unwrap().to_vec(),
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub(crate) const SCRIPT: &str = "// a script, long enough to be worth compressing\n";

/// A site to try things on, and beside it a secret that must never be served.
pub(crate) fn a_site() -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = folder.path().join("site");
    fs::create_dir_all(root.join("assets/empty")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::write(folder.path().join("secret.txt"), "secret").unwrap();
    fs::write(
        root.join("index.html"),
        format!("<!doctype html><p>{}</p>", "the page ".repeat(100)),
    )
    .unwrap();
    fs::write(root.join("404.html"), "<!doctype html><h1>lost at sea</h1>").unwrap();
    fs::write(root.join("assets/app.js"), SCRIPT.repeat(50)).unwrap();
    fs::write(root.join("assets/ten.txt"), "0123456789").unwrap();
    fs::write(root.join("assets/picture.png"), vec![7; 4000]).unwrap();
    fs::write(root.join(".env"), "secret").unwrap();
    fs::write(root.join(".git/config"), "secret").unwrap();
    symlink(root.join("assets/ten.txt"), root.join("inside.txt")).unwrap();
    symlink(folder.path().join("secret.txt"), root.join("outside.txt")).unwrap();
    symlink(folder.path(), root.join("up")).unwrap();
    symlink(root.join("loop"), root.join("loop")).unwrap();
    // How Kubernetes mounts a ConfigMap: the public name links into a directory that starts with a dot.
    fs::create_dir_all(root.join("..data")).unwrap();
    fs::write(root.join("..data/mounted.txt"), "mounted").unwrap();
    symlink("..data/mounted.txt", root.join("mounted.txt")).unwrap();
    folder
}

pub(crate) fn start(folder: &TempDir) -> Frontend {
    Frontend::start(&folder.path().join("site"), &[])
}
