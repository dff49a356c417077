//! Which server is the right one.
//!
//! - A certificate that the config names is known by its bytes. It is taken as it stands: whether it calls itself an
//!   authority, has no name of the server or another, has ended, or is of X.509 v1. Whoever shows it must still prove, by
//!   the handshake's signature, to have its key. This is what a server on the shop's own network has, made once by
//!   `openssl req -x509` and copied by hand.
//! - Any other is judged as browsers do, with the named certificates, or the system's, as authorities.
//! - Deliberately absent: a switch that takes any certificate.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, Error, PeerMisbehaved, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature, verify_tls13_signature_with_raw_key,
    },
    pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime},
};

use super::{certificate::PublicKey, provider};

/// Whom a client trusts.
#[derive(Debug)]
pub struct Trust {
    /// Taken as they stand.
    named: Vec<CertificateDer<'static>>,
    /// `None`: none of the certificates can be one.
    authorities: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Trust {
    /// Trusts these certificates and whom they certify.
    pub fn named(certificates: Vec<CertificateDer<'static>>) -> Self {
        Self { named: certificates.clone(), ..Self::authorities(certificates) }
    }

    /// Trusts whom these authorities certify.
    pub fn authorities(certificates: Vec<CertificateDer<'static>>) -> Self {
        let mut roots = RootCertStore::empty();
        // The system's list may hold old certificates that rustls does not read; the others count.
        let (_added, _passed_over) = roots.add_parsable_certificates(certificates);
        let provider = provider();
        let algorithms = provider.signature_verification_algorithms;
        let authorities = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().ok();
        Self { named: Vec::new(), authorities, algorithms }
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        self.named.iter().any(|named| named.as_ref() == certificate.as_ref())
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.is_named(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.authorities {
            Some(judge) => judge.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.is_named(certificate) {
            return verify_tls12_signature(message, certificate, signed, &self.algorithms);
        }
        let public = public_key(certificate)?;
        let of_scheme = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == signed.scheme);
        let (_, candidates) = of_scheme.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme of ECDSA does not say the curve: the key does.
        let fits = candidates.iter().find(|algorithm| algorithm.public_key_alg_id().as_ref() == public.algorithm);
        let verified = fits.map(|algorithm| algorithm.verify_signature(public.key, message, signed.signature()));
        match verified {
            Some(Ok(())) => Ok(HandshakeSignatureValid::assertion()),
            Some(Err(_)) | None => Err(CertificateError::BadSignature.into()),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        if !self.is_named(certificate) {
            return verify_tls13_signature(message, certificate, signed, &self.algorithms);
        }
        let info = SubjectPublicKeyInfoDer::from(public_key(certificate)?.info);
        let verified = verify_tls13_signature_with_raw_key(message, &info, signed, &self.algorithms);
        // Whether the signature is wrong or of a kind that the certificate's key cannot make: it is not by that key.
        verified.map_err(|fault| match fault {
            Error::InvalidCertificate(_) => CertificateError::BadSignature.into(),
            other => other,
        })
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

fn public_key<'c>(certificate: &'c CertificateDer<'_>) -> Result<PublicKey<'c>, Error> {
    PublicKey::of(certificate).ok_or(CertificateError::BadEncoding.into())
}
