//! A client that sends what a test tells it to, byte by byte, and reads what comes back as it stands on the wire.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::PATIENCE;

/// A client's connection.
#[derive(Debug)]
pub struct Wire {
    /// The socket, for all that has no method here.
    pub stream: TcpStream,
    /// What was read and not yet looked at.
    ahead: Vec<u8>,
}

/// An HTTP/1 message as it came: an answer, or a request that an origin read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message {
    /// Status line or request line.
    pub start: String,
    /// The fields in their order, as spelt.
    pub fields: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

/// How a message's body ends.
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

impl Wire {
    /// Connects.
    pub async fn connect(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap())
    }

    /// Over a connection that stands.
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            ahead: Vec::new(),
        }
    }

    /// Sends all of it. `false`: the other side is gone.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .is_ok_and(|sent| sent.is_ok())
    }

    /// The next answer, be it an interim one. `None`: the connection ended instead.
    pub async fn answer(&mut self) -> Option<Message> {
        self.answer_to("GET").await
    }

    /// The next answer to a request with this method: one to HEAD has no body.
    pub async fn answer_to(&mut self, method: &str) -> Option<Message> {
        let mut answer = self.head().await?;
        let status = answer.status();
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let framing = if bodiless {
            Framing::None
        } else {
            answer.framing(Framing::UntilClose)
        };
        answer.body = self.body(framing).await?;
        Some(answer)
    }

    /// The next answer that is not interim.
    pub async fn final_answer(&mut self) -> Option<Message> {
        loop {
            let answer = self.answer().await?;
            if answer.status() >= 200 {
                return Some(answer);
            }
        }
    }

    /// The next request, read as strictly as RFC 9112 allows: anything doubtful is a panic. `None`: the end.
    pub async fn request(&mut self) -> Option<Message> {
        let mut request = self.head().await?;
        request.assert_sound();
        let framing = request.framing(Framing::None);
        request.body = self.body(framing).await?;
        Some(request)
    }

    /// A head with nothing of its body.
    pub async fn head(&mut self) -> Option<Message> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.trim_end_matches("\r\n").split("\r\n");
        Some(Message {
            start: lines.next()?.to_owned(),
            fields: lines
                .map(|line| {
                    let (name, value) = line.split_once(':').unwrap_or((line, ""));
                    (name.to_owned(), value.trim().to_owned())
                })
                .collect(),
            body: Vec::new(),
        })
    }

    /// Whether the other side ends the connection within the time, whatever it sends before.
    pub async fn ends_within(&mut self, deadline: Duration) -> bool {
        timeout(deadline, self.rest()).await.is_ok()
    }

    /// All that comes until the other side ends the connection, or patience ends.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        self.taken()
    }

    /// What was read ahead.
    pub fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ahead)
    }

    /// The next bytes, so many of them.
    pub async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.ahead.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.ahead.drain(..length).collect())
    }

    /// The next bytes up to the end of `mark`.
    pub async fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self
                .ahead
                .windows(mark.len())
                .position(|bytes| bytes == mark);
            if let Some(at) = found {
                return Some(self.ahead.drain(..at + mark.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn more(&mut self) -> bool {
        let mut buffer = vec![0; 64 * 1024];
        match timeout(PATIENCE, self.stream.read(&mut buffer)).await {
            Ok(Ok(length @ 1..)) => {
                self.ahead.extend_from_slice(&buffer[..length]);
                true
            }
            _ => false,
        }
    }

    async fn body(&mut self, framing: Framing) -> Option<Vec<u8>> {
        match framing {
            Framing::None => Some(Vec::new()),
            Framing::Length(length) => self.take(length).await,
            Framing::UntilClose => Some(self.rest().await),
            Framing::Chunked => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.until(b"\r\n").await?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let size = line.trim_end().split(';').next().unwrap_or_default().trim();
            let length = usize::from_str_radix(size, 16)
                .unwrap_or_else(|_| panic!("not the size of a chunk: {line:?}"));
            if length == 0 {
                while self.until(b"\r\n").await? != b"\r\n" {}
                return Some(body);
            }
            body.extend(self.take(length).await?);
            assert_eq!(self.take(2).await?, b"\r\n", "after a chunk");
        }
    }
}

impl Message {
    /// The status of an answer, 0 if it is none.
    pub fn status(&self) -> u16 {
        self.word(1).parse().unwrap_or(0)
    }

    /// A word of the first line.
    pub fn word(&self, index: usize) -> &str {
        self.start.split(' ').nth(index).unwrap_or_default()
    }

    /// A field's values, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// A field's first value, whatever its case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn framing(&self, otherwise: Framing) -> Framing {
        if self
            .field("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            return Framing::Chunked;
        }
        match self.field("content-length") {
            Some(length) => Framing::Length(length.parse().unwrap()),
            None => otherwise,
        }
    }

    /// No reader could take the message for another one, or for two.
    fn assert_sound(&self) {
        assert_eq!(self.start.split(' ').count(), 3, "{self:?}");
        for (name, value) in &self.fields {
            let is_token = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&byte));
            assert!(is_token, "field name {name:?} in {self:?}");
            let is_plain = !value
                .bytes()
                .any(|byte| byte.is_ascii_control() && byte != b'\t');
            assert!(is_plain, "field value {value:?} in {self:?}");
        }
        let lengths = self.all("content-length").len();
        let codings = self.all("transfer-encoding");
        assert!(lengths + codings.len() <= 1, "two framings in {self:?}");
        assert!(
            codings
                .iter()
                .all(|coding| coding.eq_ignore_ascii_case("chunked")),
            "{self:?}"
        );
        assert_eq!(self.all("host").len(), 1, "{self:?}");
    }
}
