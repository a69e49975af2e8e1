//! Which certificates are trusted and which one we show. The only file that names the crate `rustls-native-certs`.

use std::path::Path;

use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

use crate::error::{Fault, Kind, OrFault, fault};

use super::Options;

/// What the configuration says about certificates, read from its files.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    extra_roots: Vec<Certificate<'static>>,
    client: Option<ClientCert>,
}

impl Identity {
    /// Reads the files that the options name.
    pub(super) fn read(options: &Options) -> anyhow::Result<Identity> {
        let extra_roots = options.tls_ca.as_deref().map(|path| certificates(path, "tls_ca")).transpose()?;
        let client = match (&options.tls_cert, &options.tls_key) {
            (None, None) => None,
            (None, Some(_)) => return Err(fault(Kind::Configuration, "`tls_key` is set without `tls_cert`")),
            (Some(certificate), key) => Some(client_certificate(certificate, key.as_deref().unwrap_or(certificate))?),
        };
        Ok(Identity { extra_roots: extra_roots.unwrap_or_default(), client })
    }

    /// The settings of encrypted connections. Reads the certificates of the system.
    pub(super) fn tls_config(&self) -> Result<TlsConfig, Fault> {
        let system = rustls_native_certs::load_native_certs();
        let system = system.certs.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned());
        let roots: Vec<_> = system.chain(self.extra_roots.iter().cloned()).collect();
        if roots.is_empty() {
            let message = "this machine has no certificates to check https with: install its package ca-certificates, \
                           or set `tls_ca`";
            return Err(Fault { kind: Kind::Configuration, message: message.to_owned(), retry_after: None });
        }
        Ok(TlsConfig::builder().root_certs(RootCerts::from(roots)).client_cert(self.client.clone()).build())
    }
}

fn client_certificate(certificate: &Path, key: &Path) -> anyhow::Result<ClientCert> {
    let chain = certificates(certificate, "tls_cert")?;
    let key = PrivateKey::from_pem(&read(key, "tls_key")?)
        .or_fault(Kind::Configuration, || format!("{} holds no private key that can be used", key.display()))?;
    Ok(ClientCert::new_with_certs(&chain, key))
}

fn certificates(path: &Path, setting: &str) -> anyhow::Result<Vec<Certificate<'static>>> {
    let text = read(path, setting)?;
    let found: Vec<_> = parse_pem(&text)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        let message = format!("{} (`{setting}`) holds no certificate in PEM form", path.display());
        return Err(fault(Kind::Configuration, message));
    }
    Ok(found)
}

fn read(path: &Path, setting: &str) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).or_fault(Kind::Configuration, || format!("cannot read {} (`{setting}`)", path.display()))
}
