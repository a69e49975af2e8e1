//! Encrypted connections: which certificates are trusted and which one we show. The only file that names the crates
//! `rustls` and `rustls-native-certs`.
//!
//! ureq has such a connector too, but it ends the process when a client's certificate and key do not belong together,
//! and cannot trust a server's own certificate that calls itself a CA, as `openssl req -x509` makes them.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    StreamOwned,
};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

use crate::error::{Fault, Kind, OrFault, fault};

use super::Options;

/// What the configuration says about certificates, read from its files.
#[derive(Debug)]
struct Identity {
    extra_roots: Vec<CertificateDer<'static>>,
    client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

/// Encrypts the connections to https addresses.
#[derive(Debug)]
pub(super) struct Encrypting {
    identity: Identity,
    /// Made with the first https request, for the certificates of the system take a while to read.
    config: OnceLock<Result<Arc<ClientConfig>, Fault>>,
}

impl Encrypting {
    /// Reads the files that the options name; errors are [`Kind::Configuration`].
    pub(super) fn new(options: &Options) -> anyhow::Result<Encrypting> {
        Ok(Encrypting { identity: Identity::read(options)?, config: OnceLock::new() })
    }

    fn handshake(
        &self,
        details: &ConnectionDetails<'_>,
        transport: Box<dyn Transport>,
    ) -> Result<Encrypted, ureq::Error> {
        let config = self.config.get_or_init(|| self.identity.config()).clone().map_err(as_ureq_error)?;
        let host = details.uri.host().unwrap_or_default();
        let name = ServerName::try_from(host.trim_matches(['[', ']']).to_owned());
        let name = name.map_err(|error| as_ureq_error(unsafe_connection(details, &error.to_string())))?;
        let mut session = ClientConnection::new(config, name)
            .map_err(|error| as_ureq_error(unsafe_connection(details, &error.to_string())))?;
        let mut stream = TransportAdapter::new(transport, Arc::clone(&details.current_time));
        stream.set_timeout(details.timeout);
        session.complete_io(&mut stream).map_err(|error| {
            match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(refusal) => as_ureq_error(refused(details, refusal)),
                None => ureq::Error::from(error),
            }
        })?;
        let buffers = LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Encrypted { buffers, stream: StreamOwned::new(session, stream) })
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
        Ok(self.stream.write_all(output)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let amount = self.stream.read(self.buffers.input_append_buf())?;
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
            (Some(chain), key) => {
                Some((certificates(chain, "tls_cert")?, private_key(key.as_deref().unwrap_or(chain))?))
            }
        };
        Ok(Identity { extra_roots: extra_roots.unwrap_or_default(), client })
    }

    /// The settings of all encrypted connections, with the certificates of the system.
    fn config(&self) -> Result<Arc<ClientConfig>, Fault> {
        let verifier = self.verifier()?;
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| misconfigured(format!("cannot set up https: {error}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        match &self.client {
            None => Ok(Arc::new(builder.with_no_client_auth())),
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map(Arc::new)
                .map_err(|error| misconfigured(format!("`tls_cert` and `tls_key` cannot be used: {error}"))),
        }
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

/// Trusts what an authority vouches for, and a certificate that the configuration itself names.
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
            // "A CA where a server was expected"; that it is in date has been checked before.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) if self.named.contains(end_entity) => {
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

fn private_key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(path)
        .or_fault(Kind::Configuration, || format!("{} holds no private key that can be used", path.display()))
}

fn misconfigured(message: String) -> Fault {
    Fault { kind: Kind::Configuration, message, retry_after: None }
}

fn unsafe_connection(details: &ConnectionDetails<'_>, why: &str) -> Fault {
    let host = details.uri.authority().map_or("", |authority| authority.as_str());
    let message = format!("no safe connection to https://{host}: {why}");
    Fault { kind: Kind::Unavailable, message, retry_after: None }
}

fn refused(details: &ConnectionDetails<'_>, refusal: &rustls::Error) -> Fault {
    use CertificateError as Certificate;
    let why = match refusal {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "its certificate is for another name"
            }
            Certificate::Expired | Certificate::ExpiredContext { .. } => "its certificate has expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => {
                "its certificate is not valid yet; is the clock of this machine right?"
            }
            _ => {
                "its certificate comes from nobody whom this machine trusts; if you trust it, name it or its CA in \
                 `tls_ca`"
            }
        },
        rustls::Error::InvalidMessage(_) => {
            "what answers there does not speak https; is the address one of plain http?"
        }
        other => return unsafe_connection(details, &other.to_string()),
    };
    unsafe_connection(details, why)
}

/// Takes a fault of ours through ureq; `transport` takes it out again.
fn as_ureq_error(fault: Fault) -> ureq::Error {
    ureq::Error::Other(Box::new(fault))
}

#[cfg(test)]
mod tests;
