//! Services that know servers, and how they are asked: HTTP/1.1 over a connection for each question, of TCP or a Unix socket;
//! and answers without an end, which say line by line that something changed.
//!
//! | file | holds |
//! |---|---|
//! | `url` | where one is that is named by a URL |
//! | `reach` | a host with several addresses |
//! | `course` | how it goes with one that tells what changes |

pub(super) mod course;
pub(super) mod reach;
pub(super) mod url;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout};

use self::reach::first_of;
use crate::config::{self, Diagnostic, Spanned, code};

/// For an answer, the connection included; one without an end has to begin by then.
const PATIENCE: Duration = Duration::from_secs(5);

/// A list of tens of thousands of servers is smaller.
const ANSWER_MAX: usize = 64 << 20;

/// A change is told in some hundreds of bytes, in etcd with the value that changed: 1.5 MiB by default.
const LINE_MAX: usize = 16 << 20;

/// Changes that come so soon after one another are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);

/// Looking at everything more often (in milliseconds) is a load of its own: what changes is told.
pub(super) const REFRESH_FLOOR: u64 = 1000;

/// Where one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Service {
    /// A socket on this machine.
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

/// What one answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer that does not end.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    unread: BytesMut,
    /// So much of it has no end of a line.
    searched: usize,
    _connection: Connection,
}

/// Driven by a task of its own, until it is dropped.
#[derive(Debug)]
struct Connection(AbortHandle);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => path.display().fmt(f),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Service {
    /// The whole answer.
    ///
    /// # Errors
    /// Why there is none, in words for an operator.
    pub(super) async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Answer, String> {
        let asked = async {
            let (answer, _connection) = self.send(request).await?;
            let (head, body) = answer.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|error| format!("the answer of `{self}` broke off: {error}"));
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body: body?.to_bytes(),
            })
        };
        self.in_time(asked).await
    }

    /// The beginning of an answer that does not end.
    ///
    /// # Errors
    /// Why there is none, in words for an operator.
    pub(super) async fn listen(&self, request: Request<Full<Bytes>>) -> Result<Lines, String> {
        let (answer, connection) = self.in_time(self.send(request)).await?;
        let (head, body) = answer.into_parts();
        if head.status != StatusCode::OK {
            let body = Limited::new(body, LINE_MAX).collect();
            let body = timeout(PATIENCE, body).await.ok().and_then(Result::ok);
            let body = body.map(|body| body.to_bytes()).unwrap_or_default();
            return Err(refused(self, head.status, &body));
        }
        Ok(Lines {
            body,
            unread: BytesMut::new(),
            searched: 0,
            _connection: connection,
        })
    }

    async fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, String>>,
    ) -> Result<T, String> {
        let late = |_| format!("`{self}` does not answer within {PATIENCE:?}");
        timeout(PATIENCE, asked).await.map_err(late)?
    }

    async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, Connection), String> {
        let none = |why| format!("no connection to `{self}`: {why}");
        let sent = match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| none(reason(&error)))?;
                exchange(stream, request).await
            }
            Self::Tcp(address) => {
                let stream = connect(address).await.map_err(none)?;
                exchange(stream, request).await
            }
        };
        sent.map_err(|error| format!("`{self}` gives no answer that can be read: {error}"))
    }
}

/// To the first of the addresses that takes it.
async fn connect(address: &str) -> Result<TcpStream, String> {
    let begun = Instant::now();
    let all = lookup_host(address).await;
    let all: Vec<SocketAddr> = all.map_err(|error| reason(&error))?.collect();
    let left = PATIENCE.saturating_sub(begun.elapsed());
    first_of(&all, left, async |one| {
        TcpStream::connect(one)
            .await
            .map_err(|error| reason(&error))
    })
    .await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> hyper::Result<(Response<Incoming>, Connection)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(async move {
        // What ends it is seen by whoever waits for the answer.
        let _ = connection.await;
    });
    let driven = Connection(driven.abort_handle());
    Ok((sender.send_request(request).await?, driven))
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not use it".to_owned(),
        io::ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => error.to_string(),
    }
}

/// Services explain themselves in a line of JSON: `{"message":"..."}`.
pub(super) fn refused(service: &Service, status: StatusCode, body: &[u8]) -> String {
    let said: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let said = said.as_ref().and_then(|said| {
        let of = said.get("error").filter(|error| error.is_object());
        let message = of.unwrap_or(said).get("message")?;
        message.as_str().map(|message| format!(": {message}"))
    });
    let said = said.unwrap_or_default();
    format!("`{service}` answers {}{said}", status.as_u16())
}

impl Lines {
    /// Waits until a line says that something changed, or for `longest`: then it is time to look by oneself. `says` tells
    /// whether a line does, or why it is the last one.
    ///
    /// # Errors
    /// Why no more lines come.
    pub(super) async fn change(
        &mut self,
        longest: Duration,
        mut says: impl FnMut(&[u8]) -> Result<bool, String>,
    ) -> Result<(), String> {
        let first = async {
            while !says(&self.next().await?)? {}
            Ok::<(), String>(())
        };
        match timeout(longest, first).await {
            Ok(changed) => changed?,
            Err(_) => return Ok(()),
        }
        let rest = async {
            loop {
                says(&self.next().await?)?;
            }
        };
        timeout(TOGETHER, rest).await.unwrap_or(Ok(()))
    }

    /// May be dropped while it waits: nothing is lost.
    async fn next(&mut self) -> Result<BytesMut, String> {
        loop {
            let rest = self.unread.iter().skip(self.searched);
            if let Some(end) = rest.copied().position(|byte| byte == b'\n') {
                let length = std::mem::take(&mut self.searched) + end + 1;
                return Ok(self.unread.split_to(length));
            }
            self.searched = self.unread.len();
            if self.unread.len() > LINE_MAX {
                return Err("a line of it is too long".to_owned());
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.unread.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(format!("the stream of changes broke off: {error}"));
                }
                None => return Err("the stream of changes ended".to_owned()),
            }
        }
    }
}

/// What is wrong with how often everything is to be looked at.
pub(super) fn too_often(refresh: Spanned<config::Duration>) -> Option<Diagnostic> {
    let least = config::Duration::from_millis(REFRESH_FLOOR);
    (refresh.value < least).then(|| {
        let message = format!("`refresh` is `{}`", refresh.value);
        let problem = Diagnostic::error(code::OUT_OF_BOUNDS, message).at(refresh.span);
        problem.label(format!("expected at least `{least}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// Answers everybody with this and hangs up.
    fn serve(text: &'static str) -> (tempfile::TempDir, Service) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(text.as_bytes()).await;
            }
        });
        (folder, Service::Unix(path))
    }

    fn question() -> Request<Full<Bytes>> {
        Request::new(Full::default())
    }

    #[tokio::test]
    async fn lines_come_one_by_one_whatever_pieces_they_came_in_and_those_that_come_together_are_one_change()
     {
        let (_folder, service) = serve(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nno\nyes\r\n5\r\n\nyes\n\r\n0\r\n\r\n",
        );
        let mut lines = service.listen(question()).await.unwrap();
        let says = |line: &[u8]| Ok(line == b"yes\n");
        let long = Duration::from_secs(60);
        // The second change comes with the first, and then the end.
        let end = lines.change(long, says).await.unwrap_err();
        assert_eq!(end, "the stream of changes ended");
    }

    #[tokio::test]
    async fn a_line_that_never_comes_is_waited_for_no_longer_than_said() {
        let (near, mut far) = tokio::io::duplex(1024);
        let begin = async {
            let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let _ = far.read(&mut [0; 1024]).await;
            far.write_all(head).await.unwrap();
        };
        let (answer, ()) = tokio::join!(exchange(near, question()), begin);
        let (answer, connection) = answer.unwrap();
        let mut lines = Lines {
            body: answer.into_body(),
            unread: BytesMut::new(),
            searched: 0,
            _connection: connection,
        };
        let says = |_: &[u8]| Ok(true);
        let silent = lines.change(Duration::from_millis(1), says).await;
        assert_eq!(silent, Ok(()));
        far.write_all(b"2\r\na\n\r\n").await.unwrap();
        let told = lines.change(Duration::from_secs(60), says).await;
        assert_eq!(told, Ok(()));
    }

    #[tokio::test]
    async fn what_went_wrong_is_said_in_words() {
        let nowhere = Service::Unix("/nowhere/socket".into());
        let told = nowhere.ask(question()).await.unwrap_err();
        assert_eq!(
            told,
            "no connection to `/nowhere/socket`: there is no such socket"
        );
        let (_folder, service) = serve(
            "HTTP/1.1 403 Forbidden\r\nContent-Length: 22\r\n\r\n{\"message\":\"not you\"}\n",
        );
        let told = service.listen(question()).await.unwrap_err();
        assert_eq!(told, format!("`{service}` answers 403: not you"));
        let (_folder, service) = serve("what?\r\n\r\n");
        let told = service.ask(question()).await.unwrap_err();
        assert!(told.contains("gives no answer that can be read"), "{told}");
    }
}
