//! Ports that nobody uses.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Below the range that the kernel gives to outgoing connections (from 32768 on Linux, 49152 elsewhere). A port from
/// `bind(:0)` lies within it, and under load an unrelated connection takes it before the program that it was meant for.
const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

/// A port of 127.0.0.1 on which nothing listens. Two calls never give the same one.
pub fn free_port() -> u16 {
    for _ in 0..COUNT {
        let port = FIRST + next().fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT);
}

/// 127.0.0.1 and a [`free_port`].
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Test programs that run at the same time start at different places.
fn next() -> &'static AtomicU16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    NEXT.get_or_init(|| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .subsec_nanos();
        let mixed = now
            .wrapping_mul(31)
            .wrapping_add(std::process::id().wrapping_mul(7919));
        AtomicU16::new((mixed % u32::from(COUNT)) as u16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_is_another_one_and_free() {
        let ports: std::collections::BTreeSet<u16> = (0..50).map(|_| free_port()).collect();
        assert_eq!(ports.len(), 50);
        for port in ports {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
