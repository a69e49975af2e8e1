//! How a fake speaks https: with one of the certificates of `tests/fixtures/tls/make`, and to whom.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// The path of a certificate or key.
pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tls").join(name)
}

/// Shows this certificate, to everybody.
pub(crate) fn showing(certificate: &str) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    Arc::new(builder.with_single_cert(vec![certificate_of(certificate)], server_key()).unwrap())
}

/// Speaks to those only who show a certificate that the authority has signed.
pub(crate) fn demanding() -> Arc<ServerConfig> {
    demanding_by(DEFAULT_VERSIONS)
}

/// The same, in these versions of TLS.
pub(crate) fn demanding_by(versions: &[&'static SupportedProtocolVersion]) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificate_of("authority.pem")).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let builder = builder.with_client_cert_verifier(verifier);
    Arc::new(builder.with_single_cert(vec![certificate_of("server.pem")], server_key()).unwrap())
}

fn certificate_of(name: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(fixture(name)).unwrap()
}

fn server_key() -> PrivateKeyDer<'static> {
    PrivateKeyDer::from_pem_file(fixture("server.key")).unwrap()
}
