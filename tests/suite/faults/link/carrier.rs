//! What carries packets from one network to the other, as badly as it is told to.

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_tun::Tun;

use super::{FAR, NEAR, Namespace, runtime};

/// What happens to a packet, in each direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quality {
    /// How long it takes.
    pub(super) delay: Duration,
    /// How much more or less than that, at most. Packets stay in their order.
    pub(super) jitter: Duration,
    /// How many get lost, from 0 to 1.
    pub(super) loss: f64,
}

/// A thread that carries packets until it is dropped.
pub(super) struct Carrier {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    quality: Quality,
    /// Nothing from or to these gets through.
    cut: Mutex<BTreeSet<Ipv4Addr>>,
    carried: AtomicU64,
    lost: AtomicU64,
}

/// The same packets get lost in each run, as far as the same packets are sent.
const SEED: u64 = 5252;

/// As much as the devices let a packet have.
const MTU: usize = 1500;

/// Packets that wait. A real link would drop more of them, and nobody has to see that here.
const QUEUE_MAX: usize = 10_000;

impl Carrier {
    pub(super) fn start(near: &Arc<Namespace>, far: &Arc<Namespace>, quality: Quality) -> Self {
        let shared = Arc::new(Shared {
            quality,
            cut: Mutex::default(),
            carried: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let (near, far, sees) = (Arc::clone(near), Arc::clone(far), Arc::clone(&shared));
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let near = device(&near, &[NEAR]);
                let far = device(&far, &FAR);
                ready.send(()).unwrap();
                tokio::select! {
                    () = carry(&near, &far, &sees, SEED) => (),
                    () = carry(&far, &near, &sees, SEED + 1) => (),
                    _ = stopped => (),
                }
            });
        });
        is_ready.recv().expect("devices at both ends");
        Self {
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Nothing from or to this server gets through any more, and nobody is told.
    pub(super) fn cut(&self, server: Ipv4Addr) {
        self.shared.cut.lock().unwrap().insert(server);
    }

    /// All gets through again.
    pub(super) fn heal(&self) {
        self.shared.cut.lock().unwrap().clear();
    }

    /// Packets that went across so far.
    pub(super) fn carried(&self) -> u64 {
        self.shared.carried.load(Ordering::Relaxed)
    }

    /// Packets that did not, so far.
    pub(super) fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A device in this namespace with these addresses. The thread is left there: what a device belongs to is decided when it is made.
fn device(namespace: &Namespace, addresses: &[Ipv4Addr]) -> Tun {
    namespace.enter();
    let first = addresses.first().expect("an address");
    let device = Tun::builder()
        .name("link")
        .mtu(MTU as i32)
        .address(*first)
        .netmask(Ipv4Addr::new(255, 255, 255, 0))
        .up()
        .build();
    let device = device.expect("a device").pop().expect("one queue");
    for more in addresses.iter().skip(1) {
        let mut add = Command::new("ip");
        add.args(["addr", "add", &format!("{more}/24"), "dev", "link"]);
        assert!(add.status().unwrap().success());
    }
    device
}

/// One direction, for ever.
async fn carry(from: &Tun, to: &Tun, shared: &Shared, seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut under_way: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
    let mut packet = vec![0; MTU];
    loop {
        let arrival = under_way.front().map(|(due, _)| *due);
        tokio::select! {
            received = from.recv(&mut packet) => {
                let packet = &packet[..received.expect("a packet")];
                if under_way.len() >= QUEUE_MAX || shared.loses(packet, &mut chance) {
                    shared.lost.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                let last = under_way.back().map(|(due, _)| *due);
                let due = shared.quality.due(&mut chance).max(last.unwrap_or_else(Instant::now));
                under_way.push_back((due, packet.to_vec()));
            }
            () = until(arrival) => {
                let (_, packet) = under_way.pop_front().expect("what is due");
                // A device that is full drops it, as any network would.
                let _ = to.send(&packet).await;
                shared.carried.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

impl Quality {
    fn due(self, chance: &mut fastrand::Rng) -> Instant {
        let least = self.delay.saturating_sub(self.jitter);
        Instant::now() + least + self.jitter.mul_f64(2.0 * chance.f64())
    }
}

impl Shared {
    fn loses(&self, packet: &[u8], chance: &mut fastrand::Rng) -> bool {
        let cut = self.cut.lock().unwrap();
        let is_cut = ends(packet).is_some_and(|ends| ends.iter().any(|end| cut.contains(end)));
        is_cut || chance.f64() < self.quality.loss
    }
}

/// Source and destination of an IPv4 packet (RFC 791, section 3.1).
fn ends(packet: &[u8]) -> Option<[Ipv4Addr; 2]> {
    let is_v4 = packet.first()? >> 4 == 4;
    let address = |at: usize| {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(Ipv4Addr::from(octets))
    };
    is_v4.then_some([address(12)?, address(16)?])
}

#[test]
fn the_ends_of_a_packet_are_found() {
    let mut packet = vec![0; 20];
    packet[0] = 0x45;
    packet[12..20].copy_from_slice(&[10, 77, 0, 1, 10, 77, 0, 2]);
    assert_eq!(ends(&packet), Some([NEAR, FAR[0]]));
    packet[0] = 0x60;
    assert_eq!(ends(&packet), None);
    assert_eq!(ends(&[]), None);
}
