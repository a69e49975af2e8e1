//! Checks of this machine before any request: secrets, certificates, the file of a feed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::connect::options;
use crate::config::{SecretSource, Server, SourceAddress, SourceCredentials, Subscription, TargetAddress, Tls};
use crate::model::Hash;
use crate::words::digest;
use crate::words::error::{Kind, OrFault};

/// Checks that this machine has what a subscription needs: the feed file, certificates, secrets. Commands are not
/// run: they may be costly or ask a person. Errors say what is missing.
pub(super) fn check(subscription: &Subscription) -> anyhow::Result<()> {
    if let SourceAddress::File { path, .. } = &subscription.source {
        path.metadata().or_fault(Kind::Missing, || format!("cannot open {}", path.display()))?;
    }
    if let SourceAddress::Web { timeouts, tls, .. } = &subscription.source
        && *tls != Tls::default()
    {
        options(*timeouts, tls).check_certificates()?;
    }
    if let Some(server) = server(subscription).filter(|server| server.tls != Tls::default()) {
        options(server.timeouts, &server.tls).check_certificates()?;
    }
    let files = secrets(subscription).into_iter().filter(|secret| !matches!(secret, SecretSource::Command(_)));
    files.into_iter().try_for_each(|secret| secret.fetch().map(drop))
}

/// Fingerprints the files behind settings, secrets and certificates by time, size and inode, never by content. Of a
/// systemd credential only the size counts, because each start of the unit creates it again (systemd 252).
pub(super) fn inputs(subscription: &Subscription, config: Option<&Path>) -> Hash {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let is_credential = |path: &Path| credentials.as_ref().is_some_and(|folder| path.starts_with(folder));
    let mut words = Vec::new();
    for path in config.into_iter().map(Path::to_owned).chain(files(subscription)) {
        let word = match path.metadata() {
            Ok(metadata) if is_credential(&path) => format!("{} {}", path.display(), metadata.size()),
            Ok(metadata) => format!(
                "{} {} {} {} {} {}",
                path.display(),
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.size(),
                metadata.ino(),
                metadata.mode()
            ),
            Err(error) => format!("{} {:?}", path.display(), error.kind()),
        };
        words.push(word);
    }
    digest::sha256(&[words.join("\n").as_bytes()])
}

fn files(subscription: &Subscription) -> Vec<PathBuf> {
    let of_secret = |secret: &SecretSource| match secret {
        SecretSource::File { path, .. } => Some(path.clone()),
        SecretSource::Credential { name, directory } => Some(directory.as_ref()?.join(name)),
        SecretSource::Command(_) | SecretSource::Value(_) => None,
    };
    let of_tls = |tls: &Tls| [&tls.ca, &tls.cert, &tls.key].into_iter().flatten().cloned().collect::<Vec<_>>();
    let mut files: Vec<PathBuf> = secrets(subscription).into_iter().filter_map(of_secret).collect();
    if let SourceAddress::Web { tls, .. } = &subscription.source {
        files.extend(of_tls(tls));
    }
    files.extend(server(subscription).map(|server| of_tls(&server.tls)).unwrap_or_default());
    files
}

fn server(subscription: &Subscription) -> Option<&Server> {
    match &subscription.target {
        TargetAddress::Calendar { server, .. } => Some(server),
        TargetAddress::Folder(_) => None,
    }
}

fn secrets(subscription: &Subscription) -> Vec<&SecretSource> {
    let of_source = match &subscription.source {
        SourceAddress::Web { credentials, .. } => credentials.as_ref().map(source_secret),
        SourceAddress::File { .. } | SourceAddress::StandardInput { .. } => None,
    };
    of_source.into_iter().chain(server(subscription).and_then(|server| server.secret.as_ref())).collect()
}

/// The secret of a feed's credentials.
pub(super) fn source_secret(credentials: &SourceCredentials) -> &SecretSource {
    match credentials {
        SourceCredentials::Password { password: source, .. }
        | SourceCredentials::Bearer(source)
        | SourceCredentials::Header { value: source, .. } => source,
    }
}
