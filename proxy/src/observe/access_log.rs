//! One line per request. A slow terminal or disk never slows a request (`lines`): what finds no room is dropped, and its
//! number is told when the process ends.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::Format;
use super::lines::{Lines, Writing};

/// Room for a line of usual length.
const LINE: usize = 512;

/// Everything a line says.
#[derive(Debug)]
pub struct Entry<'a> {
    /// When the request ended.
    pub time: SystemTime,
    /// The client's id for it, or ours.
    pub request_id: &'a str,
    /// Who asked.
    pub client: Option<IpAddr>,
    /// The method.
    pub method: &'a str,
    /// The host as sent.
    pub host: Option<&'a str>,
    /// The path without its query, which may hold secrets.
    pub path: &'a str,
    /// What the client was sent; 499 if it left before.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: usize,
    /// The route that took it.
    pub route: Option<&'a str>,
    /// The upstream that the route leads to.
    pub upstream: Option<&'a str>,
    /// The server that it was sent to last.
    pub server: Option<SocketAddr>,
    /// How often it was sent.
    pub attempts: u8,
    /// How long it took.
    pub durations: Durations,
    /// Why no server's answer reached the client.
    pub failure: Option<&'a str>,
}

/// How long a request took, written in milliseconds.
#[derive(Debug, Clone, Copy)]
pub struct Durations {
    /// From the head of the request to the end of the answer.
    pub total: Duration,
    /// Until the connection to the server stood; nothing if one was at hand.
    pub connect: Option<Duration>,
    /// From the head of the request to the head of the answer.
    pub first_byte: Option<Duration>,
}

impl Serialize for Entry<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("Entry", 14)?;
        line.serialize_field("time", &Time(self.time))?;
        line.serialize_field("request_id", self.request_id)?;
        line.serialize_field("client", &self.client)?;
        line.serialize_field("method", self.method)?;
        line.serialize_field("host", &self.host)?;
        line.serialize_field("path", self.path)?;
        line.serialize_field("status", &self.status)?;
        line.serialize_field("bytes", &self.bytes)?;
        line.serialize_field("route", &self.route)?;
        line.serialize_field("upstream", &self.upstream)?;
        line.serialize_field("server", &self.server)?;
        line.serialize_field("attempts", &self.attempts)?;
        line.serialize_field("duration_ms", &self.durations)?;
        line.serialize_field("failure", &self.failure)?;
        line.end()
    }
}

impl Serialize for Durations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut durations = serializer.serialize_struct("Durations", 3)?;
        durations.serialize_field("total", &milliseconds(self.total))?;
        durations.serialize_field("connect", &self.connect.map(milliseconds))?;
        durations.serialize_field("first_byte", &self.first_byte.map(milliseconds))?;
        durations.end()
    }
}

/// To the millisecond (RFC 3339).
struct Time(SystemTime);

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(self.0))
    }
}

/// To the microsecond: finer digits are noise.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

/// Where the lines go.
pub struct AccessLog {
    sink: Option<Sink>,
}

struct Sink {
    lines: Lines,
    json: bool,
}

impl AccessLog {
    /// Lines on standard output. The log ends, with all its lines written, when the second value is dropped.
    ///
    /// # Errors
    /// The system has no thread or no file descriptor left.
    pub fn to_stdout(format: Format) -> io::Result<(Self, Writing)> {
        let json = format.is_json(&io::stdout());
        let (lines, writing) = Lines::to_stdout()?;
        let sink = Some(Sink { lines, json });
        Ok((Self { sink }, writing))
    }

    /// No lines at all.
    pub fn off() -> Self {
        Self { sink: None }
    }

    /// Whether it is worth to make an entry.
    pub fn is_on(&self) -> bool {
        self.sink.is_some()
    }

    /// Lines that found the queue full.
    pub fn dropped(&self) -> usize {
        self.sink.as_ref().map_or(0, |sink| sink.lines.dropped())
    }

    /// Leaves a line to the writer.
    pub fn write(&self, entry: &Entry<'_>) {
        let Some(sink) = &self.sink else { return };
        let mut line = Vec::with_capacity(LINE);
        if sink.json {
            // Writing to memory does not fail, and an entry has nothing that JSON does not know.
            let _ = serde_json::to_writer(&mut line, entry);
        } else {
            line.extend_from_slice(human(entry).as_bytes());
        }
        line.push(b'\n');
        sink.lines.leave(&line);
    }
}

/// `12:00:00.000 200 GET example.com/api 13 B 1.2 ms  api -> 10.0.0.7:80  0190…`
fn human(entry: &Entry<'_>) -> String {
    let time = humantime::format_rfc3339_millis(entry.time).to_string();
    let clock = time.get(11..23).unwrap_or(&time);
    let client = entry
        .client
        .map_or_else(|| "-".to_owned(), |client| client.to_string());
    let Entry {
        status,
        method,
        path,
        bytes,
        request_id,
        ..
    } = entry;
    let host = entry.host.unwrap_or("-");
    let total = milliseconds(entry.durations.total);
    let mut line =
        format!("{clock} {status} {method} {host}{path} {bytes} B {total:.1} ms  {client}");
    if let (Some(route), Some(server)) = (entry.route, entry.server) {
        line += &format!("  {route} -> {server}");
    }
    if entry.attempts > 1 {
        line += &format!("  {} attempts", entry.attempts);
    }
    if let Some(failure) = entry.failure {
        line += &format!("  {failure}");
    }
    line + "  " + request_id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry<'static> {
        Entry {
            time: SystemTime::UNIX_EPOCH,
            request_id: "id-1",
            client: Some([127, 0, 0, 1].into()),
            method: "GET",
            host: Some("h"),
            path: "/p",
            status: 200,
            bytes: 13,
            route: Some("api"),
            upstream: Some("api"),
            server: Some(([127, 0, 0, 1], 80).into()),
            attempts: 1,
            durations: Durations {
                total: Duration::from_micros(1234),
                connect: None,
                first_byte: Some(Duration::from_millis(1)),
            },
            failure: None,
        }
    }

    #[test]

    fn a_program_reads_every_field() {
        let line = serde_json::to_string(&entry()).unwrap();
        assert_eq!(
            line,
            r#"{"time":"1970-01-01T00:00:00.000Z","request_id":"id-1","client":"127.0.0.1","method":"GET","host":"h","path":"/p","status":200,"bytes":13,"route":"api","upstream":"api","server":"127.0.0.1:80","attempts":1,"duration_ms":{"total":1.234,"connect":null,"first_byte":1.0},"failure":null}"#
        );
    }

    #[test]
    fn a_person_reads_what_matters_first() {
        assert_eq!(
            human(&entry()),
            "00:00:00.000 200 GET h/p 13 B 1.2 ms  127.0.0.1  api -> 127.0.0.1:80  id-1"
        );
    }
}
