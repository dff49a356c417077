//! From when to when a certificate holds: the only user of `der`.
//!
//! rustls judges certificates; it does not say how long one still holds, and that is what a technician wants to know
//! before it ends.

use chrono::{DateTime, TimeDelta, Utc};
use der::{
    AnyRef, Decode as _, Header, Reader, SliceReader, Tag, TagNumber,
    asn1::{GeneralizedTime, UtcTime},
};

/// A certificate that ends sooner than this is worth a word.
pub const ENDS_SOON: TimeDelta = TimeDelta::days(30);

/// The validity of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from: DateTime<Utc>,
    pub to: DateTime<Utc>,
}

impl Validity {
    /// Reads it out of a certificate; `None` if that is none.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        read(certificate).ok().flatten()
    }

    /// `holds until 2027-03-01, 97 days`.
    pub fn text(&self, now: DateTime<Utc>) -> String {
        format!("holds until {}, {} days", self.to.date_naive(), (self.to - now).num_days())
    }

    pub fn ends_soon(&self, now: DateTime<Utc>) -> bool {
        self.to - now < ENDS_SOON
    }
}

/// `Certificate { tbsCertificate { [0] version, serialNumber, signature, issuer, validity { from, to }, … }, … }`.
fn read(certificate: &[u8]) -> der::Result<Option<Validity>> {
    let mut reader = SliceReader::new(certificate)?;
    Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
    Header::decode(&mut reader)?.tag.assert_eq(Tag::Sequence)?;
    if reader.peek_tag()? == (Tag::ContextSpecific { constructed: true, number: TagNumber::N0 }) {
        AnyRef::decode(&mut reader)?;
    }
    for _serial_signature_issuer in 0..3 {
        AnyRef::decode(&mut reader)?;
    }
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
        for length in 0..CERTIFICATE.len() / 2 {
            let _no_panic = Validity::of(&CERTIFICATE[..length]);
        }
        for at in 0..CERTIFICATE.len() {
            let mut other = CERTIFICATE.to_vec();
            other[at] ^= 0x81;
            let _no_panic = Validity::of(&other);
        }
        assert_eq!(Validity::of(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
