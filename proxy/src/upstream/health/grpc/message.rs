//! The two messages of `grpc.health.v1`, as they are on the wire: a question with one text, an answer with one number.
//!
//! ```proto
//! message HealthCheckRequest { string service = 1; }
//! message HealthCheckResponse { ServingStatus status = 1; }
//! ```
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>; frames:
//! <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderValue;

/// Of a frame: whether the message is compressed, and its length in four bytes.
const HEAD: usize = 5;

/// Field 1, text or bytes.
const SERVICE: u8 = (1 << 3) | 2;

/// Field 1, a number.
const STATUS: u64 = 1 << 3;

/// A question about this service, in its frame.
pub(super) fn question(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    // What is empty is left out.
    if !service.is_empty() {
        message.put_u8(SERVICE);
        put_number(&mut message, service.len());
        message.put_slice(service.as_bytes());
    }
    let mut frame = BytesMut::with_capacity(HEAD + message.len());
    frame.put_u8(0);
    // A service with a name of 4 GiB is in no file.
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

fn put_number(message: &mut BytesMut, mut number: usize) {
    while number > 0x7f {
        message.put_u8(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    message.put_u8(number.to_le_bytes()[0]);
}

/// The status in a framed answer, by its name; none if it is no such answer.
pub(super) fn status_name(frame: &[u8]) -> Option<&'static str> {
    let (&[compressed, a, b, c, d], message) = frame.split_first_chunk::<HEAD>()?;
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).ok()?;
    if compressed != 0 || length != message.len() {
        return None;
    }
    match status(message)? {
        0 => Some("UNKNOWN"),
        1 => Some("SERVING"),
        2 => Some("NOT_SERVING"),
        3 => Some("SERVICE_UNKNOWN"),
        _ => None,
    }
}

/// The last one counts; a field that is not known is passed over, and one that is left out is 0.
fn status(mut message: &[u8]) -> Option<u64> {
    let mut status = 0;
    while !message.is_empty() {
        let key = number(&mut message)?;
        match key & 7 {
            0 => {
                let value = number(&mut message)?;
                if key == STATUS {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let length = usize::try_from(number(&mut message)?).ok()?;
                message = message.get(length..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow, up to ten bytes.
fn number(message: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for place in 0..10 {
        let (&byte, rest) = message.split_first()?;
        *message = rest;
        number |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// What a `grpc-status` is called.
pub(super) fn code_name(code: &HeaderValue) -> &str {
    match code.as_bytes() {
        b"1" => "CANCELLED",
        b"2" => "UNKNOWN",
        b"3" => "INVALID_ARGUMENT",
        b"4" => "DEADLINE_EXCEEDED",
        b"5" => "NOT_FOUND",
        b"6" => "ALREADY_EXISTS",
        b"7" => "PERMISSION_DENIED",
        b"8" => "RESOURCE_EXHAUSTED",
        b"9" => "FAILED_PRECONDITION",
        b"10" => "ABORTED",
        b"11" => "OUT_OF_RANGE",
        b"12" => "UNIMPLEMENTED",
        b"13" => "INTERNAL",
        b"14" => "UNAVAILABLE",
        b"15" => "DATA_LOSS",
        b"16" => "UNAUTHENTICATED",
        _ => "a `grpc-status` that is none",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_others_send() {
        assert_eq!(&question("")[..], b"\0\0\0\0\0");
        assert_eq!(&question("a.B")[..], b"\0\0\0\0\x05\x0a\x03a.B");
        let long = "x".repeat(300);
        let question = question(&long);
        assert_eq!(&question[..8], b"\0\0\0\x01\x2f\x0a\xac\x02");
        assert_eq!(question.len(), 5 + 3 + 300);
    }

    #[test]
    fn an_answer_is_read_whatever_else_it_has() {
        let name = |message: &[u8]| {
            let mut frame = vec![0, 0, 0, 0, message.len() as u8];
            frame.extend_from_slice(message);
            status_name(&frame)
        };
        for (message, expected) in [
            (&b""[..], Some("UNKNOWN")),
            (b"\x08\x01", Some("SERVING")),
            (b"\x08\x02", Some("NOT_SERVING")),
            (b"\x08\x03", Some("SERVICE_UNKNOWN")),
            (b"\x08\x81\x00", Some("SERVING")),
            (b"\x08\x02\x08\x01", Some("SERVING")),
            (
                b"\x12\x02hi\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x08\x01",
                Some("SERVING"),
            ),
            (b"\x08\x04", None),
            (b"\x08", None),
            (b"\x0a\x7fshort", None),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", None),
            (b"\x0b", None),
        ] {
            assert_eq!(name(message), expected, "{message:x?}");
        }
        for frame in [
            &b""[..],
            b"\0\0\0",
            b"\x01\0\0\0\x02\x08\x01",
            b"\0\0\0\0\x03\x08\x01",
        ] {
            assert_eq!(status_name(frame), None, "{frame:x?}");
        }
    }
}
