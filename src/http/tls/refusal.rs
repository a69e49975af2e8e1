//! Explains why an encrypted connection fails, in a sentence that helps.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

use crate::words::error::{Fault, Kind};
use crate::words::time::Timestamp;

/// How many names of a foreign certificate are shown.
const MOST_NAMES: usize = 3;

/// Converts an error of the handshake, or of a connection that the server closed. `origin` is that of the server;
/// `shows_certificate` says whether we have a certificate to present.
///
/// [`Kind::Refused`] needs a person here: a server certificate that is untrusted or for another name (possibly an
/// attacker's), or a client certificate that the server requires or rejects. [`Kind::Unavailable`] is fixed by others
/// or by time: an expired certificate, a server that aborts or does not speak https.
pub(super) fn refusal(origin: &str, error: &Error, shows_certificate: bool) -> Fault {
    let (kind, why) = match error {
        Error::InvalidCertificate(certificate) => of_certificate(certificate),
        Error::AlertReceived(alert) => of_alert(*alert, shows_certificate),
        Error::InvalidMessage(_) => {
            let why = "what answers there does not speak https; perhaps the address is one of plain http";
            (Kind::Unavailable, why.to_owned())
        }
        other => (Kind::Unavailable, other.to_string()),
    };
    Fault::new(kind, format!("no safe connection to {origin}: {why}"))
}

fn of_certificate(certificate: &Certificate) -> (Kind, String) {
    match certificate {
        Certificate::ExpiredContext { not_after, .. } => {
            let until = told(*not_after);
            (
                Kind::Unavailable,
                format!("its certificate was good until {until}; whoever runs the server must renew it"),
            )
        }
        Certificate::NotValidYetContext { not_before, .. } => {
            let from = told(*not_before);
            (Kind::Unavailable, format!("its certificate is good from {from}; check the clock of this machine"))
        }
        Certificate::NotValidForNameContext { presented, .. } => (Kind::Refused, of_names(presented)),
        // A server certificate marked as a CA is reported as `Other`.
        Certificate::UnknownIssuer | Certificate::Other(_) => {
            let why = "nobody whom this machine trusts has signed its certificate; if you trust it, name it or its CA \
                       in `tls_ca`";
            (Kind::Refused, why.to_owned())
        }
        other => (Kind::Refused, format!("its certificate cannot be accepted: {other}")),
    }
}

fn told(moment: UnixTime) -> String {
    Timestamp::default().plus(moment.as_secs()).local()
}

/// What is wrong with a certificate for these names: `DnsName("dav.example.org")`, `IpAddress(127.0.0.1)`.
fn of_names(presented: &[String]) -> String {
    if presented.is_empty() {
        // The common name has been ignored for years, and certificates made by hand often have nothing else.
        return "its certificate names no host; it must be made anew, with a subjectAltName".to_owned();
    }
    let bare = |name: &String| name.split(['(', ')']).nth(1).unwrap_or(name).trim_matches('"').to_owned();
    let names: Vec<String> = presented.iter().take(MOST_NAMES).map(bare).collect();
    let more = if presented.len() > MOST_NAMES { " and others" } else { "" };
    format!("its certificate is for {}{more}; check the address", names.join(", "))
}

/// What the server's alert says about the certificate that we presented, or did not present.
fn of_alert(alert: Alert, shows_certificate: bool) -> (Kind, String) {
    match alert {
        Alert::CertificateRequired
        | Alert::NoCertificate
        | Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
            if shows_certificate =>
        {
            (Kind::Refused, format!("it does not accept our certificate, the one of `tls_cert` ({alert:?})"))
        }
        Alert::CertificateRequired | Alert::NoCertificate | Alert::BadCertificate => {
            (Kind::Refused, "it asks for a certificate of ours; name one in `tls_cert`".to_owned())
        }
        // What TLS 1.2 sends if the certificate is missing, among other reasons.
        Alert::HandshakeFailure if !shows_certificate => {
            (Kind::Unavailable, "it breaks off; perhaps it asks for a certificate of ours (`tls_cert`)".to_owned())
        }
        other => (Kind::Unavailable, format!("it breaks off ({other:?})")),
    }
}
