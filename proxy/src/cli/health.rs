//! `tidegate health`: is the local instance ready? Asks the operator's side at the address that the file names.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use crate::config;

/// For each step; Docker kills a health check that takes longer than its own limit.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn health(path: &Path) -> ExitCode {
    match is_ready(path) {
        Ok(()) => {
            println!("ready");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            eprintln!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn is_ready(path: &Path) -> Result<(), String> {
    let loaded = config::load(path).map_err(|report| report.to_string())?;
    let admin = loaded.file.admin.ok_or_else(|| {
        format!(
            "{}: without `admin: {{ address: ... }}` there is nobody to ask",
            path.display()
        )
    })?;
    let address = reachable(admin.address.value);
    let status = ask(address).map_err(|error| format!("no answer from {address}: {error}"))?;
    if status == "200" {
        Ok(())
    } else {
        Err(format!("not ready: {address} answers {status}"))
    }
}

/// The loopback address for one that stands for all.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    Ok(answer
        .split_whitespace()
        .nth(1)
        .unwrap_or("nothing")
        .to_owned())
}
