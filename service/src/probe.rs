//! The `health` command of each program: asks the instance at its own address how it is. For container health checks,
//! where there is no curl; one plain HTTP/1.1 exchange is not worth a client library.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For the connection, and for each read and write. Docker's own default for a whole check is 30 s.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why the instance is not healthy.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// It does not answer.
    #[error("no answer from {address}: {source}")]
    NoAnswer {
        /// Where it was asked.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// It answers that it is not.
    #[error("{address} answered `{status_line}`")]
    Refused {
        /// Where it was asked.
        address: SocketAddr,
        /// The first line of its answer.
        status_line: String,
    },
}

/// Asks once, at the address that the instance listens on.
///
/// # Errors
/// It does not answer 200.
pub fn check(listen: SocketAddr, path: &str) -> Result<(), Unhealthy> {
    let address = reachable(listen);
    let status_line =
        ask(address, path).map_err(|source| Unhealthy::NoAnswer { address, source })?;
    if status_line.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(Unhealthy::Refused {
        address,
        status_line,
    })
}

/// "All addresses" is where one listens, not where one connects.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn ask(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // One write, so that the request arrives whole: formatting into the socket would send it in pieces.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    let answer = String::from_utf8_lossy(answer.get(..length).unwrap_or_default());
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::net::TcpListener;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn only_200_is_healthy() {
        assert!(check(answering("HTTP/1.1 200 OK\r\n\r\n"), "/").is_ok());
        let unhealthy =
            check(answering("HTTP/1.1 503 Service Unavailable\r\n\r\n"), "/").unwrap_err();
        assert!(unhealthy.to_string().contains("503"), "{unhealthy}");
        assert!(check(answering(""), "/").is_err());
    }

    #[test]
    fn nobody_there_is_unhealthy() {
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        assert!(matches!(check(free, "/"), Err(Unhealthy::NoAnswer { .. })));
    }

    #[test]
    fn all_addresses_are_asked_on_the_loopback() {
        let reach = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reach("0.0.0.0:5252"), "127.0.0.1:5252");
        assert_eq!(reach("[::]:5252"), "[::1]:5252");
        assert_eq!(reach("10.0.0.1:80"), "10.0.0.1:80");
    }
}
