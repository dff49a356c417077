//! Whom the box trusts, and how it proves itself: one rustls with ring for both of its clients.

pub mod certificate;
pub mod fault;
mod trust;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use thiserror::Error;

use self::trust::Trust;

/// Why a certificate or key cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file holds no usable PEM.
    #[error("{}: {cause}; expected {expected} in PEM form", path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        expected: &'static str,
        /// What is wrong with it.
        cause: String,
    },
    /// The system has no authorities.
    #[error(
        "the system has no certificate authorities: {0}; install Debian's package ca-certificates, or name a ca-certificate file in the config"
    )]
    NoAuthorities(String),
    /// rustls refuses what was given.
    #[error("the client certificate and its key cannot be used: {0}")]
    Unusable(#[from] rustls::Error),
}

/// The one provider of cryptography in this program.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// The authorities to trust: those of a PEM file, or else the system's.
///
/// # Errors
/// The file holds no certificate, or the system has none.
pub fn authorities(file: Option<&Path>) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    if let Some(path) = file {
        return certificates(path);
    }
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let causes: Vec<String> = found.errors.iter().map(ToString::to_string).collect();
        return Err(TlsError::NoAuthorities(causes.join(", ")));
    }
    Ok(found.certs)
}

/// Whether a server's certificate is the very one that the file names. Such a one is taken as it stands.
#[must_use]
pub fn names(file: Option<&Path>, certificate: &[u8]) -> bool {
    file.and_then(|path| certificates(path).ok())
        .is_some_and(|named| named.iter().any(|one| one.as_ref() == certificate))
}

/// A client's side of TLS, with a certificate of its own if one is given (certificate chain, key). It takes a server whose
/// very certificate the file names, whatever that certificate says of itself, and else whom an authority of the file, or
/// of the system's, certifies for the name or address by which the server is reached.
///
/// # Errors
/// A file cannot be used, or the key does not fit the certificate.
pub fn client(authority_file: Option<&Path>, identity: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, TlsError> {
    let trusted = authorities(authority_file)?;
    let trust = match authority_file {
        Some(_) => Trust::named(trusted),
        None => Trust::authorities(trusted),
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| TlsError::Pem {
                path: key.to_owned(),
                expected: "a private key",
                cause: cause.to_string(),
            })?;
            builder.with_client_auth_cert(certificates(certificate)?, key)?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |cause: String| TlsError::Pem { path: path.to_owned(), expected: "certificates", cause };
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|cause| failed(cause.to_string()))?.collect();
    let certificates = certificates.map_err(|cause| failed(cause.to_string()))?;
    if certificates.is_empty() { Err(failed("it holds none".to_owned())) } else { Ok(certificates) }
}
