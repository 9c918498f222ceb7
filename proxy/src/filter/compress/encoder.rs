//! A body on its way through one of the libraries.

use std::io::Write;

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Algorithm;
use crate::filter::Transform;

/// As Caddy has it.
const GZIP_LEVEL: u32 = 5;
/// Somebody waits for the answer, and br is the dearest of the three as it is (bench/results/filters.md).
const BROTLI_QUALITY: i32 = 4;
/// 512 KiB, as a power of two; and what the format has at least.
const BROTLI_WINDOW: u32 = 19;
const BROTLI_WINDOW_MIN: u32 = 10;
const BROTLI_BUFFER: usize = 4096;
/// The library's default; its window of 2 MiB is within the 8 MiB that clients must have (RFC 9659).
const ZSTD_LEVEL: i32 = 3;
const ZSTD_WINDOW: u32 = 21;
const ZSTD_WINDOW_MIN: u32 = 10;
/// Of a body without an announced end, which may be a stream that stays open for hours, as may ten thousand others.
const ZSTD_WINDOW_OPEN: u32 = 17;
/// A longer one needs no larger window.
const LENGTH_MAX: u64 = 1 << 30;

/// Compresses into memory, from where each piece takes what there is.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// The last piece is through, or the library gave up.
    Done,
}

impl Encoder {
    /// None if the library has no memory for one. For a body whose length is known they take less of it.
    pub(super) fn new(algorithm: Algorithm, length: Option<u64>) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Algorithm::Br => {
                let fits = |length: u64| length.min(LENGTH_MAX).next_power_of_two().ilog2();
                let window = length.map_or(BROTLI_WINDOW, fits);
                let window = window.clamp(BROTLI_WINDOW_MIN, BROTLI_WINDOW);
                let parameters = BrotliEncoderParams {
                    quality: BROTLI_QUALITY,
                    lgwin: i32::try_from(window).unwrap_or_default(),
                    size_hint: usize::try_from(length.unwrap_or_default()).unwrap_or_default(),
                    ..BrotliEncoderParams::default()
                };
                let writer = CompressorWriter::with_params(Vec::new(), BROTLI_BUFFER, &parameters);
                Self::Brotli(Box::new(writer))
            }
            Algorithm::Zstd => {
                let mut writer = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?;
                // Not the length itself: a server may break its word, and then the library would refuse to end.
                let fits = |length: u64| length.min(LENGTH_MAX).next_power_of_two().ilog2();
                let window = length.map_or(ZSTD_WINDOW_OPEN, fits);
                let window = window.clamp(ZSTD_WINDOW_MIN, ZSTD_WINDOW);
                writer.window_log(window).ok()?;
                Self::Zstd(writer)
            }
        })
    }

    /// What is to be sent now: with this piece, all of it, for the next one may take its time.
    fn go_on(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        fn push(writer: &mut impl Write, piece: &[u8]) -> std::io::Result<()> {
            writer.write_all(piece)?;
            writer.flush()
        }
        Ok(match self {
            Self::Gzip(writer) => {
                push(writer, piece)?;
                std::mem::take(writer.get_mut())
            }
            Self::Brotli(writer) => {
                push(writer, piece)?;
                std::mem::take(writer.get_mut())
            }
            Self::Zstd(writer) => {
                push(writer, piece)?;
                std::mem::take(writer.get_mut())
            }
            Self::Done => Vec::new(),
        })
    }

    /// What is to be sent last.
    fn end(&mut self, piece: &[u8]) -> std::io::Result<Vec<u8>> {
        match std::mem::replace(self, Self::Done) {
            Self::Gzip(mut writer) => {
                writer.write_all(piece)?;
                writer.finish()
            }
            Self::Brotli(mut writer) => {
                writer.write_all(piece)?;
                Ok(writer.into_inner())
            }
            Self::Zstd(mut writer) => {
                writer.write_all(piece)?;
                writer.finish()
            }
            Self::Done => Ok(Vec::new()),
        }
    }
}

impl Transform for Encoder {
    fn piece(&mut self, piece: Bytes, is_last: bool) -> Bytes {
        if piece.is_empty() && !is_last {
            return piece;
        }
        let out = if is_last {
            self.end(&piece)
        } else {
            self.go_on(&piece)
        };
        // They write into memory: there is nothing that could fail.
        out.unwrap_or_default().into()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn decoded(algorithm: Algorithm, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let read = match algorithm {
            Algorithm::Gzip => flate2::read::GzDecoder::new(bytes).read_to_end(&mut out),
            Algorithm::Br => brotli::Decompressor::new(bytes, 4096).read_to_end(&mut out),
            Algorithm::Zstd => zstd::stream::read::Decoder::new(bytes)
                .unwrap()
                .read_to_end(&mut out),
        };
        // What is cut off still gives what came before.
        let _ = read;
        out
    }

    #[test]
    fn a_server_may_send_another_length_than_it_said() {
        let text = "tide and gate ".repeat(10_000);
        for algorithm in Algorithm::ALL {
            for said in [1, 1_000, 140_000, 1_000_000_000, u64::MAX] {
                let mut encoder = Encoder::new(algorithm, Some(said)).unwrap();
                let sent = encoder.piece(text.clone().into(), true);
                assert_eq!(
                    decoded(algorithm, &sent),
                    text.as_bytes(),
                    "{algorithm:?} {said}"
                );
            }
        }
    }

    #[test]
    fn each_piece_can_be_read_when_it_comes_and_the_whole_is_the_same() {
        for algorithm in Algorithm::ALL {
            let mut encoder = Encoder::new(algorithm, None).unwrap();
            let (mut sent, mut plain) = (Vec::new(), Vec::new());
            for number in 0..50 {
                let piece = format!("event {number}: {}\n", "x".repeat(number * 10));
                plain.extend_from_slice(piece.as_bytes());
                sent.extend_from_slice(&encoder.piece(piece.into(), false));
                assert_eq!(decoded(algorithm, &sent), plain, "{algorithm:?}");
            }
            sent.extend_from_slice(&encoder.piece(Bytes::new(), true));
            assert!(encoder.piece(Bytes::new(), true).is_empty());
            assert_eq!(decoded(algorithm, &sent), plain);
            assert!(sent.len() < plain.len() / 2, "{algorithm:?}");
        }
    }
}
