//! What a certificate says of itself: from when to when it holds, and which key it is for. The only user of `der`.
//!
//! rustls judges certificates of X.509 v3. It does not say how long one still holds, which is what a technician wants to
//! know before it ends, and of v1 it reads nothing at all.

use chrono::{DateTime, TimeDelta, Utc};
use der::{
    AnyRef, Decode as _, Header, Reader, SliceReader, Tag, TagNumber, Tagged as _,
    asn1::{BitStringRef, GeneralizedTime, UtcTime},
};

/// A certificate that ends sooner than this is worth a word.
pub const ENDS_SOON: TimeDelta = TimeDelta::days(30);

/// The validity of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Its begin.
    pub from: DateTime<Utc>,
    /// Its end.
    pub to: DateTime<Utc>,
}

impl Validity {
    /// Reads it out of a certificate; `None` if that is none.
    #[must_use]
    pub fn of(certificate: &[u8]) -> Option<Self> {
        read(certificate).ok().flatten()
    }

    /// `holds until 2027-03-01, 97 days`, or `ended on 2025-03-01`.
    #[must_use]
    pub fn text(&self, now: DateTime<Utc>) -> String {
        if self.to < now {
            return format!("ended on {}", self.to.date_naive());
        }
        format!("holds until {}, {} days", self.to.date_naive(), (self.to - now).num_days())
    }

    /// Whether it ends within [`ENDS_SOON`], or has ended.
    #[must_use]
    pub fn ends_soon(&self, now: DateTime<Utc>) -> bool {
        self.to - now < ENDS_SOON
    }
}

/// The public key of a certificate, each part as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey<'c> {
    /// The whole `SubjectPublicKeyInfo`.
    pub info: &'c [u8],
    /// What its `AlgorithmIdentifier` holds.
    pub algorithm: &'c [u8],
    /// The bits of the key.
    pub key: &'c [u8],
}

impl<'c> PublicKey<'c> {
    /// Reads it out of a certificate of any version; `None` if that is none.
    #[must_use]
    pub fn of(certificate: &'c [u8]) -> Option<Self> {
        Self::read(certificate).ok()
    }

    /// `… validity, subject, subjectPublicKeyInfo { algorithm { … }, subjectPublicKey }, …`.
    fn read(certificate: &'c [u8]) -> der::Result<Self> {
        let mut reader = before_validity(certificate)?;
        for _validity_subject in 0..2 {
            AnyRef::decode(&mut reader)?;
        }
        let info = reader.tlv_bytes()?;
        let mut reader = SliceReader::new(info)?;
        Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
        let algorithm = AnyRef::decode(&mut reader)?;
        algorithm.tag().assert_eq(Tag::Sequence)?;
        let key = BitStringRef::decode(&mut reader)?.as_bytes().ok_or(Tag::BitString.value_error())?;
        reader.finish(Self { info, algorithm: algorithm.value(), key })
    }
}

/// `Certificate { tbsCertificate { [0] version, serialNumber, signature, issuer, validity { from, to }, … }, … }`.
fn before_validity(certificate: &[u8]) -> der::Result<SliceReader<'_>> {
    let mut reader = SliceReader::new(certificate)?;
    Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
    Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
    if reader.peek_tag()? == (Tag::ContextSpecific { constructed: true, number: TagNumber::N0 }) {
        AnyRef::decode(&mut reader)?;
    }
    for _serial_signature_issuer in 0..3 {
        AnyRef::decode(&mut reader)?;
    }
    Ok(reader)
}

fn read(certificate: &[u8]) -> der::Result<Option<Validity>> {
    let mut reader = before_validity(certificate)?;
    Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
    let (from, to) = (time(&mut reader)?, time(&mut reader)?);
    Ok(from.zip(to).map(|(from, to)| Validity { from, to }))
}

fn time<'r>(reader: &mut impl Reader<'r>) -> der::Result<Option<DateTime<Utc>>> {
    let since_1970 = match reader.peek_tag()? {
        Tag::UtcTime => UtcTime::decode(reader)?.to_unix_duration(),
        _ => GeneralizedTime::decode(reader)?.to_unix_duration(),
    };
    Ok(i64::try_from(since_1970.as_secs()).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `openssl req -x509 -newkey ed25519 -days 3650 -subj /CN=t` made.
    const CERTIFICATE: &[u8] = include_bytes!("../../tests/fixtures/certificate.der");

    #[test]
    fn the_validity_is_read_and_nothing_else_is_taken_for_one() {
        let validity = Validity::of(CERTIFICATE).unwrap();
        assert_eq!(validity.to - validity.from, TimeDelta::days(3_650));
        assert!(validity.ends_soon(validity.to - TimeDelta::days(29)));
        assert!(!validity.ends_soon(validity.to - TimeDelta::days(31)));
        assert_eq!(
            validity.text(validity.to - TimeDelta::days(97)),
            format!("holds until {}, 97 days", validity.to.date_naive())
        );
        let day = validity.to.date_naive();
        assert_eq!(validity.text(validity.to + TimeDelta::seconds(1)), format!("ended on {day}"));
        for length in 0..CERTIFICATE.len() / 2 {
            let _no_panic = (Validity::of(&CERTIFICATE[..length]), PublicKey::of(&CERTIFICATE[..length]));
        }
        for at in 0..CERTIFICATE.len() {
            let mut other = CERTIFICATE.to_vec();
            other[at] ^= 0x81;
            let _no_panic = (Validity::of(&other), PublicKey::of(&other));
        }
        assert_eq!(Validity::of(b"-----BEGIN CERTIFICATE-----"), None);
    }

    #[test]
    fn the_public_key_is_read_with_its_algorithm() {
        let PublicKey { info, algorithm, key } = PublicKey::of(CERTIFICATE).unwrap();
        // 1.3.101.112, Ed25519.
        assert_eq!(algorithm, [6, 3, 0x2b, 0x65, 0x70]);
        assert_eq!((key.len(), info.len()), (32, 44));
        assert!(info.ends_with(key) && info.starts_with(&[0x30, 42, 0x30, 5]));
        let end = CERTIFICATE.windows(info.len()).position(|part| part == info).unwrap() + info.len();
        assert_eq!(PublicKey::of(&CERTIFICATE[..end - 1]), None, "it is cut");
    }
}
