//! A body on its way through one of the libraries.

use std::io::Write;

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Algorithm;
use crate::filter::Transform;

/// As Caddy has it: 1 saves a third of the time, 9 takes thrice as long for two per cent.
const GZIP_LEVEL: u32 = 5;
/// The highest one that is about as fast as gzip.
const BROTLI_QUALITY: u32 = 4;
/// 512 KiB.
const BROTLI_WINDOW: u32 = 19;
const BROTLI_BUFFER: usize = 4096;
/// The library's default; its window of 2 MiB is within the 8 MiB that clients must have (RFC 9659).
const ZSTD_LEVEL: i32 = 3;

/// Compresses into memory, from where each piece takes what there is.
pub(super) enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
    /// The last piece is through, or the library gave up.
    Done,
}

impl Encoder {
    /// None if the library has no memory for one.
    pub(super) fn new(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))),
            Algorithm::Br => Self::Brotli(Box::new(CompressorWriter::new(
                Vec::new(),
                BROTLI_BUFFER,
                BROTLI_QUALITY,
                BROTLI_WINDOW,
            ))),
            Algorithm::Zstd => {
                Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL).ok()?)
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
    fn each_piece_can_be_read_when_it_comes_and_the_whole_is_the_same() {
        for algorithm in Algorithm::ALL {
            let mut encoder = Encoder::new(algorithm).unwrap();
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
