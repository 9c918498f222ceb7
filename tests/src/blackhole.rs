//! An address that is silent.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::free_address;

/// A listener whose queue is full: the kernel drops every further SYN, as a host that is gone does.
#[derive(Debug)]
pub struct Blackhole {
    /// Where nobody answers.
    pub address: SocketAddr,
    _socket: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl Blackhole {
    /// On a free port of 127.0.0.1.
    ///
    /// # Panics
    ///
    /// Where the queue never fills.
    pub async fn start() -> Self {
        Self::start_at(free_address()).await
    }

    /// On this address.
    ///
    /// # Panics
    ///
    /// Where the queue never fills.
    pub async fn start_at(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(address).unwrap();
        let socket = socket.listen(0).unwrap();
        let mut queue = Vec::new();
        // The queue of a backlog of 0 holds one or two, depending on the kernel.
        for _ in 0..16 {
            match timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
                Ok(stream) => queue.push(stream.unwrap()),
                Err(_) => {
                    return Self {
                        address,
                        _socket: socket,
                        _queue: queue,
                    };
                }
            }
        }
        panic!("the queue never fills");
    }
}
