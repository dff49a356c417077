//! Bodies that come as gzip although nobody asked for it: the only user of `flate2`.
//!
//! A proxy between the shop and its server may compress what it likes, and some take the header away that says so. Such
//! a body is known by its first two bytes, with which no JSON begins.

use std::io::{self, BufReader, Chain, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

/// What a gzip begins with.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// A body whose first bytes were looked at.
type Begun<R> = BufReader<Chain<Cursor<Vec<u8>>, R>>;

/// A body as its server meant it. What it gives is not bounded: a few bytes may stand for any number.
pub(super) enum Inflated<R: Read> {
    AsItCame(Begun<R>),
    FromGzip(Box<MultiGzDecoder<Begun<R>>>),
}

impl<R: Read> Inflated<R> {
    /// Looks at the first bytes of a body.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(mut body: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(MAGIC.len());
        body.by_ref().take(MAGIC.len() as u64).read_to_end(&mut first)?;
        let is_gzip = first == MAGIC;
        let begun = BufReader::new(Cursor::new(first).chain(body));
        Ok(if is_gzip { Self::FromGzip(Box::new(MultiGzDecoder::new(begun))) } else { Self::AsItCame(begun) })
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::AsItCame(body) => body.read(into),
            Self::FromGzip(body) => body.read(into),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn read(body: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        Inflated::new(body)?.take(1 << 20).read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn a_gzip_that_is_cut_or_spoilt_is_an_error() {
        let whole = gzip(br#"{"transactions":[]}"#);
        for length in 2..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} of {}", whole.len());
        }
        let mut spoilt = whole.clone();
        // Its checksum stands before its length.
        let checksum = spoilt.len() - 8;
        spoilt[checksum] ^= 1;
        assert!(read(&spoilt).is_err());
        // Some servers send a page in several parts, each a gzip.
        assert_eq!(read(&[gzip(b"[1,"), gzip(b"2]")].concat()).unwrap(), b"[1,2]");
    }

    proptest! {
        #[test]
        fn whatever_was_meant_is_what_is_read(body in prop::collection::vec(any::<u8>(), 0..2_000)) {
            prop_assert_eq!(&read(&gzip(&body)).unwrap(), &body);
            if !body.starts_with(&MAGIC) {
                prop_assert_eq!(&read(&body).unwrap(), &body);
            }
        }

        #[test]
        fn bytes_that_only_begin_like_a_gzip_do_no_harm(rest in prop::collection::vec(any::<u8>(), 0..500)) {
            let _an_error_mostly = read(&[&MAGIC[..], &rest].concat());
        }
    }
}
