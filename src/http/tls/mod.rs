//! Encrypted connections: which certificates we trust and which one we present. The only file that names the crates
//! `rustls` and `rustls-native-certs`.
//!
//! ureq has a TLS connector too, but it ends the process when a client certificate and its key do not match, and
//! cannot trust a server's own certificate that is marked as a CA, as `openssl req -x509` creates them.

mod refusal;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::files::read_secret_file;
use crate::words::error::{Fault, Kind, OrFault, fault};

use super::Options;
use refusal::refusal;

/// The configured certificates, read from their files.
#[derive(Debug)]
struct Identity {
    extra_roots: Vec<CertificateDer<'static>>,
    client: Option<Arc<CertifiedKey>>,
}

/// Reads the configured files and discards them. Errors are [`Kind::Configuration`], or [`Kind::Refused`] for a key
/// that others can read.
pub(super) fn check(options: &Options) -> anyhow::Result<()> {
    Identity::read(options).map(drop)
}

/// Encrypts connections to https addresses.
#[derive(Debug)]
pub(super) struct Encrypting {
    options: Options,
    /// Created on the first https request, because reading the system's certificates takes a while.
    config: OnceLock<Result<Arc<ClientConfig>, Fault>>,
}

impl Encrypting {
    pub(super) fn new(options: &Options) -> Encrypting {
        Encrypting { options: options.clone(), config: OnceLock::new() }
    }

    fn config(&self) -> Result<Arc<ClientConfig>, ureq::Error> {
        let read = || Identity::read(&self.options).map_err(fault_of)?.config();
        self.config.get_or_init(read).clone().map_err(as_ureq_error)
    }

    fn handshake(
        &self,
        details: &ConnectionDetails<'_>,
        transport: Box<dyn Transport>,
    ) -> Result<Encrypted, ureq::Error> {
        let config = self.config()?;
        let origin = details.uri.authority().map_or("", |authority| authority.as_str());
        let peer = Peer { origin: format!("https://{origin}"), shows_certificate: self.options.tls_cert.is_some() };
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(|error| as_ureq_error(peer.unnamed(&error.to_string())))?;
        let mut session = ClientConnection::new(config, name)
            .map_err(|error| as_ureq_error(refusal(&peer.origin, &error, peer.shows_certificate)))?;
        let mut stream = TransportAdapter::new(transport, Arc::clone(&details.current_time));
        stream.set_timeout(details.timeout);
        session.complete_io(&mut stream).map_err(|error| peer.trouble(error, &mut session, &mut stream))?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Encrypted { buffers, stream: StreamOwned::new(session, stream), peer })
    }
}

impl<In: Transport> Connector<In> for Encrypting {
    type Out = Either<In, Encrypted>;

    fn connect(&self, details: &ConnectionDetails<'_>, chained: Option<In>) -> Result<Option<Self::Out>, ureq::Error> {
        match chained {
            Some(transport) if details.needs_tls() && !transport.is_tls() => {
                self.handshake(details, Box::new(transport)).map(|encrypted| Some(Either::B(encrypted)))
            }
            other => Ok(other.map(Either::A)),
        }
    }
}

/// An encrypted connection.
pub(super) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
    peer: Peer,
}

/// What is needed to explain a failure on a connection.
struct Peer {
    origin: String,
    shows_certificate: bool,
}

impl Peer {
    /// Explains an error of a connection. A server that rejects our certificate sends an alert and closes the
    /// connection. We may notice only by a failed write, before reading the alert; it can still be read then.
    fn trouble(&self, error: io::Error, session: &mut ClientConnection, stream: &mut TransportAdapter) -> ureq::Error {
        let read = if refused(&error).is_none() { session.read_tls(stream).unwrap_or(0) } else { 0 };
        let said = if read > 0 { session.process_new_packets().err() } else { None };
        let error = said.map_or(error, io::Error::other);
        match refused(&error) {
            Some(refused) => as_ureq_error(refusal(&self.origin, refused, self.shows_certificate)),
            None => ureq::Error::from(error),
        }
    }

    fn unnamed(&self, why: &str) -> Fault {
        misconfigured(format!("no certificate can be for the host of {}: {why}", self.origin))
    }
}

impl Encrypted {
    fn trouble(&mut self, error: io::Error) -> ureq::Error {
        self.peer.trouble(error, &mut self.stream.conn, &mut self.stream.sock)
    }
}

/// The TLS error inside a connection error.
fn refused(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Encrypted")
    }
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = self.buffers.output().get(..amount).unwrap_or_default();
        let written = self.stream.write_all(output);
        written.map_err(|error| self.trouble(error))
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let read = self.stream.read(self.buffers.input_append_buf());
        let amount = read.map_err(|error| self.trouble(error))?;
        self.buffers.input_appended(amount);
        Ok(amount > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl Identity {
    fn read(options: &Options) -> anyhow::Result<Identity> {
        let extra_roots = options.tls_ca.as_deref().map(|path| certificates(path, "tls_ca")).transpose()?;
        let client = match (&options.tls_cert, &options.tls_key) {
            (None, None) => None,
            (None, Some(_)) => return Err(fault(Kind::Configuration, "`tls_key` is set without `tls_cert`")),
            (Some(chain), key) => Some(Arc::new(certified_key(chain, key.as_deref().unwrap_or(chain))?)),
        };
        Ok(Identity { extra_roots: extra_roots.unwrap_or_default(), client })
    }

    /// The settings of all encrypted connections, with the system's certificates.
    fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        let verifier = self.verifier()?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| misconfigured(format!("cannot set up https: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Arc::new(match &self.client {
            None => builder.with_no_client_auth(),
            Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(key)))),
        }))
    }

    fn verifier(&self) -> Result<Verifier, Fault> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(self.extra_roots.iter().cloned());
        if roots.is_empty() {
            return Err(misconfigured(
                "this machine has no certificates to check https with: install its package ca-certificates, or set \
                 `tls_ca`"
                    .to_owned(),
            ));
        }
        let by_authority =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()))
                .build()
                .map_err(|error| misconfigured(format!("cannot set up https: {error}")))?;
        Ok(Verifier { by_authority, named: self.extra_roots.clone() })
    }
}

/// Trusts certificates signed by a known CA, and a certificate that is itself configured.
#[derive(Debug)]
struct Verifier {
    by_authority: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verdict = self.by_authority.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // A CA used as a server certificate, or an unknown issuer; the validity period has already been checked.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if self.named.contains(end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_authority.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_authority.supported_verify_schemes()
    }
}

fn certificates(path: &Path, setting: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let text = std::fs::read(path)
        .or_fault(Kind::Configuration, || format!("cannot read {} (`{setting}`)", path.display()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok).collect();
    if found.is_empty() {
        let message = format!("{} (`{setting}`) holds no certificate in PEM form", path.display());
        return Err(fault(Kind::Configuration, message));
    }
    Ok(found)
}

/// Our own certificate with its key, which is treated as a secret.
fn certified_key(chain: &Path, key: &Path) -> anyhow::Result<CertifiedKey> {
    let (chain_path, key_path) = (chain.display(), key.display());
    let chain = certificates(chain, "tls_cert")?;
    let text = std::fs::read(key).or_fault(Kind::Configuration, || format!("cannot read {key_path} (`tls_key`)"))?;
    let Ok(parsed) = PrivateKeyDer::from_pem_slice(&text) else {
        let message = format!("{key_path} holds no private key in PEM form; name its file in `tls_key`");
        return Err(fault(Kind::Configuration, message));
    };
    read_secret_file(key, None)?;
    CertifiedKey::from_der(chain, parsed, &ring::default_provider()).or_fault(Kind::Configuration, || {
        format!("the certificate in {chain_path} (`tls_cert`) does not go with the key in {key_path}")
    })
}

fn misconfigured(message: String) -> Fault {
    Fault::new(Kind::Configuration, message)
}

fn fault_of(error: anyhow::Error) -> Fault {
    error.downcast().unwrap_or_else(|error| misconfigured(error.to_string()))
}

/// Passes a fault of ours through ureq; `transport` unwraps it.
fn as_ureq_error(fault: Fault) -> ureq::Error {
    ureq::Error::Other(Box::new(fault))
}
