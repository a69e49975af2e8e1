//! Why an encrypted connection does not come about, in a sentence that helps.

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription as Alert, CertificateError as Certificate, Error};

use crate::words::error::{Fault, Kind};
use crate::words::time::Timestamp;

/// The most names of a foreign certificate that are told.
const MOST_NAMES: usize = 3;

/// The fault that stands for an error of the handshake, or of a connection that the server gave up. `origin` is that of
/// the server; `shows_certificate` tells whether we have one to show.
///
/// [`Kind::Refused`] is what a person has to mend here: a certificate that nobody vouches for or that is for another
/// name (it may even be somebody in between), or one of ours that the server misses or rejects. [`Kind::Unavailable`] is
/// what others mend, or time: a certificate that is out of date, a server that breaks off or does not speak https.
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
        // What is no CA but calls itself one is an `Other`.
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

/// What is wrong with a certificate that has these names: `DnsName("dav.example.org")`, `IpAddress(127.0.0.1)`.
fn of_names(presented: &[String]) -> String {
    if presented.is_empty() {
        // The common name has not counted for years, and certificates that were made by hand often have nothing else.
        return "its certificate names no host; it must be made anew, with a subjectAltName".to_owned();
    }
    let bare = |name: &String| name.split(['(', ')']).nth(1).unwrap_or(name).trim_matches('"').to_owned();
    let names: Vec<String> = presented.iter().take(MOST_NAMES).map(bare).collect();
    let more = if presented.len() > MOST_NAMES { " and others" } else { "" };
    format!("its certificate is for {}{more}; check the address", names.join(", "))
}

/// What the server says of the certificate that we showed, or did not show.
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
        // What TLS 1.2 says for want of a certificate, and of anything else too.
        Alert::HandshakeFailure if !shows_certificate => {
            (Kind::Unavailable, "it breaks off; perhaps it asks for a certificate of ours (`tls_cert`)".to_owned())
        }
        other => (Kind::Unavailable, format!("it breaks off ({other:?})")),
    }
}
