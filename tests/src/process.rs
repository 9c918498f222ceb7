//! A program of ours, running.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::{PATIENCE, eventually};

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A program that this build made: it lies two folders above the test's own executable.
///
/// # Panics
///
/// When it is not there: `cargo test` alone builds only what the tests link, `make test` builds the programs first.
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().and_then(Path::parent).unwrap().join(name);
    assert!(
        path.exists(),
        "{} is not there: run `cargo build` first, or `make test`",
        path.display()
    );
    path
}

/// A child process whose output is kept line by line. Killed when dropped; when a test panics its log is printed.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; `name` is what its log is headed by. It reads from nowhere, and both outputs go to the log.
    pub fn start(name: &str, mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::default();
        let readers = vec![
            read_lines(child.stdout.take().unwrap(), Arc::clone(&log)),
            read_lines(child.stderr.take().unwrap(), Arc::clone(&log)),
        ];
        Self {
            name: name.into(),
            child,
            log,
            readers,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory that it ever had, in bytes, as Linux counts it.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .unwrap();
        kib.parse::<u64>().unwrap() * 1024
    }

    /// What it wrote so far, each output in its order.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line that contains `part` and returns it.
    pub async fn logged(&self, part: &str) -> String {
        eventually(
            &format!("{} logs {part:?}", self.name),
            PATIENCE,
            async || {
                self.log
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|line| line.contains(part))
                    .cloned()
            },
        )
        .await
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Waits for its end.
    pub async fn exit_within(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually(&what, deadline, async || self.exited()).await
    }

    /// SIGTERM: please end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGINT: Ctrl-C.
    pub fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// SIGHUP: read the file again.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGSTOP: stand still. The kernel still accepts connections for it; nobody answers.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: go on after [`Process::stop`].
    pub fn cont(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGKILL, and waits until it is gone and its port is free.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until `url` answers with a 2xx. Fails at once when the process ends instead.
    pub(crate) async fn ready_at(&mut self, url: &str) {
        let client = crate::client();
        let name = self.name.clone();
        eventually(&format!("{name} answers at {url}"), PATIENCE, async || {
            if let Some(status) = self.exited() {
                panic!("{name} ended before it was ready: {status}");
            }
            client
                .get(url)
                .send()
                .await
                .and_then(reqwest::Response::error_for_status)
        })
        .await;
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.pid().cast_signed()).unwrap();
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{signal:?} to {}: {error}", self.name));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            let mut out = std::io::stderr().lock();
            let _ = writeln!(out, "---- log of {} ----", self.name);
            for line in self.log() {
                let _ = writeln!(out, "{line}");
            }
        }
    }
}

fn read_lines(from: impl Read + Send + 'static, log: Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while matches!(from.read_until(b'\n', &mut line), Ok(1..)) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            log.lock().unwrap().push(text);
            line.clear();
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("sh", command)
    }

    #[tokio::test]
    async fn keeps_both_outputs_and_the_exit_status() {
        let mut process = shell("echo out; echo err >&2; printf last; exit 3");
        assert_eq!(process.exit_within(PATIENCE).await.code(), Some(3));
        for line in ["out", "err", "last"] {
            process.logged(line).await;
        }
    }

    #[tokio::test]
    async fn signals_arrive() {
        let mut process = shell(
            "trap 'echo hup' HUP; trap 'exit 7' TERM; echo set; while :; do sleep 0.01; done",
        );
        process.logged("set").await;
        process.hang_up();
        process.logged("hup").await;
        process.terminate();
        assert_eq!(process.exit_within(PATIENCE).await.code(), Some(7));
    }

    #[test]
    fn is_gone_when_dropped() {
        let process = shell("exec sleep 1000");
        let pid = Pid::from_raw(process.pid().cast_signed()).unwrap();
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
