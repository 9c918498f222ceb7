//! A network of the test's own.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tidegate_tests::skip;

/// A network namespace. It has no name, so nothing is left of it when the last one in it has gone: a process that holds it, and
/// that ends with this program's end of its input, however this one ends.
pub(super) struct Namespace {
    holder: Child,
    link: File,
}

const MAKE: &str = "ip link set lo up && echo made && exec cat";

impl Namespace {
    /// Whether this machine lets a test make networks and devices; says so if not.
    pub(super) fn is_possible(test: &str) -> bool {
        let mut made = Command::new("unshare");
        made.args(["--net", "sh", "-c", "ip tuntap add dev probe mode tun"]);
        let is_possible = Path::new("/dev/net/tun").exists()
            && made.output().is_ok_and(|output| output.status.success());
        if !is_possible {
            skip(
                &format!("faults: {test}"),
                "a network of its own takes root, /dev/net/tun, unshare (util-linux) and ip (iproute2)",
            );
        }
        is_possible
    }

    pub(super) fn make() -> Self {
        let mut command = Command::new("unshare");
        let mut holder = command
            .args(["--net", "sh", "-c", MAKE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(holder.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        assert_eq!(line, "made\n");
        let link = File::open(format!("/proc/{}/ns/net", holder.id())).unwrap();
        Self { holder, link }
    }

    /// This thread is in it from now on, with the sockets that it makes and the programs that it starts.
    pub(super) fn enter(&self) {
        move_into_link_name_space(self.link.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
    }

    /// Has this done on a thread that is in it.
    pub(super) fn within<T: Send>(&self, task: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                self.enter();
                task()
            });
            inside.join().unwrap()
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
