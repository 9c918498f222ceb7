//! Whether a client speaks HTTP/2 without TLS: it says so with its first bytes.

use std::io;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;

/// RFC 9113, section 3.4.
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Looks without taking. Ends with the first byte that decides, or when no other can come.
pub(super) async fn begins_with_preface(stream: &TcpStream) -> io::Result<bool> {
    /// The preface comes in one piece but for the rarest case; then this is how soon the rest is looked for, and how often
    /// in the end.
    const GLANCE: Duration = Duration::from_millis(5);
    const GLANCE_MAX: Duration = Duration::from_millis(200);
    let mut seen = [0; H2_PREFACE.len()];
    let mut glance = GLANCE;
    loop {
        let length = stream.peek(&mut seen).await?;
        let seen = seen.get(..length).unwrap_or_default();
        if seen.is_empty() || !H2_PREFACE.starts_with(seen) {
            return Ok(false);
        }
        if seen.len() == H2_PREFACE.len() {
            return Ok(true);
        }
        // What is there is not taken, so this never waits; it tells whether the client has hung up.
        if stream.ready(Interest::READABLE).await?.is_read_closed() {
            return Ok(false);
        }
        tokio::time::sleep(glance).await;
        glance = GLANCE_MAX.min(glance * 2);
    }
}
